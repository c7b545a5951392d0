package server_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
	edgetls "github.com/valor-ivx/weir/tls"
)

// securityFields are those that the strict preset writes, HSTS last.
var securityFields = [...]string{
	"Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy", "Referrer-Policy", "X-Content-Type-Options", "X-Frame-Options",
	"Strict-Transport-Security",
}

// careless is an upstream that says some security fields itself, twice, and answers what its path asks for.
func careless(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Frame-Options"] = []string{"SAMEORIGIN", "ALLOWALL"}
		w.Header().Set("Referrer-Policy", "unsafe-url")
		w.Header().Set("Strict-Transport-Security", "max-age=0")
		w.Header().Set("X-Powered-By", "careless")
		switch r.URL.Path {
		case "/app/304":
			w.WriteHeader(http.StatusNotModified)
		case "/app/404":
			w.WriteHeader(http.StatusNotFound)
		case "/app/204":
			w.WriteHeader(http.StatusNoContent)
		case "/app/302":
			http.Redirect(w, r, "/app", http.StatusFound)
		case "/app/chunked":
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "late")
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// deadPort is an address that refuses connections as long as the test has nobody listen there.
func deadPort(t *testing.T) string { return porttest.Reserve(t) }

// edgeOver is an edge with a plain and a TLS listener.
type edgeOver struct {
	plain, secure string // addresses
	roots         *x509.CertPool
}

func headersEdge(t *testing.T, onListener, onRoute, top string) func(secure bool, raw string) *http.Response {
	return newEdgeOver(t, onListener, onRoute, top).ask(t)
}

func newEdgeOver(t *testing.T, onListener, onRoute, top string) *edgeOver {
	dir := shortDir(t)
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf([]string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	secureAddress := porttest.Reserve(t)
	putFile(t, filepath.Join(dir, "web", "files", "a.txt"), "text")
	putFile(t, filepath.Join(dir, "web", "files", "folder", "index.html"), "page")
	text := fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[tls.certificate]]\ncert = %q\nkey = %q\n"+
		"[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n%[4]s[[listener]]\nname = \"tls\"\naddress = %[5]q\ntls = true\n%[4]s%[6]s"+
		"[limit.one]\nrate = \"1/h\"\nkey = \"route\"\n[[route]]\npath = \"/app\"\nservice = \"app\"\n%[7]s[[route]]\npath = \"/dead\"\nservice = \"dead\"\n%[7]s"+
		"[[route]]\npath = \"/limited\"\nservice = \"app\"\nlimits = [\"one\"]\n%[7]s[[route]]\npath = \"/files\"\nfiles = { root = \"web\", fallback = \"files/folder/index.html\" }\n%[7]s[service.app.group.blue]\ntargets = [%[8]q]\n[service.dead.group.blue]\ntargets = [%[9]q]\n",
		dir, leaf.Cert, leaf.Key, onListener, secureAddress, top, onRoute, careless(t), porttest.Reserve(t))
	r := run(t, dir, text)
	t.Cleanup(func() {
		r.stop()
		_ = os.RemoveAll(dir)
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	return &edgeOver{plain: r.address, secure: secureAddress, roots: roots}
}

// ask gives a function that sends one raw request by HTTP/1 to either listener.
func (e *edgeOver) ask(t *testing.T) func(secure bool, raw string) *http.Response {
	return func(secure bool, raw string) *http.Response {
		t.Helper()
		dialer := &net.Dialer{Timeout: 60 * time.Second}
		var conn net.Conn
		var err error
		if secure {
			conn, err = tls.DialWithDialer(dialer, "tcp", e.secure, &tls.Config{RootCAs: e.roots, ServerName: "localhost"})
		} else {
			conn, err = dialer.Dial("tcp", e.plain)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		method, _, _ := strings.Cut(raw, " ")
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		return resp
	}
}

// everyAnswer is a request for each way in which a final response comes about, and its status.
var everyAnswer = [...]struct {
	raw    string
	status int
}{
	{"GET /app HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"GET /app HTTP/1.0\r\n\r\n", 200},
	{"GET /app/chunked HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"GET /app/204 HTTP/1.1\r\nHost: a\r\n\r\n", 204},
	{"GET /app/302 HTTP/1.1\r\nHost: a\r\n\r\n", 302},
	{"GET /app/304 HTTP/1.1\r\nHost: a\r\n\r\n", 304},
	{"GET /app/404 HTTP/1.1\r\nHost: a\r\n\r\n", 404},
	{"GET /dead HTTP/1.1\r\nHost: a\r\n\r\n", 502},
	{"GET /dead HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n", 502},
	{"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
	{"GET /limited HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"GET /limited HTTP/1.1\r\nHost: a\r\n\r\n", 429},
	{"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 404},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"HEAD /files/a.txt HTTP/1.1\r\nHost: a\r\n\r\n", 200},
	{"GET /files/deep HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n", 200},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", 206},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0,2-2\r\n\r\n", 206},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n", 304},
	{"GET /files/folder HTTP/1.1\r\nHost: a\r\n\r\n", 308},
	{"GET /files/none HTTP/1.1\r\nHost: a\r\n\r\n", 404},
	{"GET /files/.env HTTP/1.1\r\nHost: a\r\n\r\n", 404},
	{"POST /files/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n", 412},
	{"GET /files/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=9-\r\n\r\n", 416},
	{"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505},
}

// TestSameHeadersOnEveryAnswer: valor.md §4.6 (7): whoever made the answer and however, each security field is there exactly once, with one value; HSTS over
// TLS only.
func TestSameHeadersOnEveryAnswer(t *testing.T) {
	for _, secure := range []bool{false, true} {
		ask := headersEdge(t, "headers = \"strict\"\n", "headers = \"own\"\n", "[headers.own]\npreset = \"strict\"\nremove = [\"X-Powered-By\"]\n")
		want := ask(secure, everyAnswer[0].raw).Header
		for _, c := range everyAnswer {
			resp := ask(secure, c.raw)
			if resp.StatusCode != c.status {
				t.Errorf("%q: %d, want %d", c.raw, resp.StatusCode, c.status)
			}
			if resp.Header["X-Powered-By"] != nil {
				t.Errorf("%q: X-Powered-By %q was not removed", c.raw, resp.Header["X-Powered-By"])
			}
			for i, name := range securityFields {
				got := resp.Header.Values(name)
				if last := i == len(securityFields)-1; last && !secure {
					if len(got) != 0 {
						t.Errorf("%q: %s %q on a plain connection", c.raw, name, got)
					}
				} else if len(got) != 1 || got[0] == "" || got[0] != want.Get(name) {
					t.Errorf("%q (%d, TLS %v): %s %q, want %q once", c.raw, resp.StatusCode, secure, name, got, want.Get(name))
				}
			}
			for _, name := range []string{"Content-Type", "Cache-Control", "Content-Length", "X-Request-Id"} {
				if n := len(resp.Header.Values(name)); n > 1 {
					t.Errorf("%q: %d fields %s", c.raw, n, name)
				}
			}
		}
	}
}

// TestSameHeadersOverHTTP2: the same set on streams.
func TestSameHeadersOverHTTP2(t *testing.T) {
	e := newEdgeOver(t, "headers = \"strict\"\n", "", "")
	client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: e.roots, ServerName: "localhost"},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	want := e.ask(t)(true, everyAnswer[0].raw).Header
	for _, c := range []struct {
		path   string
		status int
	}{{"/app", 200}, {"/app/204", 204}, {"/app/302", 302}, {"/app/304", 304}, {"/app/404", 404}, {"/app/chunked", 200}, {"/dead", 502}, {"/files/a.txt", 200}, {"/files/folder", 308}, {"/files/none.js", 404}, {"/limited", 200},
		{"/limited", 429}, {"/none", 404}} {
		resp, err := client.Get("https://" + e.secure + c.path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || resp.ProtoMajor != 2 {
			t.Errorf("%s: %s %d, want HTTP/2 and %d", c.path, resp.Proto, resp.StatusCode, c.status)
		}
		for _, name := range securityFields {
			if got := resp.Header.Values(name); len(got) != 1 || got[0] != want.Get(name) {
				t.Errorf("%s: %s %q, want %q once", c.path, name, got, want.Get(name))
			}
		}
		if c.status == 429 && (resp.Header.Get("Retry-After") == "" || resp.Header.Get("RateLimit") == "" || resp.Header.Get("RateLimit-Policy") == "") {
			t.Errorf("429 with %v", resp.Header)
		}
	}
}

// TestBasicHeadersByDefault: nothing configured, every answer has the three of the basic preset, and what the upstream says itself is left alone.
func TestBasicHeadersByDefault(t *testing.T) {
	ask := headersEdge(t, "", "", "")
	for _, c := range everyAnswer {
		resp := ask(true, c.raw)
		referrer, transport := "strict-origin-when-cross-origin", "max-age=31536000"
		var frames []string
		if resp.Header.Get("X-Powered-By") != "" { // the upstream's answer
			referrer, transport, frames = "unsafe-url", "max-age=0", []string{"SAMEORIGIN", "ALLOWALL"}
		}
		for name, want := range map[string][]string{
			"X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {referrer}, "Strict-Transport-Security": {transport}, "X-Frame-Options": frames,
			"Content-Security-Policy": nil,
		} {
			if got := resp.Header.Values(name); !slices.Equal(got, want) {
				t.Errorf("%q (%d): %s %q, want %q", c.raw, resp.StatusCode, name, got, want)
			}
		}
	}
}

// TestHeadersOff: off leaves an upstream's answer as it is and adds nothing to ours.
func TestHeadersOff(t *testing.T) {
	ask := headersEdge(t, "headers = \"off\"\n", "", "")
	for _, c := range everyAnswer {
		resp := ask(true, c.raw)
		if got := resp.Header.Values("X-Content-Type-Options"); len(got) != 0 {
			t.Errorf("%q: %q", c.raw, got)
		}
	}
}

// TestHeadersChangeByReload: a reload changes what kept connections get with their next answer.
func TestHeadersChangeByReload(t *testing.T) {
	text := func(headers string) func(dir, upstream string) string {
		return func(dir, upstream string) string {
			return protectText(dir, upstream, "", "headers = \""+headers+"\"\n")
		}
	}
	r, blue, dir := started(t, text("off"))
	policy := func() string {
		_ = r.client.conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(r.client.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r.client.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Header.Get("X-Frame-Options")
	}
	if got := policy(); got != "" {
		t.Errorf("off: %q", got)
	}
	r.write(text("strict")(dir, blue.address))
	reloadWarnings(t, r)
	if got := policy(); got != "DENY" {
		t.Errorf("strict: %q", got)
	}
}
