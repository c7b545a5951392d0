package validate_test

import (
	"os"
	"path/filepath"
	"testing"
)

// checkLogs: what the real programs logged of the real traffic, hostile values among it, goes into Elasticsearch field by field.
func checkLogs(t *testing.T, s *stage) {
	b, err := os.ReadFile(filepath.Join(s.dir, "weir.log"))
	if err != nil {
		t.Fatal(err)
	}
	seen := checkLines(t, string(b), nil)
	for _, key := range []string{"@timestamp", "event.dataset", "event.duration", "http.request.id", "http.response.status_code", "client.ip", "url.path", "url.query", "weir.route", "weir.group", "weir.reason", "weir.upstream.address", "tls.version", "message"} {
		if !seen[key] {
			t.Errorf("no line of weir's has %s", key)
		}
	}
	api := checkLines(t, s.api1.out.String(), loadFilebeat(t).renames(t))
	for _, key := range []string{"@timestamp", "message", "http.request.id", "http.response.status_code", "url.path", "valor.color", "valor.seconds"} {
		if !api[key] {
			t.Errorf("no line of valor-api's has %s", key)
		}
	}
}
