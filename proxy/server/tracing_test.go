package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy/otlptest"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	callersPlace = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// spanTree is the spans of one request by their names; the server's and the attempts', which are named by method and route, as "server", "attempt 0" and so on.
type spanTree struct {
	t     *testing.T
	spans map[string]otlptest.Span
}

// nextTree waits for n spans, which must be those of one request.
func nextTree(t *testing.T, c *otlptest.Collector, n int) *spanTree {
	t.Helper()
	tree := &spanTree{t, map[string]otlptest.Span{}}
	attempts := map[string]string{}
	for _, s := range c.Next(t, n) {
		name := s.Name
		switch s.Kind.String() {
		case "SPAN_KIND_SERVER":
			name = "server"
		case "SPAN_KIND_CLIENT":
			name = fmt.Sprint("attempt ", len(attempts))
			attempts[s.ID()] = name
		default:
			if of, ok := attempts[s.ParentID()]; ok {
				name += " of " + of
			}
		}
		if was, twice := tree.spans[name]; twice || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("span %s: %v, and before it %v", name, s, was)
		}
		tree.spans[name] = s
	}
	for name, s := range tree.spans {
		if s.TraceID() != tree.spans["server"].TraceID() {
			t.Errorf("span %s is of another trace: %v", name, s)
		}
	}
	return tree
}

