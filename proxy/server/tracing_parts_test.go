package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/otlptest"
)

// tracedEdge is an edge that traces every request, before one upstream.
func tracedEdge(t *testing.T, upstream http.HandlerFunc, top, inRoute string) (*running, *otlptest.Collector) {
	t.Helper()
	c := otlptest.Start(t)
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	blue := &colour{name: "blue"}
	if upstream != nil {
		blue.handler = upstream
	}
	blue.start(t)
	t.Cleanup(blue.kill)
	r := run(t, dir, tracedText(dir, blue.address, "endpoint = \""+c.HTTP+"\"\n", top, inRoute))
	t.Cleanup(r.stop)
	return r, c
}

// inBackground sends a request on a connection of its own, on a goroutine that tells its end.
func (r *running) inBackground(path string) <-chan error {
	ended := make(chan error, 1)
	go func() { // ends with its request
		req, err := http.NewRequest("GET", "http://"+r.address+path, nil)
		if err != nil {
			ended <- err
			return
		}
		req.Close = true
		res, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		ended <- err
	}()
	return ended
}

// TestTraceWaits: what a request waited for is a span of its own.
func TestTraceWaits(t *testing.T) {
	t.Run("queue", func(t *testing.T) {
		begun, release := make(chan struct{}, 2), make(chan struct{})
		r, c := tracedEdge(t, func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-release },
			"[service.api]\nbreaker = { max_requests = 1, max_queue = 16384, queue_timeout = \"1m\" }\n", "")
		first := r.inBackground("/first")
		await(t, begun, "the first is with its target")
		second := r.inBackground("/second")
		r.scraped(t, `weir_queue_length{priority="normal",service="api"} 1`)
		close(release)
		for _, ended := range []<-chan error{first, second} {
			if err := await(t, ended, "an answer"); err != nil {
				t.Fatal(err)
			}
		}
		ended := nextRequest(t, c)
		if ended.Attributes["url.path"] == "/first" { // whose books may be closed after the second's: its slot is given back before
			ended = nextRequest(t, c)
		}
		waiting := c.Next(t, 1)[0]
		if ended.Attributes["url.path"] != "/second" || waiting.Name != "queue" || waiting.ParentID() != ended.ID() || waiting.StartTimeUnixNano < ended.StartTimeUnixNano || waiting.EndTimeUnixNano > ended.EndTimeUnixNano ||
			waiting.EndTimeUnixNano == waiting.StartTimeUnixNano {
			t.Errorf("second: %v, and below it %v", ended, waiting)
		}
	})
	t.Run("pause", func(t *testing.T) {
		r, c := tracedEdge(t, nil, "", "")
		r.call(http.StatusOK, "POST", "/v1/services/api/pause", "")
		ended := r.inBackground("/")
		r.scraped(t, `weir_pause_waiting{service="api"} 1`)
		r.call(http.StatusOK, "POST", "/v1/services/api/resume", "")
		if err := await(t, ended, "an answer"); err != nil {
			t.Fatal(err)
		}
		tree := nextTree(t, c, 6)
		tree.within("server", "pause", "attempt 0")
		tree.within("attempt 0", "connect of attempt 0", "header of attempt 0", "body of attempt 0")
	})
	t.Run("auth", func(t *testing.T) {
		heard := make(chan string, 1)
		asked := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get("Traceparent") }))
		defer asked.Close()
		r, c := tracedEdge(t, nil, "[auth.sso]\ntype = \"forward\"\nurl = \""+asked.URL+"\"\n", "auth = \"sso\"\n")
		r.client.get(t)
		tree := nextTree(t, c, 6)
		tree.within("server", "auth", "attempt 0")
		if got, server := <-heard, tree.spans["server"]; got != "00-"+server.TraceID()+"-"+server.ID()+"-01" {
			t.Errorf("the service that was asked heard %s of %v", got, server)
		}
	})
}

// TestTraceHedge: the second try beside the first is an attempt of its own, and the first is told to be outrun.
func TestTraceHedge(t *testing.T) {
	heard := make(chan string, 16)
	slow := &colour{name: "slow", handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard <- r.Header.Get("Traceparent")
		<-r.Context().Done()
	})}
	slow.start(t)
	t.Cleanup(slow.kill)
	c := otlptest.Start(t)
	r, _, _ := started(t, func(dir, upstream string) string {
		return tracedText(dir, slow.address+"\", \""+upstream, "endpoint = \""+c.GRPC+"\"\nprotocol = \"grpc\"\nmax_per_second = 0\n", "[service.api]\nhedge = { delay = \"5ms\" }\nretry = { budget = 1.0 }\n", "")
	})
	// The slow target hears of a request that was sent to it first, or of one that went to the other first and took that longer than the delay: on a busy machine it may. Only of the former is this.
	eventually(t, "a request that was sent to the slow target first", func() bool {
		r.client.get(t)
		var place string
		select {
		case place = <-heard:
		default:
			return false
		}
		list := attemptsOf(t, c, place)
		first, second := list[0], list[1]
		if place == "00-"+second.TraceID()+"-"+second.ID()+"-01" {
			return false
		}
		if place != "00-"+first.TraceID()+"-"+first.ID()+"-01" || first.Attributes["weir.outrun"] != true || first.Attributes["weir.hedge"] != nil || first.Status != nil || first.Attributes["server.port"] == nil {
			t.Errorf("the first, which heard %s: %v", place, first)
		}
		if second.TraceID() != first.TraceID() || second.Attributes["weir.hedge"] != true || second.Attributes["http.response.status_code"] != int64(200) || second.Attributes["http.request.resend_count"] != int64(1) {
			t.Errorf("the second: %v", second)
		}
		return true
	})
}

