package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// watch is a tap of the running server, which is open when it comes.
type watch struct {
	t     fataler
	lines *bufio.Scanner
	leave func()
}

func (r *running) tap(query string) *watch {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a guard, no measure
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://weir/v1/tap"+query, nil)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	res, err := r.admin.Do(req)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	r.t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		r.t.Fatalf("tap%s: %s %s", query, res.Status, b)
	}
	w := &watch{t: r.t, lines: bufio.NewScanner(res.Body), leave: cancel}
	if e := w.next(); e.Request != nil {
		r.t.Fatalf("the first event: %+v", e)
	}
	return w
}

// next is the next event.
func (w *watch) next() (e admin.TapEvent) {
	w.t.Helper()
	for w.lines.Scan() {
		if data, ok := strings.CutPrefix(w.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				w.t.Fatalf("%v", err)
			}
			return e
		}
	}
	w.t.Fatalf("the tap has ended: %v", w.lines.Err())
	return e
}

// request is the next one that is told; none may be missed.
func (w *watch) request() admin.RequestSummary {
	w.t.Helper()
	for {
		e := w.next()
		if e.Missed != 0 {
			w.t.Fatalf("%d are missed", e.Missed)
		}
		if e.Request != nil {
			return *e.Request
		}
	}
}

// TestTapThroughEveryProtocol: requests over HTTP/1.1, 2 and 3 are told to each who chose them, to nobody else, with nothing secret in them.
func TestTapThroughEveryProtocol(t *testing.T) {
	e := newQUICEdge(t, quicText{top: "[recorder]\nrequests = 0\n"}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = w.Write([]byte("0123456789"))
	})
	all, bad, posts, marked, others := e.tap(""), e.tap("?status=5xx"), e.tap("?method=POST&path=/b"), e.tap("?header=X-Mark&client=127.0.0.0/8"), e.tap("?service=api&path=/end")
	ask := func(c *http.Client, method, path string, header ...string) {
		t.Helper()
		req, err := http.NewRequest(method, e.url(path), strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "session=c00kie")
		req.Header.Set("Authorization", "Bearer p4ssword")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		r := all.request()
		if r.Method != method || r.Proto != res.Proto || r.Status != res.StatusCode || r.RequestID != res.Header.Get("X-Request-Id") || r.Target != e.backend || r.Attempts != 1 || r.BytesIn != 3 ||
			r.BytesOut != 10 || r.Client != "127.0.0.1" || r.DurationUS <= 0 || r.Generation != 1 || r.RouteWhy != "host localhost, path /" || r.GroupWhy != "by weight, 100 %" || r.Dealt != "blue" ||
			time.Since(r.At) > time.Hour || time.Until(r.At) > time.Minute {
			t.Errorf("%s %s: %+v", method, path, r)
		}
		told, _ := json.Marshal(r)
		for _, secret := range []string{"s3cret", "c00kie", "p4ssword", "par4meter", "m4rk"} {
			if strings.Contains(string(told), secret) {
				t.Errorf("%s is told: %s", secret, told)
			}
		}
	}
	for proto, c := range map[string]*http.Client{"HTTP/1.1": e.tcp(true), "HTTP/2.0": e.tcp(false), "HTTP/3.0": e.client3()} {
		ask(c, "PUT", "/a;id=par4meter?token=s3cret")
		ask(c, "PUT", "/bad")
		ask(c, "POST", "/b", "X-Mark", "m4rk")
		for what, w := range map[string]*watch{"/bad": bad, "/b": posts} {
			if r := w.request(); r.Path != what || r.Proto != proto {
				t.Errorf("want %s %s: %+v", proto, what, r)
			}
		}
		if r := marked.request(); r.Path != "/b" || r.Proto != proto {
			t.Errorf("with the field: %+v", r)
		}
	}
	ask(e.tcp(true), "GET", "/end")
	if r := others.request(); r.Path != "/end" {
		t.Errorf("what nobody asked for: %+v", r)
	}
}

// TestTapSaysWhy: for each way to come to a group, and for what never came to one.
func TestTapSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name, service, green, request string
		weight                        int // blue's
		kill                          string
		status                        int
		group, dealt, why, reason     string
	}{
		{name: "dealt", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 100, status: 200, group: "blue", dealt: "blue", why: "by weight, 100 %"},
		{name: "asked", green: "match = { header = \"X-Canary: s3cret\" }\n", request: "GET / HTTP/1.1\r\nHost: x\r\nX-Canary: s3cret\r\n\r\n", weight: 100, status: 200, group: "green", dealt: "green",
			why: "asked for by header X-Canary"},
		{name: "asked by cookie", green: "match = { cookie = \"canary=s3cret\" }\n", request: "GET / HTTP/1.1\r\nHost: x\r\nCookie: canary=s3cret\r\n\r\n", weight: 100, status: 200, group: "green", dealt: "green",
			why: "asked for by cookie canary"},
		{name: "new", service: "sticky = \"cookie\"", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 0, status: 200, group: "green", dealt: "green", why: "a new client, by weight, 100 %"},
		{name: "header", service: "sticky = \"header:X-Tenant\"", request: "GET / HTTP/1.1\r\nHost: x\r\nX-Tenant: t\r\n\r\n", weight: 0, status: 200, group: "green", dealt: "green", why: "the client's, by header X-Tenant"},
		{name: "no header", service: "sticky = \"header:X-Tenant\"", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 0, status: 200, group: "green", dealt: "green",
			why: "the client's, by its address: it shows no header X-Tenant"},
		{name: "application's cookie", service: "sticky = \"cookie:sid\"", request: "GET / HTTP/1.1\r\nHost: x\r\nCookie: sid=s3cret\r\n\r\n", weight: 0, status: 200, group: "green", dealt: "green",
			why: "the client's, by cookie sid"},
		{name: "address", service: "sticky = \"client_ip\"", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 0, status: 200, group: "green", dealt: "green", why: "the client's, by its address"},
		{name: "unreachable", request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 0, kill: "green", status: 502, group: "green", dealt: "green", why: "by weight, 100 %", reason: "connection_refused"},
		{name: "refused", request: "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", weight: 0, status: 405, reason: "http_request_denied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newStuck(t, c.weight, c.service, c.green)
			if c.kill != "" {
				e.green.kill()
			}
			w := e.tap("")
			if _, err := io.WriteString(e.client.conn, c.request); err != nil {
				t.Fatal(err)
			}
			r := w.request()
			if r.Status != c.status || r.Group != c.group || r.Dealt != c.dealt || r.GroupWhy != c.why || r.Reason != c.reason {
				t.Errorf("%+v", r)
			}
			if told, _ := json.Marshal(r); strings.Contains(string(told), "s3cret") {
				t.Errorf("a secret is told: %s", told)
			}
		})
	}
}