// names are those of the spans in order.
func (t *spanTree) names() string {
	var list []string
	for name := range t.spans {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// within holds spans to lie below a parent and in its time.
func (t *spanTree) within(parent string, names ...string) {
	t.t.Helper()
	p := t.spans[parent]
	for _, name := range names {
		s, ok := t.spans[name]
		if !ok || s.ParentID() != p.ID() || s.StartTimeUnixNano < p.StartTimeUnixNano || s.EndTimeUnixNano > p.EndTimeUnixNano {
			t.t.Errorf("span %s is not within %s: have %s", name, parent, t.names())
		}
	}
}

// has holds a span's attributes to these.
func (t *spanTree) has(name string, want map[string]any) {
	t.t.Helper()
	for key, value := range want {
		if got := t.spans[name].Attributes[key]; got != value {
			t.t.Errorf("%s: %s = %v, want %v", name, key, got, value)
		}
	}
}

// TestTraceThroughEveryProtocol: a request by HTTP/1.1, 2 and 3 goes on with its caller's trace: the spans lie below the caller's, the upstream is below the attempt that asked it, log and
// recorder name the trace, and nothing of it is a secret.
func TestTraceThroughEveryProtocol(t *testing.T) {
	c := otlptest.Start(t)
	heard := make(chan http.Header, 1)
	e := newQUICEdge(t, quicText{top: "[tracing]\nendpoint = \"" + c.HTTP + "\"\n"}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		heard <- r.Header
		_, _ = w.Write([]byte("0123456789"))
	})
	version := map[string]string{"HTTP11": "1.1", "HTTP2": "2", "HTTP3": "3"}
	for proto, client := range map[string]*http.Client{"HTTP11": e.tcp(true), "HTTP2": e.tcp(false), "HTTP3": e.client3()} {
		req, err := http.NewRequest("PUT", e.url("/"+proto+";id=par4meter?token=s3cret"), strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", callersPlace)
		req.Header.Add("Tracestate", "rojo=00f067aa0ba902b7")
		req.Header.Add("Tracestate", "congo=t61rcWkgMzE")
		req.Header.Set("User-Agent", "test/1")
		req.Header.Set("Authorization", "Bearer p4ssword")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		h := <-heard
		spans := c.Next(t, 0)
		spans = append(spans, c.Next(t, 4)...)
		if spans[2].Name == "connect" { // the first of them made the connection
			spans = append(spans, c.Next(t, 1)...)
		}
		for _, s := range spans {
			if text := fmt.Sprint(s.Span); strings.Contains(text, "s3cret") || strings.Contains(text, "p4ssword") || strings.Contains(text, "par4meter") {
				t.Errorf("a secret is in %s", text)
			}
		}
		server, attempt := spans[0], spans[1]
		if server.TraceID() != callersTrace || server.ParentID() != callersSpan || server.Name != "PUT /" || server.TraceState != "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE" ||
			server.Kind.String() != "SPAN_KIND_SERVER" || server.Resource["service.name"] != "weir" || attempt.ParentID() != server.ID() || attempt.TraceID() != callersTrace {
			t.Errorf("%s: %v", proto, spans)
		}
		if got := h.Values("Traceparent"); len(got) != 1 || got[0] != "00-"+callersTrace+"-"+attempt.ID()+"-01" {
			t.Errorf("%s: the upstream was told %q, the attempt is %s", proto, got, attempt.ID())
		}
		if got := strings.Join(h.Values("Tracestate"), ","); got != "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE" {
			t.Errorf("%s: tracestate %q", proto, got)
		}
		tree := &spanTree{t, map[string]otlptest.Span{"server": server, "attempt 0": attempt, "header": spans[len(spans)-2], "body": spans[len(spans)-1]}}
		tree.within("server", "attempt 0")
		tree.within("attempt 0", "header", "body")
		tree.has("server", map[string]any{
			"http.request.method": "PUT", "http.route": "/", "http.response.status_code": int64(200), "url.path": "/" + proto, "url.scheme": "https", "server.address": "localhost",
			"client.address": "127.0.0.1", "network.protocol.version": version[proto], "user_agent.original": "test/1", "error.type": nil, "url.query": nil, "weir.route": "all",
			"weir.listener": "https", "weir.service": "api", "weir.group": "blue", "weir.request_id": res.Header.Get("X-Request-Id"), "http.request.body.size": int64(3),
			"http.response.body.size": int64(10),
		})
		tree.has("attempt 0", map[string]any{
			"http.request.method": "PUT", "server.address": "127.0.0.1", "http.response.status_code": int64(200), "url.full": "http://" + e.backend + "/" + proto, "error.type": nil,
		})
		if r := awaitKept(e.running, "?service=api", "/"+proto); r.TraceID != callersTrace || !r.Sampled {
			t.Errorf("%s: the recorder has %+v", proto, r)
		}
		eventually(t, "trace.id and span.id are in the log", func() bool {
			b, err := os.ReadFile(filepath.Join(e.dir, "access.log"))
			return err == nil && strings.Contains(string(b), `"trace.id":"`+callersTrace+`","span.id":"`+server.ID()+`"`)
		})
	}
	e.scraped(t, "weir_traces_exported_total 3")
	e.scraped(t, `weir_traces_dropped_total{reason="failed"} 0`)
}

// tracedText is a configuration with [tracing], the further keys of which are given, and one target.
func tracedText(dir, upstream, keys, top, inRoute string) string {
	return strings.Replace(protectText(dir, upstream, top+"[tracing]\n"+keys, inRoute), "access = \"off\"", "output = \"access.log\"", 1)
}

// TestTraceAttempts: over gRPC, with what the collector knows weir by; a target that is not there is an attempt of its own that failed, and the next is another.
func TestTraceAttempts(t *testing.T) {
	c := otlptest.Start(t)
	dead := newColour(t, "dead")
	dead.kill()
	keys := "endpoint = \"" + c.GRPC + "\"\nprotocol = \"grpc\"\nheaders = { \"X-Scope\" = \"edge\" }\nservice_name = \"edge\"\nresource_attributes = { team = \"a\", \"host.name\" = \"h\" }\n"
	r, _, _ := started(t, func(dir, upstream string) string {
		return tracedText(dir, dead.address+"\", \""+upstream, keys, "[service.api]\nbalance = \"round_robin\"\nejection = { max_ejected = 0.0 }\nretry = { attempts = 2, budget = 1.0 }\n", "")
	})
	const requests = 4 // some of which begin at the dead one
	for range requests {
		if status, by := r.client.get(t); status != http.StatusOK || by != "blue" {
			t.Fatalf("%d by %q", status, by)
		}
	}
	servers, good := 0, 0
	failed := map[string]otlptest.Span{} // by trace
	for servers < requests || good < requests {
		s := c.Next(t, 1)[0]
		if s.Header.Get("X-Scope") != "edge" || s.Resource["service.name"] != "edge" || s.Resource["team"] != "a" || s.Resource["host.name"] != "h" || s.Scope != "github.com/valor-ivx/weir" {
			t.Fatalf("%v of %v, %v", s.Header, s.Resource, s.Scope)
		}
		switch kind := s.Kind.String(); {
		case kind == "SPAN_KIND_CLIENT" && s.Attributes["error.type"] == "connection_refused":
			failed[s.TraceID()] = s
			if s.Status.GetCode().String() != "STATUS_CODE_ERROR" || s.Attributes["http.response.status_code"] != nil || s.Attributes["http.request.resend_count"] != nil {
				t.Errorf("the failed attempt: %v", s)
			}
		case kind == "SPAN_KIND_CLIENT":
			good++
			before, again := failed[s.TraceID()]
			if s.Status.GetCode().String() != "STATUS_CODE_UNSET" || s.Attributes["http.response.status_code"] != int64(200) || again != (s.Attributes["http.request.resend_count"] == int64(1)) ||
				again && (before.ParentID() != s.ParentID() || before.EndTimeUnixNano > s.StartTimeUnixNano || before.Attributes["server.port"] == s.Attributes["server.port"]) {
				t.Errorf("the good attempt: %v, after %v", s, before)
			}
		case kind == "SPAN_KIND_SERVER":
			servers++
			if s.ParentSpanId != nil || s.Status.GetCode().String() != "STATUS_CODE_UNSET" {
				t.Errorf("the request: %v", s)
			}
		}
	}
	if len(failed) == 0 || servers != requests || good != requests {
		t.Errorf("%d requests, %d failed and %d good attempts", servers, len(failed), good)
	}
}

// TestTraceContextWithoutTracing: without [tracing] both fields are forwarded byte for byte, good or not, and the log has the trace of a good one.
func TestTraceContextWithoutTracing(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	heard := make(chan http.Header, 1)
	c := hearing(t, heard)
	r := run(t, dir, strings.Replace(protectText(dir, c.address, "", ""), "access = \"off\"", "output = \"access.log\"", 1))
	t.Cleanup(r.stop)
	for _, parent := range []string{callersPlace, "garbage", "00-0-0-0", callersPlace + "-more"} {
		h := inquire(t, r, heard, "Traceparent", parent, "Tracestate", "not really = , a state")
		if h.Get("Traceparent") != parent || h.Get("Tracestate") != "not really = , a state" {
			t.Errorf("%s became %s, %s", parent, h.Get("Traceparent"), h.Get("Tracestate"))
		}
	}
	eventually(t, "the trace is in the log, once", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "access.log"))
		text := string(b)
		return err == nil && strings.Count(text, `"event.dataset":"weir.access"`) == 4 && strings.Count(text, `"trace.id":"`+callersTrace+`"`) == 1 && !strings.Contains(text, `"span.id"`)
	})
}

