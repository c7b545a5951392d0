package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
)

// TestAuditLive: a live answer is fetched, graded and held to the configuration; one that differs is exit code 1.
func TestAuditLive(t *testing.T) {
	config := filepath.Join(t.TempDir(), "weir.toml")
	text := "[[listener]]\naddress = \"127.0.0.1:0\"\nheaders = \"strict\"\n[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"127.0.0.1:5002\"]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	live := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/good" {
			for name, value := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
				"Permissions-Policy":      "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()",
				"Content-Security-Policy": "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
			} {
				w.Header().Set(name, value)
			}
		}
		w.Header().Set("Location", "/elsewhere") // not followed
		w.WriteHeader(http.StatusFound)
	}))
	defer live.Close()
	for path, want := range map[string]struct {
		code, differs int
		grade         string
	}{"/good": {exitOK, 0, "B+"}, "/bad": {exitInvalid, 6, "D"}} {
		var out, errs strings.Builder
		sh := &shell{stdout: &out, stderr: &errs, env: func(string) (string, bool) { return "", false }, self: "weir"}
		code := sh.execute(t.Context(), []string{"audit", "headers", "-c", config, "--url", live.URL + path, "--json"})
		var report struct{ Live []show.LiveAnswer }
		if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
			t.Fatalf("%v: %s %s", err, out.String(), errs.String())
		}
		l := report.Live[0]
		if code != want.code || len(l.Differs) != want.differs || l.Letter != want.grade || l.Status != http.StatusFound {
			t.Errorf("%s: exit %d, %+v", path, code, l)
		}
	}
}
