package trace_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/otlptest"
	"github.com/valor-ivx/weir/proxy/trace"
)

// exporting is an exporter under test with its counters.
type exporting struct {
	*trace.Exporter
	t        *testing.T
	counters *trace.Counters
}

func export(t *testing.T, o trace.Options) *exporting {
	t.Helper()
	e := &exporting{t: t, counters: new(trace.Counters)}
	o.Counters, o.Logger = e.counters, zap.NewNop()
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Queue == 0 {
		o.Queue = 100
	}
	var err error
	if e.Exporter, err = trace.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.end(0) })
	return e
}

// end closes the exporter, which may take so long.
func (e *exporting) end(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	e.Close(ctx)
}

// has holds the counters to these; what is not named is 0.
func (e *exporting) has(exported uint64, dropped map[string]uint64) {
	e.t.Helper()
	if got := e.counters.Exported.Load(); got != exported {
		e.t.Errorf("%d exported, want %d", got, exported)
	}
	e.counters.Dropped(func(reason string, n uint64) {
		if n != dropped[reason] {
			e.t.Errorf("%d dropped: %s, want %d", n, reason, dropped[reason])
		}
	})
}

// sum is how many requests are accounted for.
func sum(c *trace.Counters) uint64 {
	n := c.Exported.Load()
	c.Dropped(func(_ string, d uint64) { n += d })
	return n
}

// request is a sampled one with everything in it.
func request() *trace.Request {
	parent, _ := trace.Parse([]byte(good))
	return &trace.Request{
		Context: parent, Span: trace.NewSpanID(), Wall: time.Unix(1000, 500), Clock: 9_000, Start: 1_000, End: 9_000, Client: netip.MustParseAddr("192.0.2.1"), Source: netip.MustParseAddr("10.0.0.1"),
		Proto: message.HTTP2, Method: message.GET, Host: "shop.test:8443", Path: "/a", Status: 502, Reason: "connection_refused", Failed: true, Route: "all", Pattern: "/", Service: "api",
		Waits:    []trace.Wait{{Name: "queue", From: 1_500, To: 2_000}},
		Attempts: []*trace.Attempt{{Span: trace.NewSpanID(), Group: "blue", Address: "[::1]:80", Began: 2_000, DialBegan: 2_000, DialEnded: 3_000, End: 3_000, Failed: true, Reason: "connection_refused"}},
	}
}

// TestSpansOfARequest: what was timed is what is exported, over either protocol, compressed or not.
func TestSpansOfARequest(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	for name, o := range map[string]trace.Options{
		"http": {Endpoint: c.HTTP}, "http plain": {Endpoint: c.HTTP + "/", Plain: true}, "http whole": {Endpoint: c.HTTP + "/v1/traces"}, "grpc": {Endpoint: c.GRPC, GRPC: true},
		"grpc plain": {Endpoint: c.GRPC + "/", GRPC: true, Plain: true},
	} {
		o.Headers, o.Resource, o.Version = []trace.Attribute{{Name: "X-Key", Value: "k"}}, []trace.Attribute{{Name: "service.name", Value: "edge"}}, "1.2.3"
		e := export(t, o)
		r := request()
		e.Add(r)
		e.end(time.Minute)
		e.has(1, nil)
		spans := c.Next(t, 4)
		for i, want := range []struct {
			name, kind, parent string
			from, to           uint64
		}{
			{"GET /", "SPAN_KIND_SERVER", "00f067aa0ba902b7", 1_000, 9_000}, {"queue", "SPAN_KIND_INTERNAL", spans[0].ID(), 1_500, 2_000},
			{"GET", "SPAN_KIND_CLIENT", spans[0].ID(), 2_000, 3_000}, {"connect", "SPAN_KIND_INTERNAL", spans[2].ID(), 2_000, 3_000},
		} {
			s := spans[i]
			const base = 1000_000_000_500 - 9_000
			if s.Name != want.name || s.Kind.String() != want.kind || s.ParentID() != want.parent || s.StartTimeUnixNano != base+want.from || s.EndTimeUnixNano != base+want.to ||
				s.TraceID() != "4bf92f3577b34da6a3ce929d0e0e4736" || s.Header.Get("X-Key") != "k" || s.Resource["service.name"] != "edge" || s.Flags&1 == 0 {
				t.Errorf("%s: span %d: %v, want %+v", name, i, s, want)
			}
		}
		for key, want := range map[string]any{
			"server.address": "shop.test", "server.port": int64(8443), "client.address": "192.0.2.1", "network.peer.address": "10.0.0.1", "error.type": "connection_refused",
			"http.response.status_code": int64(502), "network.protocol.version": "2", "user_agent.original": nil,
		} {
			if got := spans[0].Attributes[key]; got != want {
				t.Errorf("%s: %s = %v, want %v", name, key, got, want)
			}
		}
		if a := spans[2].Attributes; a["server.address"] != "::1" || a["server.port"] != int64(80) || a["http.response.status_code"] != nil {
			t.Errorf("%s: the attempt has %v", name, a)
		}
		if spans[0].Flags&0x300 != 0x300 || spans[1].Flags&0x300 != 0x100 || spans[0].Status.Code.String() != "STATUS_CODE_ERROR" {
			t.Errorf("%s: flags %x and %x, status %v", name, spans[0].Flags, spans[1].Flags, spans[0].Status)
		}
	}
}

