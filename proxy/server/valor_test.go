package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// The names of these tests are the numbers of the acceptance checks for the edge that take the place of the nginx file this one replaces.

// valorAPI is a backend that does what each check needs, and counts.
type valorAPI struct {
	*httptest.Server
	hits atomic.Int64
}

func newValorAPI(t *testing.T) *valorAPI {
	v := &valorAPI{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.hits.Add(1)
		switch r.URL.Path {
		case "/api/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/ws":
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			for {
				kind, data, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, data) != nil {
					return
				}
			}
		default:
			_, _ = fmt.Fprintf(w, "%s|%s|%s", r.Header["X-Forwarded-For"], r.Header["X-Real-Ip"], r.Header["X-Request-Id"])
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func valorEdge(t *testing.T, v *valorAPI) (r *running, text func(dir string) string, dir string) {
	text = func(dir string) string {
		limited := ""
		for _, name := range []string{"login", "refresh", "profile"} {
			limited += "[limit." + name + "]\nrate = \"3/h\"\n[[route]]\npath = \"/api/auth/" + name + "\"\nservice = \"api\"\nlimits = [\"" + name + "\"]\n"
		}
		return protectText(dir, v.Listener.Addr().String(), limited, "")
	}
	r, _, dir = started(t, func(dir, _ string) string { return text(dir) })
	return r, text, dir
}

func TestValorEdge1OneHitForAServerError(t *testing.T) {
	v := newValorAPI(t)
	r, _, _ := valorEdge(t, v)
	if a := say(t, r.address, "GET /api/broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(a, "HTTP/1.1 500 ") {
		t.Errorf("answer %q", a)
	}
	if n := v.hits.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

// The upstream is asked again with the first request after its return, which is sooner than any bound on time could say.
func TestValorEdge2RecoveryWithinASecond(t *testing.T) {
	r, blue, _ := started(t, func(dir, upstream string) string { return protectText(dir, upstream, "", "") })
	blue.kill()
	for range 20 { // far more than nginx's max_fails
		if status, _ := r.client.get(t); status != http.StatusBadGateway {
			t.Fatalf("without an upstream: %d", status)
		}
	}
	blue.start(t)
	if status, _ := r.client.get(t); status != http.StatusOK {
		t.Errorf("locked out: %d", status)
	}
}

func TestValorEdge3ReuseIsVisible(t *testing.T) {
	r, _, _ := valorEdge(t, newValorAPI(t))
	for range 20 {
		_, _ = r.client.get(t)
	}
	r.scraped(t, `weir_group_requests_total{code="200",group="blue",service="api"} 20`)
	r.scraped(t, `weir_upstream_connect_duration_seconds_count{group="blue",service="api"} 1`)
}

func TestValorEdge4WebSocketOverReload(t *testing.T) {
	r, text, dir := valorEdge(t, newValorAPI(t))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+r.address+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for i := range 3 {
		want := "message " + strconv.Itoa(i)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("echo %q, %v", got, err)
		}
		r.write(text(dir) + "# " + want + "\n[limit.other" + strconv.Itoa(i) + "]\nrate = \"1/s\"\n")
		r.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestValorEdge5LimitsAreJSONAndSeparate(t *testing.T) {
	r, _, _ := valorEdge(t, newValorAPI(t))
	for _, path := range []string{"/api/auth/login", "/api/auth/refresh", "/api/auth/profile"} {
		for i := range 4 { // each has three of its own
			a := say(t, r.address, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			head, body, _ := strings.Cut(a, "\r\n\r\n")
			if i < 3 {
				if !strings.HasPrefix(a, "HTTP/1.1 200 ") {
					t.Errorf("%s %d: %q", path, i, head)
				}
				continue
			}
			var problem struct {
				Status int
				Reason string
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != 429 || problem.Reason != "rate_limited" ||
				!strings.HasPrefix(a, "HTTP/1.1 429 ") || !strings.Contains(head, "Retry-After: ") || !strings.Contains(head, "application/problem+json") {
				t.Errorf("%s beyond its limit: %q, %v", path, a, err)
			}
		}
	}
}

func TestValorEdge6ForgedIdentity(t *testing.T) {
	r, _, _ := valorEdge(t, newValorAPI(t))
	a := say(t, r.address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Real-IP: 6.6.6.6\r\n"+
		"X-Request-ID: forged\r\nForwarded: for=6.6.6.6\r\n\r\n")
	if _, body, _ := strings.Cut(a, "\r\n\r\n"); !strings.HasPrefix(body, "[127.0.0.1]|[127.0.0.1]|[") || strings.Contains(body, "6.6.6.6") || strings.Contains(body, "forged") {
		t.Errorf("the backend saw %q", body)
	}
}

// 7 is TestSameHeadersOnEveryAnswer.

// appSite is a single-page application as its build tools leave it, served by an edge that sends /api to a service.
func appSite(t *testing.T) *running {
	dir := shortDir(t)
	for name, text := range map[string]string{
		"index.html": "<h1>app</h1>", "sw.js": "worker", "manifest.json": "{}", "favicon.ico": "icon", "assets/app.3f2a9c1b.js": "app", "assets/app.3f2a9c1b.js.gz": "gzipped", "assets/plain.css": "css",
		"about/index.html": "about",
	} {
		putFile(t, filepath.Join(dir, "web", name), text)
	}
	v := newValorAPI(t)
	r := run(t, dir, protectText(dir, v.Listener.Addr().String(), "", "path = \"/api\"\n[[route]]\nname = \"web\"\nfiles = { root = \"web\", fallback = \"index.html\", max_age = \"1h\" }\n"))
	t.Cleanup(func() {
		r.stop()
		_ = os.RemoveAll(dir)
	})
	return r
}

// siteAnswer is an answer to a browser's GET.
func siteAnswer(t *testing.T, r *running, method, path, accept string) (*http.Response, string) {
	t.Helper()
	answers, bodies := sayHTTP1(t, connect(t, r.address).conn, method+" "+path+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: "+accept+"\r\nAccept-Encoding: gzip\r\n\r\n")
	return answers[0], bodies[0]
}

func TestValorEdge8OneCacheControl(t *testing.T) {
	r := appSite(t)
	const year = "max-age=31536000, immutable"
	for path, want := range map[string]string{
		"/": "no-cache", "/index.html": "no-cache", "/about/": "no-cache", "/about": "no-cache", "/deep/link": "no-cache", "/sw.js": "no-cache", "/manifest.json": "no-cache",
		"/assets/app.3f2a9c1b.js": year, "/assets/plain.css": "max-age=3600", "/favicon.ico": "max-age=3600", "/missing.js": "no-store", "/missing.3f2a9c1b.js": "no-store", "/.env": "no-store",
	} {
		a, _ := siteAnswer(t, r, "GET", path, "text/html,*/*")
		if got := a.Header.Values("Cache-Control"); len(got) != 1 || got[0] != want {
			t.Errorf("%s (%d): Cache-Control %q, want %q once", path, a.StatusCode, got, want)
		}
	}
}

func TestValorEdge10DeepLinks(t *testing.T) {
	r := appSite(t)
	const browser, script = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "*/*"
	for _, c := range []struct {
		method, path, accept string
		status               int
		body                 string // of 200
	}{
		{"GET", "/runs/42/edit", browser, 200, "<h1>app</h1>"}, {"HEAD", "/runs/42/edit", browser, 200, ""}, {"GET", "/user/john.doe", browser, 200, "<h1>app</h1>"},
		{"GET", "/runs/42/edit", script, 404, ""}, {"GET", "/runs/42/edit", "application/json", 404, ""}, {"POST", "/runs/42/edit", browser, 405, ""}, {"DELETE", "/index.html", browser, 405, ""},
		{"GET", "/assets/missing.js", browser, 404, ""}, {"GET", "/assets/missing.png", browser, 404, ""}, {"GET", "/missing.css?v=1", browser, 404, ""}, {"GET", "/assets/app.3f2a9c1b.js", script, 200, "gzipped"},
		{"GET", "/metrics", browser, 200, "<h1>app</h1>"}, {"GET", "/metrics", "text/plain", 404, ""}, {"GET", "/metrics", "application/openmetrics-text;version=1.0.0", 404, ""},
		{"GET", "/v1/status", "application/json", 404, ""}, {"GET", "/livez", script, 404, ""},
	} {
		a, body := siteAnswer(t, r, c.method, c.path, c.accept)
		if a.StatusCode != c.status || c.status == 200 && body != c.body {
			t.Errorf("%s %s for %s: %d %q, want %d %q", c.method, c.path, c.accept, a.StatusCode, body, c.status, c.body)
		}
		if strings.Contains(body, "weir_") {
			t.Errorf("%s %s: the edge's metrics are public", c.method, c.path)
		}
	}
}

func TestValorEdge9UnknownHostAndRedirect(t *testing.T) {
	plain := porttest.Reserve(t)
	e := newEdgeOver(t, "", "host = [\"valor.test\"]\n", "[[listener]]\nname = \"redirect\"\naddress = \""+plain+"\"\nredirect = \"https\"\n")
	_, port, _ := net.SplitHostPort(e.secure)
	for _, c := range []struct{ address, host, want string }{
		{plain, "valor.test", "HTTP/1.1 308 "},
		{plain, "other.test", "HTTP/1.1 404 "},
		{e.plain, "other.test", "HTTP/1.1 404 "},
		{e.plain, "valor.test", "HTTP/1.1 200 "},
	} {
		a := say(t, c.address, "GET /app?x=1 HTTP/1.1\r\nHost: "+c.host+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(a, c.want) {
			t.Errorf("%s at %s: %q, want %s", c.host, c.address, a, c.want)
		}
		if location := "Location: https://valor.test:" + port + "/app?x=1\r\n"; strings.Contains(c.want, "308") && !strings.Contains(a, location) {
			t.Errorf("%q lacks %q", a, location)
		}
	}
}

func TestValorEdge11TLS12Suites(t *testing.T) {
	e := newEdgeOver(t, "", "", "")
	for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256} {
		conn, err := tls.Dial("tcp", e.secure, &tls.Config{RootCAs: e.roots, ServerName: "localhost", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if err != nil {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		_, _ = io.WriteString(conn, "GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		a, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(a), "HTTP/1.1 200 ") || conn.ConnectionState().CipherSuite != suite {
			t.Errorf("%s: %q", tls.CipherSuiteName(suite), a)
		}
		_ = conn.Close()
	}
}
