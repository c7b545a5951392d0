package app_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The page and the program name the same variables and the same paths.
func TestDocsNameWhatThereIs(t *testing.T) {
	page := read(t, "../docs/api.md")
	name := regexp.MustCompile(`VALOR_[A-Z_]+`)
	known := map[string]bool{}
	for _, v := range name.FindAllString(read(t, "config.go"), -1) {
		known[v] = v != "VALOR_" // the prefix alone, as in VALOR_*
	}
	for v := range known {
		if !strings.Contains(page, "`"+v+"`") {
			t.Errorf("docs/api.md does not list %s", v)
		}
	}
	for _, v := range name.FindAllString(page, -1) {
		if !known[v] {
			t.Errorf("docs/api.md names %s, which nothing reads", v)
		}
	}
	var spec struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(read(t, "api/testdata/openapi.json")), &spec); err != nil {
		t.Fatal(err)
	}
	if len(spec.Paths) == 0 {
		t.Fatal("the OpenAPI document has no paths")
	}
	for path := range spec.Paths {
		if !strings.Contains(page, path) {
			t.Errorf("docs/api.md does not mention %s", path)
		}
	}
}