// TestTextsOfClients: bytes that are no text cost neither the batch nor the request that they came with.
func TestTextsOfClients(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	for _, o := range []trace.Options{{Endpoint: c.HTTP}, {Endpoint: c.GRPC, GRPC: true}} {
		e := export(t, o)
		r := request()
		r.Method, r.MethodName = message.MethodOther, "\xff\x00"
		r.Host, r.Path, r.UserAgent, r.ID, r.Route = "\xfe:99999", "/\xc3\x28", strings.Repeat("\xf0\x28", 200), "\x80", "all"
		r.Attempts[0].Address = "\xff"
		e.Add(r)
		e.Add(request())
		e.end(time.Minute)
		e.has(2, nil)
		s := c.Next(t, 8)[0]
		if s.Name != "HTTP /" || s.Attributes["http.request.method"] != "_OTHER" || s.Attributes["url.path"] != "/\uFFFD(" || s.Attributes["server.port"] != nil {
			t.Errorf("%v", s)
		}
	}
}

// answer is a collector that answers so.
func answer(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestBadCollectors: whatever a collector does, requests are counted as what became of them and Add does not wait.
func TestBadCollectors(t *testing.T) {
	t.Parallel()
	partial, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 1, ErrorMessage: "one of them"}})
	if err != nil {
		t.Fatal(err)
	}
	many, err := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: -1}})
	if err != nil {
		t.Fatal(err)
	}
	const kind = "application/x-protobuf"
	for name, c := range map[string]struct {
		handler                   http.HandlerFunc
		exported, failed, refused uint64
	}{
		"nothing to say":      {answer(200, kind, ""), 2, 0, 0},
		"accepted":            {answer(202, "text/plain", ""), 2, 0, 0},
		"JSON":                {answer(200, "application/json; charset=utf-8", "{}"), 2, 0, 0},
		"partly":              {answer(200, kind, string(partial)), 1, 0, 1},
		"more than there are": {answer(200, kind, string(many)), 0, 0, 2},
		"a page":              {answer(200, "text/html", "<h1>Welcome</h1>"), 0, 2, 0},
		"garbage":             {answer(200, kind, "\xff\xff\xff garbage"), 0, 2, 0},
		"another message":     {answer(200, kind, "\x08\x01"), 0, 2, 0},
		"endless":             {answer(200, kind, strings.Repeat("\x1a\x00", 1<<19)), 0, 2, 0},
		"bad request":         {answer(400, kind, ""), 0, 0, 2},
		"unauthorized":        {answer(401, "text/plain", "who are you\x1b[31m"), 0, 0, 2},
		"its error":           {answer(500, "text/plain", ""), 0, 2, 0},
		"away":                {answer(503, "text/plain", ""), 0, 2, 0},
		"breaks off":          {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(c.handler)
			defer s.Close()
			e := export(t, trace.Options{Endpoint: s.URL})
			e.Add(request())
			e.Add(request())
			e.end(time.Minute)
			e.has(c.exported, map[string]uint64{"failed": c.failed, "refused": c.refused})
			if e.Add(request()) {
				t.Error("a closed exporter has taken a request")
			}
		})
	}
}

// TestRedirectIsNotFollowed: what the collector knows weir by is for the collector.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer s.Close()
	e := export(t, trace.Options{Endpoint: s.URL, Headers: []trace.Attribute{{Name: "Authorization", Value: "Bearer x"}}})
	e.Add(request())
	e.end(time.Minute)
	e.has(0, map[string]uint64{"failed": 1})
	if reached.Load() {
		t.Error("the redirect was followed")
	}
}

// calls is a gRPC collector that answers so.
type calls struct {
	collectorpb.UnimplementedTraceServiceServer
	answer func() (*collectorpb.ExportTraceServiceResponse, error)
}

func (c *calls) Export(context.Context, *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	return c.answer()
}

func (c *calls) serve(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, ended := grpc.NewServer(), make(chan error, 1)
	collectorpb.RegisterTraceServiceServer(s, c)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return "http://" + l.Addr().String()
}

