package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/valor-ivx/weir/proxy/admin"
)

// site is an admin server on a real listener with a client that talks to it.
type site struct {
	*testing.T
	control *fakeControl
	server  *admin.Server
	audit   *observer.ObservedLogs
	client  *http.Client
	base    string
}

func serve(t *testing.T, o admin.Options) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, o)
}

func serveOn(t *testing.T, l net.Listener, o admin.Options) *site {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	s := &site{T: t, control: newFake(), audit: logs, base: "http://" + l.Addr().String()}
	if l.Addr().Network() == "unix" {
		s.base = "http://weir"
	}
	o.Control, o.Log = s.control, zap.New(core)
	srv, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.server = srv
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
	}}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// call sends one request; each header is "Name: value", and "Host: x" sets the host.
func (s *site) call(method, path, body string, headers ...string) (*http.Response, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res, string(b)
}

func TestStatusCodes(t *testing.T) {
	big := `{"blue":` + strings.Repeat(" ", 70_000) + `100,"green":0}`
	explain := `{"url":"http://127.0.0.1:8080/api/health"}`
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		contains                 string
	}{
		{name: "status", method: "GET", path: "/v1/status", status: 200, contains: `"generation":1`},
		{name: "status head", method: "HEAD", path: "/v1/status", status: 200},
		{name: "services", method: "GET", path: "/v1/services", status: 200, contains: `[{"name":"api"`},
		{name: "service", method: "GET", path: "/v1/services/api", status: 200, contains: `"weight":100`},
		{name: "service unknown", method: "GET", path: "/v1/services/nope", status: 404, contains: "no such service"},
		{name: "ech", method: "GET", path: "/v1/ech", status: 200, contains: `"config_list":"AAEC"`},
		{name: "csp reports", method: "GET", path: "/v1/csp-reports", status: 200, contains: `"directive":"script-src"`},
		{name: "requests", method: "GET", path: "/v1/requests?failed&service=api&route=all&group=green&limit=5", status: 200, contains: `"path":"{false true api all green   invalid Prefix 0 0s   5}"`},
		{name: "requests, as usual", method: "GET", path: "/v1/requests?slow=true", status: 200, contains: `"path":"{true false      invalid Prefix 0 0s   100}"`},
		{name: "requests, too many", method: "GET", path: "/v1/requests?limit=10001", status: 400, contains: `a number from 1 to 10000`},
		{name: "requests, misspelt", method: "GET", path: "/v1/requests?fail", status: 400, contains: `there is no such parameter`},
		{name: "errors", method: "GET", path: "/v1/errors", status: 200, contains: `"passed":0,"errors":[{"number":1`},
		{name: "config", method: "GET", path: "/v1/config", status: 200, contains: `"token":"redacted"`},
		{name: "certificates", method: "GET", path: "/v1/certificates", status: 200, contains: "[]"},
		{name: "plan", method: "POST", path: "/v1/plan", body: `{"path":"/x/new.toml"}`, status: 200, contains: `"changed":["a"],"effects":[]`},
		{name: "plan of the file itself", method: "POST", path: "/v1/plan", status: 200, contains: `"path":""`},
		{name: "plan of something else", method: "POST", path: "/v1/plan", body: `{"file":"x"}`, status: 400},
		{name: "plan stale", method: "POST", path: "/v1/plan", headers: []string{`If-Match: "g0"`}, status: 412},
		{name: "incidents", method: "GET", path: "/v1/incidents", status: 200, contains: `[{"id":"20260102T030405.000Z-api"`},
		{name: "incident", method: "GET", path: "/v1/incidents/20260102T030405.000Z-api", status: 200, contains: `"schema":"weir.incident/1","id":"20260102T030405.000Z-api"`},
		{name: "incident unknown", method: "GET", path: "/v1/incidents/nope", status: 404, contains: "no such incident"},
		{name: "incident elsewhere", method: "GET", path: "/v1/incidents/..%2foverlay", status: 404},
		{name: "nothing there", method: "GET", path: "/v1/nope", status: 404, contains: "/v1/nope"},
		{name: "page file unknown", method: "GET", path: "/page/nope.js", status: 404},
		{name: "page traversal", method: "GET", path: "/page/..%2fserver.go", status: 404},
		{name: "wrong method", method: "DELETE", path: "/v1/status", status: 405, contains: "GET, HEAD"},
		{name: "wrong method on events", method: "POST", path: "/v1/events", status: 405, contains: "GET, HEAD"},
		{name: "wrong method on weights", method: "POST", path: "/v1/services/api/weights", status: 405, contains: "DELETE, PUT"},
		{name: "odd method", method: "BREW", path: "/livez", status: 405},

		{name: "weights", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, status: 200, contains: `"weight":75`},
		{name: "weights decimals", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":66.67,"green":33.33}`, status: 200, contains: `66.67`},
		{name: "weights of nothing", method: "PUT", path: "/v1/services/nope/weights", body: `{"blue":75,"green":25}`, status: 404},
		{name: "weights sum", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":24.99}`, status: 422, contains: "add up to 99.99"},
		{name: "weights missing group", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":100}`, status: 422, contains: `\"green\" is not named`},
		{name: "weights unknown group", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":100,"green":0,"red":0}`, status: 422, contains: `no group \"red\"`},
		{name: "weights negative", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":101,"green":-1}`, status: 422, contains: "less than 0"},
		{name: "weights three decimals", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":99.999,"green":0.001}`, status: 422, contains: "more than two decimals"},
		{name: "weights exponent", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":1e2,"green":0}`, status: 422, contains: "not a decimal"},
		{name: "weights twice", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":50,"blue":50,"green":50}`, status: 422, contains: "named twice"},
		{name: "weights overflow", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":42949673.96,"green":0}`, status: 422, contains: "more than 100"},
		{name: "weights empty", method: "PUT", path: "/v1/services/api/weights", body: ``, status: 400},
		{name: "weights null", method: "PUT", path: "/v1/services/api/weights", body: `null`, status: 400},
		{name: "weights list", method: "PUT", path: "/v1/services/api/weights", body: `[75,25]`, status: 400},
		{name: "weights string", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":"75","green":25}`, status: 400, contains: "not a number"},
		{name: "weights nested", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":{"x":1},"green":25}`, status: 400},
		{name: "weights cut", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,`, status: 400},
		{name: "weights trailing", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}{}`, status: 400},
		{name: "weights NaN", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":NaN,"green":25}`, status: 400},
		{name: "weights too long", method: "PUT", path: "/v1/services/api/weights", body: big, status: 413, contains: "65536"},
		{name: "weights stale", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, headers: []string{`If-Match: "v99"`}, status: 412},
		{name: "weights weak tag", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, headers: []string{`If-Match: W/"v0"`}, status: 412},
		{name: "weights current", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, headers: []string{`If-Match: "v98", "v0"`}, status: 200},
		{name: "weights any", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, headers: []string{`If-Match: *`}, status: 200},
		{name: "weights bad tag", method: "PUT", path: "/v1/services/api/weights", body: `{"blue":75,"green":25}`, headers: []string{`If-Match: v0`}, status: 400},
		{name: "reset", method: "DELETE", path: "/v1/services/api/weights", status: 200, contains: `"weight":100`},
		{name: "reset stale", method: "DELETE", path: "/v1/services/api/weights", headers: []string{`If-Match: "v7"`}, status: 412},
		{name: "reset of nothing", method: "DELETE", path: "/v1/services/nope/weights", status: 404},
		{name: "reset with body", method: "DELETE", path: "/v1/services/api/weights", body: `{"blue":1}`, status: 400},

		{name: "reload", method: "POST", path: "/v1/reload", status: 200, contains: `{"generation":2,"unchanged":false,"changed":["service.api"]}`},
		{name: "reload stale", method: "POST", path: "/v1/reload", headers: []string{`If-Match: "g0"`}, status: 412},
		{name: "reload current", method: "POST", path: "/v1/reload", headers: []string{`If-Match: "g1"`}, status: 200},
		{name: "reload with body", method: "POST", path: "/v1/reload", body: "config = 1", status: 400},
		{name: "explain", method: "POST", path: "/v1/explain", body: explain, status: 200, contains: `"outcome":"GET http://127.0.0.1:8080/api/health from 127.0.0.1"`},
		{name: "explain relative", method: "POST", path: "/v1/explain", body: `{"url":"/api"}`, status: 422, contains: "not absolute"},
		{name: "explain scheme", method: "POST", path: "/v1/explain", body: `{"url":"ftp://h/"}`, status: 422},
		{name: "explain smuggling", method: "POST", path: "/v1/explain", body: `{"url":"http://h/","headers":[{"name":"a","value":"b\r\nc: d"}]}`, status: 422, contains: "cannot be sent"},
		{name: "explain method", method: "POST", path: "/v1/explain", body: `{"url":"http://h/","method":"GET /"}`, status: 422, contains: "not a token"},
		{name: "explain client", method: "POST", path: "/v1/explain", body: `{"url":"http://h/","client_ip":"here"}`, status: 422},
		{name: "explain unknown field", method: "POST", path: "/v1/explain", body: `{"uri":"http://h/"}`, status: 400, contains: "unknown field"},
		{name: "explain trailing", method: "POST", path: "/v1/explain", body: explain + "x", status: 400},
		{name: "stop", method: "POST", path: "/v1/stop", status: 202, contains: `{"pid":42,"mode":"graceful"}`},
		{name: "stop now", method: "POST", path: "/v1/stop?now", status: 202, contains: `"now"`},
		{name: "stop now false", method: "POST", path: "/v1/stop?now=false", status: 202, contains: `"graceful"`},
		{name: "stop now maybe", method: "POST", path: "/v1/stop?now=maybe", status: 400},
		{name: "stop conditional", method: "POST", path: "/v1/stop", headers: []string{`If-Match: "g1"`}, status: 412},
		{name: "reopen", method: "POST", path: "/v1/logs/reopen", status: 200},
		{name: "livez", method: "GET", path: "/livez", status: 200, contains: "ok"},
		{name: "readyz", method: "GET", path: "/readyz", status: 200, contains: "ok"},
		{name: "metrics absent", method: "GET", path: "/metrics", status: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, admin.Options{})
			s.control.version = 0
			res, body := s.call(c.method, c.path, c.body, c.headers...)
			if res.StatusCode != c.status || !strings.Contains(body, c.contains) {
				t.Fatalf("%d, want %d with %q; body: %s", res.StatusCode, c.status, c.contains, body)
			}
			if c.status >= 400 {
				checkProblem(t, res, body)
				if len(s.control.stops) > 0 || s.control.version > 0 {
					t.Error("a refused call changed something")
				}
			} else if strings.HasPrefix(c.path, "/v1/") && res.Header.Get("ETag") == "" {
				t.Error("no ETag")
			}
		})
	}
}

func checkProblem(t *testing.T, res *http.Response, body string) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	var p admin.Problem
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Status != res.StatusCode || p.Title == "" || p.Type == "" {
		t.Errorf("not a problem: %s (%v)", body, err)
	}
}

func TestReloadErrorsCarryPositions(t *testing.T) {
	s := serve(t, admin.Options{})
	s.control.reload = func() (admin.ReloadResult, error) {
		return admin.ReloadResult{}, &admin.InvalidError{Title: "configuration not valid", Details: []admin.Detail{
			{File: "weir.toml", Line: 3, Column: 7, Message: "unknown key"}, {File: "weir.toml", Line: 9, Column: 1, Message: "no such service"},
		}}
	}
	res, body := s.call("POST", "/v1/reload", "")
	want := `"errors":[{"file":"weir.toml","line":3,"column":7,"message":"unknown key"},{"file":"weir.toml","line":9,"column":1,"message":"no such service"}]`
	if res.StatusCode != 422 || !strings.Contains(body, want) {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
}

func TestUnchangedReloadIsVisible(t *testing.T) {
	s := serve(t, admin.Options{})
	s.control.reload = func() (admin.ReloadResult, error) {
		return admin.ReloadResult{Generation: 1, Unchanged: true}, nil
	}
	if _, body := s.call("POST", "/v1/reload", ""); !strings.Contains(body, `"unchanged":true,"changed":[]`) {
		t.Fatal(body)
	}
}

func TestInternalErrorsStayInTheLog(t *testing.T) {
	s := serve(t, admin.Options{})
	s.control.broken = io.ErrUnexpectedEOF
	res, body := s.call("GET", "/v1/services/api", "")
	if res.StatusCode != 500 || strings.Contains(body, "EOF") {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	if s.audit.FilterMessageSnippet("internal error").Len() != 1 {
		t.Fatal("the cause is not in the log")
	}
	s.control.broken = admin.ErrStopping
	if res, _ := s.call("POST", "/v1/stop", ""); res.StatusCode != 503 {
		t.Fatal(res.Status)
	}
}

func TestMetricsHandlerIsServed(t *testing.T) {
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "weir_up 1\n") })
	s := serve(t, admin.Options{Metrics: metrics})
	if res, body := s.call("GET", "/metrics", ""); res.StatusCode != 200 || body != "weir_up 1\n" {
		t.Fatal(res.Status, body)
	}
}

func TestReadyzNamesWhatFails(t *testing.T) {
	s := serve(t, admin.Options{})
	s.control.ready = []admin.Check{{Name: "config", OK: true}, {Name: "drain", OK: false, Detail: "stopping"}}
	if res, body := s.call("GET", "/readyz", ""); res.StatusCode != 503 || body != "not ready\n" {
		t.Fatal(res.Status, body)
	}
	if _, body := s.call("GET", "/readyz?verbose", ""); body != "[+]config ok\n[-]drain failed: stopping\nnot ready\n" {
		t.Fatal(body)
	}
	if res, _ := s.call("GET", "/livez", ""); res.StatusCode != 200 {
		t.Fatal("not ready must not mean not alive", res.Status)
	}
}

func TestUnixSocketVouchesForTheUser(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, l, admin.Options{})
	if res, body := s.call("POST", "/v1/logs/reopen", "", "Host: anything.example"); res.StatusCode != 200 {
		t.Fatal(res.Status, body)
	}
	entries := s.audit.FilterMessage("write done").All()
	if len(entries) != 1 || !strings.Contains(entries[0].ContextMap()["source.address"].(string), "uid=") {
		t.Fatal(entries)
	}
}

func TestWriteOutlivesAClientThatHangsUp(t *testing.T) {
	s := serve(t, admin.Options{})
	entered, hungUp := make(chan struct{}), make(chan struct{})
	cut := make(chan error, 1)
	s.control.slow = func(ctx context.Context) {
		close(entered)
		<-hungUp
		select {
		case <-ctx.Done():
			cut <- ctx.Err()
		// net/http notices a closed connection within milliseconds.
		case <-time.After(300 * time.Millisecond):
			cut <- nil
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/v1/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-entered
		cancel()
	}()
	if res, err := s.client.Do(req); err == nil {
		t.Fatal(res.Status)
	}
	close(hungUp)
	if err := <-cut; err != nil {
		t.Fatalf("the reload was cut off: %v", err)
	}
}

func TestWriteEndsAtItsTimeout(t *testing.T) {
	s := serve(t, admin.Options{Timeout: 20 * time.Millisecond})
	s.control.slow = func(ctx context.Context) { <-ctx.Done() }
	s.control.reload = func() (admin.ReloadResult, error) { return admin.ReloadResult{}, context.DeadlineExceeded }
	if res, body := s.call("POST", "/v1/reload", ""); res.StatusCode != 503 || !strings.Contains(body, "did not end in time") {
		t.Fatal(res.Status, body)
	}
}
