package server_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/server"
)

// TestNonces: every answer has a nonce of its own, which its upstream was told and nobody else chose; a 304 leaves the policy of what is stored alone.
func TestNonces(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told []string
		for name, values := range r.Header {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Csp-Nonce") {
				told = append(told, values...)
			}
		}
		w.Header().Set("X-Told", strings.Join(told, ","))
		w.Header().Set("Content-Security-Policy", "script-src 'nonce-theirs'")
		if r.URL.Path == "/304" {
			w.WriteHeader(http.StatusNotModified)
		}
	}))
	t.Cleanup(upstream.Close)
	text := protectText(dir, strings.TrimPrefix(upstream.URL, "http://"), "headers = \"page\"\n[headers.page]\n"+
		"content_security_policy = \"script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'\"\n", "")
	text += "[[route]]\nname = \"plain\"\npath = \"/plain\"\nheaders = \"basic\"\nservice = \"api\"\n[[route]]\nname = \"small\"\npath = \"/small\"\nmax_body = \"1B\"\nservice = \"api\"\n"
	r := run(t, dir, text)
	t.Cleanup(r.stop)
	c := connect(t, r.address)
	t.Cleanup(func() { _ = c.conn.Close() })
	ask := func(path string, want int) http.Header {
		t.Helper()
		body := "\r\n"
		if path == "/small" {
			body = "Content-Length: 2\r\n\r\nab" // with its head in one write: the connection goes on after the 413
		}
		_, _ = fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\nX-CSP-Nonce: evil\r\nx_csp_nonce: evil\r\nX-Csp-Nonce: evil2\r\n%s", path, body) // the answer tells
		res, err := http.ReadResponse(c.r, nil)
		if err != nil || res.StatusCode != want {
			t.Fatalf("%s: %v, %v", path, res, err)
		}
		_, _ = bufio.NewReader(res.Body).Discard(1 << 20) // to its end
		return res.Header
	}
	form := regexp.MustCompile(`^script-src 'nonce-([\w-]{22})' 'strict-dynamic'; style-src 'nonce-([\w-]{22})'$`)
	seen := map[string]bool{}
	for i := range 20 {
		path, status := "/", http.StatusOK
		if i%4 == 3 {
			path, status = "/small", http.StatusRequestEntityTooLarge
		}
		h := ask(path, status)
		m := form.FindStringSubmatch(h.Get("Content-Security-Policy"))
		if len(h.Values("Content-Security-Policy")) != 1 || m == nil || m[1] != m[2] || seen[m[1]] {
			t.Fatalf("%s: %q", path, h.Values("Content-Security-Policy"))
		}
		if seen[m[1]] = true; status == http.StatusOK && h.Get("X-Told") != m[1] {
			t.Errorf("the upstream was told %q, the client %q", h.Get("X-Told"), m[1])
		}
	}
	if h := ask("/304", http.StatusNotModified); h.Get("Content-Security-Policy") != "" || h.Get("X-Told") == "" {
		t.Errorf("304: %v", h)
	}
	if h := ask("/plain", http.StatusOK); h.Get("X-Told") == "" || !strings.Contains(h.Get("X-Told"), "evil") {
		t.Errorf("a field that means nothing to us: %v", h)
	}
	auditNonces(t, filepath.Join(dir, "weir.toml"), ask("/", http.StatusOK))
}

// auditNonces: an audit takes any nonce of a live answer, and nothing but a nonce.
func auditNonces(t *testing.T, config string, live http.Header) {
	t.Helper()
	audit, err := server.AuditHeaders(config)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := audit.Find(&url.URL{Scheme: "http", Host: "x", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if d := answer.Differs(live); len(d) != 0 {
		t.Errorf("differs: %q", d)
	}
	live.Set("Content-Security-Policy", strings.Replace(live.Get("Content-Security-Policy"), "strict-dynamic", "unsafe-inline", 1))
	if d := answer.Differs(live); len(d) != 1 {
		t.Errorf("another policy: %q", d)
	}
}