// TestGRPCAnswers: the same by gRPC's statuses.
func TestGRPCAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code][3]uint64{ // exported, failed, refused
		codes.OK: {2, 0, 0}, codes.Unavailable: {0, 2, 0}, codes.InvalidArgument: {0, 0, 2}, codes.Unauthenticated: {0, 0, 2}, codes.ResourceExhausted: {0, 0, 2}, codes.Unimplemented: {0, 0, 2},
	} {
		c := &calls{answer: func() (*collectorpb.ExportTraceServiceResponse, error) {
			return &collectorpb.ExportTraceServiceResponse{}, status.Error(code, "because")
		}}
		e := export(t, trace.Options{Endpoint: c.serve(t), GRPC: true})
		e.Add(request())
		e.Add(request())
		e.end(time.Minute)
		e.has(want[0], map[string]uint64{"failed": want[1], "refused": want[2]})
	}
	partly := &calls{answer: func() (*collectorpb.ExportTraceServiceResponse, error) {
		return &collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 1}}, nil
	}}
	e := export(t, trace.Options{Endpoint: partly.serve(t), GRPC: true})
	e.Add(request())
	e.Add(request())
	e.end(time.Minute)
	e.has(1, map[string]uint64{"refused": 1})
	s := httptest.NewServer(answer(200, "text/html", "<h1>Welcome</h1>")) // which speaks no HTTP/2
	defer s.Close()
	e = export(t, trace.Options{Endpoint: s.URL, GRPC: true})
	e.Add(request())
	e.end(time.Minute)
	e.has(0, map[string]uint64{"failed": 1})
}

// TestExportIsTriedAgain: a collector that is away for a moment loses nothing.
func TestExportIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := otlptest.Start(t)
	var tries atomic.Int64
	proxied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) <= 2 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		req, _ := http.NewRequest("POST", c.HTTP+r.URL.Path, r.Body) // the URL has been parsed before
		req.Header = r.Header
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	}))
	defer proxied.Close()
	e := export(t, trace.Options{Endpoint: proxied.URL})
	e.Add(request())
	c.Next(t, 4)
	for e.counters.Exported.Load() == 0 { // counted when the answer has come, which is after the spans
		if sum(e.counters) != e.counters.Exported.Load() {
			break
		}
		<-time.After(time.Millisecond)
	}
	e.has(1, nil)
	if n := tries.Load(); n != 3 {
		t.Errorf("%d tries", n)
	}
}

// TestStalledCollector: a collector that does not answer fills the queue, and that is all it does: Add goes on, the loss is counted, and the end does not wait for it longer than it is told to.
func TestStalledCollector(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer s.Close()
	e := export(t, trace.Options{Endpoint: s.URL, Queue: 10})
	e.Add(request())
	<-asked // the first is under way
	for range 25 {
		if !e.Add(request()) {
			t.Fatal("not taken")
		}
	}
	e.has(0, map[string]uint64{"queue_full": 15})
	e.end(10 * time.Millisecond)
	e.has(0, map[string]uint64{"queue_full": 15, "shutdown": 11})
}

// TestTimeout: one that is too slow costs its batch and not the next.
func TestTimeout(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	slow.Store(true)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if slow.Load() {
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	e := export(t, trace.Options{Endpoint: s.URL, Timeout: 100 * time.Millisecond})
	e.Add(request())
	for sum(e.counters) == 0 {
		<-time.After(time.Millisecond)
	}
	e.has(0, map[string]uint64{"failed": 1})
	slow.Store(false)
	for exported := uint64(0); exported == 0; exported = e.counters.Exported.Load() { // a machine that stands still for a while may cost one more
		e.Add(request())
		<-time.After(10 * time.Millisecond)
	}
}

// TestNothingIsLostUncounted: whoever adds while exporters come and go, every request is either exported or counted as dropped, once.
func TestNothingIsLostUncounted(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.ContentLength%2 == 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer s.Close()
	var tracer trace.Tracer
	const adders, each = 4, 500
	var wg sync.WaitGroup
	for range adders {
		wg.Go(func() {
			for range each {
				tracer.Add(request())
			}
		})
	}
	for i := range 20 {
		e, err := trace.Start(trace.Options{Endpoint: s.URL, Timeout: time.Minute, Queue: 50, Counters: &tracer.Counters, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			tracer.Use(nil).Close(t.Context())
		}
		tracer.Use(e).Close(t.Context())
	}
	wg.Wait()
	tracer.Use(nil).Close(t.Context())
	if got := sum(&tracer.Counters); got != adders*each {
		t.Errorf("%d of %d requests are accounted for", got, adders*each)
	}
	if tracer.Exporter() != nil {
		t.Error("an exporter is in force")
	}
}

// TestEndpoints: what is no URL of a collector is a mistake at the start.
func TestEndpoints(t *testing.T) {
	for _, bad := range []string{"", "collector:4317", "ftp://collector", "http://", "://", "http://a b"} {
		if _, err := trace.Start(trace.Options{Endpoint: bad}); err == nil || strings.Contains(fmt.Sprint(err), "collector:4317") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