// attemptsOf waits for the two attempts of the request whose place in its trace an upstream has heard, and passes over what was exported before.
func attemptsOf(t *testing.T, c *otlptest.Collector, place string) (list []otlptest.Span) {
	t.Helper()
	for len(list) < 2 {
		if s := c.Next(t, 1)[0]; s.Kind.String() == "SPAN_KIND_CLIENT" && strings.Contains(place, s.TraceID()) {
			list = append(list, s)
		}
	}
	return list
}

// TestTraceLongAnswers: event streams and tunnels are told when they have ended, whole.
func TestTraceLongAnswers(t *testing.T) {
	r, c := tracedEdge(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			return
		}
		conn, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = b.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" + r.Header.Get("Traceparent") + "\n")
		_ = b.Flush()
		_, _ = b.ReadString('\n')
		_ = conn.Close()
	}, "", "")
	if err := await(t, r.inBackground("/events"), "the events"); err != nil {
		t.Fatal(err)
	}
	tree := nextTree(t, c, 5)
	tree.within("attempt 0", "body of attempt 0")
	tree.has("server", map[string]any{"http.response.status_code": int64(200), "http.response.body.size": int64(9)})

	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nTraceparent: "+callersPlace+"\r\n\r\n")
	b := bufio.NewReader(conn)
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	heard, err := b.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "bye\n")
	_, _ = io.Copy(io.Discard, b)
	_ = conn.Close() // the other half
	server := nextRequest(t, c)
	attempt := c.Next(t, 1)[0]
	if server.Attributes["http.response.status_code"] != int64(101) || server.TraceID() != callersTrace || heard != "00-"+callersTrace+"-"+attempt.ID()+"-01\n" || server.Status != nil {
		t.Errorf("the tunnel, whose target heard %s: %v, %v", heard, server, attempt)
	}
}

// TestTraceToHTTP2: targets that share a connection hear each request's own place.
func TestTraceToHTTP2(t *testing.T) {
	heard := make(chan http.Header, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c := otlptest.Start(t)
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := run(t, dir, tracedText(dir, s.Listener.Addr().String(), "endpoint = \""+c.HTTP+"\"\n", "[service.api]\nprotocol = \"h2c\"\n", ""))
	t.Cleanup(r.stop)
	for i := range 2 {
		h := inquire(t, r, heard, "Traceparent", callersPlace, "Tracestate", "a=b")
		server := nextRequest(t, c)
		attempt := c.Next(t, 1)[0]
		if h.Get("Traceparent") != "00-"+callersTrace+"-"+attempt.ID()+"-01" || h.Get("Tracestate") != "a=b" || attempt.ParentID() != server.ID() {
			t.Errorf("%d: heard %v of %v", i, h, attempt)
		}
	}
}

// TestTraceOfWhatWeirAnswers: a request that reaches no target is a span alone, an error only where an operator would call it one.
func TestTraceOfWhatWeirAnswers(t *testing.T) {
	c := otlptest.Start(t)
	dead := newColour(t, "dead")
	dead.kill()
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text := tracedText(dir, dead.address, "endpoint = \""+c.HTTP+"\"\n", "[service.api]\nretry = { attempts = 1 }\n", "path = \"/api\"\n")
	r := run(t, dir, text)
	t.Cleanup(r.stop)
	for path, want := range map[string]struct {
		name, reason, status string
		code                 int64
	}{"/elsewhere": {"GET", "no_route", "STATUS_CODE_UNSET", 404}, "/api/x": {"GET /api", "connection_refused", "STATUS_CODE_ERROR", 502}} {
		if err := await(t, r.inBackground(path), path); err != nil {
			t.Fatal(err)
		}
		s := nextRequest(t, c)
		if a := s.Attributes; s.Name != want.name || a["error.type"] != want.reason || s.Status.GetCode().String() != want.status || a["http.response.status_code"] != want.code {
			t.Errorf("%s: %v, want %v", path, s, want)
		}
	}
}

// TestCollectorAway: without a collector requests are served as with one, the loss is counted, and weir ends in time.
func TestCollectorAway(t *testing.T) {
	dead := newColour(t, "collector")
	dead.kill()
	r, _, _ := started(t, func(dir, upstream string) string {
		return tracedText(dir, upstream, "endpoint = \"http://"+dead.address+"\"\ntimeout = \"100ms\"\nqueue = 16\nmax_per_second = 0\n", "", "")
	})
	for range 100 {
		if status, by := r.client.get(t); status != http.StatusOK || by != "blue" {
			t.Fatalf("%d by %q", status, by)
		}
	}
	eventually(t, "all of them are counted", func() bool {
		var failed, full int
		for line := range strings.Lines(r.call(http.StatusOK, "GET", "/metrics", "")) {
			_, _ = fmt.Sscanf(line, "weir_traces_dropped_total{reason=\"failed\"} %d", &failed)
			_, _ = fmt.Sscanf(line, "weir_traces_dropped_total{reason=\"queue_full\"} %d", &full)
		}
		return failed+full == 100 && failed >= 16
	})
	r.scraped(t, "weir_traces_exported_total 0")
}