// hearing is an upstream that tells what it was sent.
func hearing(t *testing.T, heard chan<- http.Header) *colour {
	c := &colour{name: "blue", handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header })}
	c.start(t)
	t.Cleanup(c.kill)
	return c
}

// inquire sends a request with fields and returns what the upstream heard.
func inquire(t *testing.T, r *running, heard <-chan http.Header, fields ...string) http.Header {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+r.address+"/asked", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return await(t, heard, "the upstream is asked")
}

// TestTraceParents: who is believed, what is not believed is replaced, and the upstream hears what was decided whether or not there are spans.
func TestTraceParents(t *testing.T) {
	c := otlptest.Start(t)
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	heard := make(chan http.Header, 1)
	blue := hearing(t, heard)
	text := func(keys, top string) string {
		return tracedText(dir, blue.address, "endpoint = \""+c.HTTP+"\"\n"+keys, top, "")
	}
	r := run(t, dir, text("sample_ratio = 0.0\n", ""))
	t.Cleanup(r.stop)
	fresh := func(what string, h http.Header, flags string) {
		t.Helper()
		got := h.Values("Traceparent")
		if len(got) != 1 || len(got[0]) != 55 || strings.Contains(got[0], callersTrace) || !strings.HasSuffix(got[0], "-"+flags) || h.Get("Tracestate") != "" {
			t.Errorf("%s: told %q, %q, want a trace of its own with flags %s", what, got, h.Values("Tracestate"), flags)
		}
	}
	fresh("no caller", inquire(t, r, heard), "00")
	for _, bad := range []string{"garbage", strings.ToUpper(callersPlace), callersPlace + "-more", "ff" + callersPlace[2:], "00-" + strings.Repeat("0", 32) + callersPlace[35:], strings.Repeat("a", 8000)} {
		fresh(bad, inquire(t, r, heard, "Traceparent", bad, "Tracestate", "a=b"), "00")
	}
	fresh("two callers", inquire(t, r, heard, "Traceparent", callersPlace, "Traceparent", callersPlace), "00")
	h := inquire(t, r, heard, "Traceparent", callersPlace[:53]+"00", "Tracestate", "a=b")
	if got := h.Get("Traceparent"); !strings.HasPrefix(got, "00-"+callersTrace+"-") || !strings.HasSuffix(got, "-00") || strings.Contains(got, callersSpan) || h.Get("Tracestate") != "a=b" {
		t.Errorf("a caller who does not sample: told %q", got)
	}
	// A later version is gone on with as ours; a bad state is dropped alone.
	h = inquire(t, r, heard, "Traceparent", "cc"+callersPlace[2:]+"-more", "Tracestate", "A=B")
	if got := h.Get("Traceparent"); !strings.HasPrefix(got, "00-"+callersTrace+"-") || !strings.HasSuffix(got, "-01") || h.Get("Tracestate") != "" {
		t.Errorf("a later version: told %q, %q", got, h.Get("Tracestate"))
	}
	if s := nextRequest(t, c); s.TraceID() != callersTrace { // of all these, the one that a caller wanted
		t.Errorf("sampled: %v", s)
	}
	r.write(text("sample_ratio = 1.0\nmax_per_second = 1\nparent = \"none\"\n", ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	fresh("nobody is believed", inquire(t, r, heard, "Traceparent", callersPlace, "Tracestate", "a=b"), "01")
	r.write(text("max_per_second = 0\nparent = \"trusted\"\n", "[client_ip]\ntrusted_proxies = [\"192.0.2.0/24\"]\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	fresh("no proxy of ours", inquire(t, r, heard, "Traceparent", callersPlace, "Tracestate", "a=b"), "01")
	r.write(text("parent = \"trusted\"\n", "[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if got := inquire(t, r, heard, "Traceparent", callersPlace).Get("Traceparent"); !strings.HasPrefix(got, "00-"+callersTrace+"-") {
		t.Errorf("our own proxy: told %q", got)
	}
	for range 3 {
		nextRequest(t, c)
	}
	r.scraped(t, "weir_traces_exported_total 4")
}

// TestTraceLimit: what callers want sampled is bounded too, and what is beyond it the upstream hears as not sampled.
func TestTraceLimit(t *testing.T) {
	c := otlptest.Start(t)
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	heard := make(chan http.Header, 1)
	blue := hearing(t, heard)
	r := run(t, dir, tracedText(dir, blue.address, "endpoint = \""+c.HTTP+"\"\nmax_per_second = 1\n", "", ""))
	t.Cleanup(r.stop)
	eventually(t, "one that is not sampled any more", func() bool {
		got := inquire(t, r, heard, "Traceparent", callersPlace).Get("Traceparent")
		return strings.HasPrefix(got, "00-"+callersTrace+"-") && strings.HasSuffix(got, "-00")
	})
}

// TestTraceOutlivesReloads: the collector of the configuration in force gets what ends from then on, also of requests that began before; keys that are the same keep the exporter.
func TestTraceOutlivesReloads(t *testing.T) {
	first, second := otlptest.Start(t), otlptest.Start(t)
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	begun, release := make(chan struct{}), make(chan struct{})
	var slow atomic.Bool
	blue := &colour{name: "blue", handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if slow.Load() {
			begun <- struct{}{}
			<-release
		}
	})}
	blue.start(t)
	t.Cleanup(blue.kill)
	text := func(c *otlptest.Collector, more string) string {
		return tracedText(dir, blue.address, "endpoint = \""+c.HTTP+"\"\n"+more, "", "")
	}
	r := run(t, dir, text(first, ""))
	r.client.get(t)
	nextRequest(t, first)
	slow.Store(true)
	ended := make(chan error, 1)
	go func() { // ends with its request
		res, err := http.Get("http://" + r.address + "/")
		if err == nil {
			_ = res.Body.Close()
		}
		ended <- err
	}()
	await(t, begun, "the slow request has reached its target")
	slow.Store(false)
	r.write(text(second, ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	close(release)
	if err := await(t, ended, "the slow request"); err != nil {
		t.Fatal(err)
	}
	nextRequest(t, second)
	r.write(text(second, "sample_ratio = 0.5\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	r.write(protectText(dir, blue.address, "", ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	r.client.get(t)
	r.write(text(first, ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	r.client.get(t)
	r.stop() // which sends what is there
	if a, b := requestsIn(first), requestsIn(second); a != 1 || b != 0 {
		t.Errorf("%d and %d more requests had been exported when weir had ended", a, b)
	}
}

// nextRequest waits for the span of the next request and passes over those of its parts.
func nextRequest(t *testing.T, c *otlptest.Collector) otlptest.Span {
	t.Helper()
	for {
		if s := c.Next(t, 1)[0]; s.Kind.String() == "SPAN_KIND_SERVER" {
			return s
		}
	}
}

// requestsIn takes what a collector has by now and counts the requests.
func requestsIn(c *otlptest.Collector) (n int) {
	for {
		select {
		case s := <-c.Spans:
			if s.Kind.String() == "SPAN_KIND_SERVER" {
				n++
			}
		default:
			return n
		}
	}
}
