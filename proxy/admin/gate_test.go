package admin_test

import (
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
)

func TestTokenGuardsEverythingButProbesAndPage(t *testing.T) {
	for _, c := range []struct {
		name, method, path, authorization string
		status                            int
	}{
		{"none", "GET", "/v1/status", "", 401},
		{"right", "GET", "/v1/status", "Bearer s3cret", 200},
		{"scheme case", "GET", "/v1/status", "bearer s3cret", 200},
		{"prefix of it", "GET", "/v1/status", "Bearer s3cre", 401},
		{"longer", "GET", "/v1/status", "Bearer s3cret3", 401},
		{"empty", "GET", "/v1/status", "Bearer ", 401},
		{"basic", "GET", "/v1/status", "Basic s3cret", 401},
		{"write", "POST", "/v1/stop", "", 401},
		{"write with it", "POST", "/v1/stop", "Bearer s3cret", 202},
		{"metrics", "GET", "/metrics", "", 401},
		{"unknown path", "GET", "/v1/nope", "", 401},
		{"livez", "GET", "/livez", "", 200},
		{"readyz", "GET", "/readyz", "", 200},
		{"readyz details", "GET", "/readyz?verbose", "", 401},
		{"page", "GET", "/", "", 200},
		{"page script", "GET", "/page/app.js", "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, admin.Options{Token: "s3cret"})
			res, body := s.call(c.method, c.path, "", "Authorization: "+c.authorization)
			if res.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", res.StatusCode, c.status, body)
			}
			if c.status == 401 && (res.Header.Get("WWW-Authenticate") == "" || len(s.control.stops) > 0) {
				t.Error("no challenge, or the call went through")
			}
		})
	}
}

func TestListenerOthersCanReachNeedsAToken(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := admin.New(admin.Options{Control: newFake(), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	// Were it to serve, the test would wait for ever.
	guard := time.AfterFunc(60*time.Second, func() { _ = srv.Close() })
	defer guard.Stop()
	if err := srv.Serve(l); err == nil || !strings.Contains(err.Error(), "token is required") {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		_ = c.Close()
		t.Fatal("the refused listener is still open")
	}
}

func TestTokenCanChangeButNotVanishInPublic(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, l, admin.Options{Token: "old"})
	s.base = "http://127.0.0.1:" + port
	ask := func(token string) int {
		res, _ := s.call("GET", "/v1/status", "", "Authorization: Bearer "+token)
		return res.StatusCode
	}
	if ask("old") != 200 || ask("new") != 401 {
		t.Fatal("the token at start is not the one that counts")
	}
	if err := s.server.SetToken(""); err == nil {
		t.Error("a public listener was left without a token")
	}
	if err := s.server.SetToken("new"); err != nil {
		t.Error(err)
	}
	if ask("old") != 401 || ask("new") != 200 {
		t.Error("the new token is not the one that counts")
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, method string
		headers      []string
		status       int
	}{
		{"no browser", "POST", nil, 200},
		{"own page", "POST", []string{"Sec-Fetch-Site: same-origin"}, 200},
		{"other site", "POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		{"other port", "POST", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"old browser", "POST", []string{"Origin: https://evil.example"}, 403},
		{"null origin", "POST", []string{"Origin: null"}, 403},
		{"rebound name", "POST", []string{"Host: evil.example:9180", "Sec-Fetch-Site: same-origin"}, 421},
		{"rebound read", "GET", []string{"Host: evil.example:9180", "Sec-Fetch-Site: same-origin"}, 421},
		{"localhost", "POST", []string{"Host: localhost:9180"}, 200},
		{"localhost dot", "POST", []string{"Host: LOCALHOST.:9180"}, 200},
		{"ipv6", "POST", []string{"Host: [::1]:9180"}, 200},
		{"not quite localhost", "POST", []string{"Host: localhost.evil.example"}, 421},
		{"configured name", "POST", []string{"Host: weir.internal"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, admin.Options{Hosts: []string{"Weir.internal"}})
			path := "/v1/logs/reopen"
			if c.method == "GET" {
				path = "/v1/status"
			}
			res, body := s.call(c.method, path, "", c.headers...)
			if res.StatusCode != c.status {
				t.Fatalf("%d, want %d: %s", res.StatusCode, c.status, body)
			}
			if c.status != 200 && s.control.reopens > 0 {
				t.Error("the call went through")
			}
		})
	}
}

func TestPageIsSelfContained(t *testing.T) {
	s := serve(t, admin.Options{})
	res, body := s.call("GET", "/", "")
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	for _, inline := range []string{"<style", " style=", " onclick", "http://", "https://"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page contains %q", inline)
		}
	}
	for _, part := range strings.SplitAfter(body, "<script")[1:] {
		if !strings.Contains(part[:strings.Index(part, ">")], "src=") {
			t.Error("the page has an inline script")
		}
	}
	kinds := map[string]string{".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	names := []string{"/page/style.css", "/page/icon.svg", "/page/app.js"}
	for _, name := range names {
		if !strings.Contains(body, name) {
			t.Errorf("the page does not use %s", name)
		}
	}
	modules := regexp.MustCompile(`from "\./([a-z]+\.js)"`)
	for i := 0; i < len(names); i++ { // grows by what each script imports
		res, text := s.call("GET", names[i], "")
		if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), kinds[path.Ext(names[i])]) {
			t.Errorf("%s: %s %s", names[i], res.Status, res.Header.Get("Content-Type"))
		}
		for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"} {
			if strings.Contains(text, way) && !strings.Contains(text, "http://www.w3.org/2000/svg") {
				t.Errorf("%s contains %s", names[i], way)
			}
		}
		for _, m := range modules.FindAllStringSubmatch(text, -1) {
			if module := "/page/" + m[1]; !slices.Contains(names, module) {
				names = append(names, module)
			}
		}
	}
	if len(names) < 9 {
		t.Errorf("the page is made of %q only", names)
	}
}
