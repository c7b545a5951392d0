package configs_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// TestErrorsNeverShowWhatAReferenceBroughtIn puts a secret behind every string of the reference in
// turn. Most make an error; none may show it.
func TestErrorsNeverShowWhatAReferenceBroughtIn(t *testing.T) {
	built, _, _ := strings.Cut(reference(t), notSupportedYet)
	text := string(switchOn([]byte(built)))
	pems := newPEMs(t)
	refused := 0
	for _, secret := range []string{"hunter2 (", "~hunter2(", "/hunter2/../", "hunter2:99999", "header:hunter2"} {
		for _, at := range regexp.MustCompile(`"[^"\n]*"`).FindAllStringIndex(text, -1) {
			_, err := configs.Parse("weir.toml", []byte(text[:at[0]]+`"${V}"`+text[at[1]:]), configs.Options{
				Env: func(string) (string, bool) { return secret, true },
				ReadFile: func(path string) ([]byte, error) {
					if data, ok := pems[path]; ok {
						return data, nil
					}
					return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
				},
			})
			if err == nil {
				continue
			}
			refused++
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s at %q: %v", secret, text[at[0]:at[1]], err)
			}
		}
	}
	if refused < 100 {
		t.Errorf("only %d values were refused", refused)
	}
}

// BenchmarkParseTenThousandRoutes bounds what a reload costs before anything live is touched.
func BenchmarkParseTenThousandRoutes(b *testing.B) {
	var text strings.Builder
	text.WriteString(minimal)
	for i := range 10000 {
		fmt.Fprintf(&text, "[[route]]\nhost = [\"h%d.example.com\"]\npath = \"/p/%d\"\nservice = \"api\"\n", i%500, i)
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := configs.Parse("weir.toml", []byte(text.String()), configs.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
