package proxy_test

import (
	"bytes"
	"io"
	"math"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/trace"
	"github.com/valor-ivx/weir/upstream"
)

// silentPeer answers requests of a known size without allocating. Requests come whole, because head and small bodies leave in one write.
func silentPeer(t testing.TB) *peer {
	return newPeer(t, func(w *wire) {
		_ = w.SetDeadline(time.Time{})
		speakSilently(w.Conn)
	})
}

const silentAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

func speakSilently(conn net.Conn) {
	answer, buf := []byte(silentAnswer), make([]byte, 8<<10)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// exchanger is a client that does one exchange after the other without allocating.
type exchanger struct {
	t       testing.TB
	conn    net.Conn
	request []byte
	buf     []byte
	size    int // of an answer; the same each time
}

func newExchanger(t testing.TB, e *edge, request string) *exchanger {
	x := &exchanger{t: t, conn: e.dial().Conn, request: []byte(request), buf: make([]byte, 8<<10)}
	if _, err := x.conn.Write(x.request); err != nil {
		t.Fatal(err)
	}
	for !bytes.HasSuffix(x.buf[:x.size], []byte("{}")) {
		n, err := x.conn.Read(x.buf[x.size:])
		if err != nil {
			t.Fatal(err)
		}
		x.size += n
	}
	return x
}

func (x *exchanger) do() {
	if _, err := x.conn.Write(x.request); err != nil {
		x.t.Fatal(err)
	}
	if _, err := io.ReadFull(x.conn, x.buf[:x.size]); err != nil {
		x.t.Fatal(err)
	}
}

const (
	browserGet = "GET /api/health?verbose=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\nCookie: a=b; c=d\r\nReferer: https://example.com/\r\nConnection: keep-alive\r\n\r\n"
	publicGet  = "GET /articles/2026/on-weirs HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n"
	calledGet  = "GET /api/health HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\nTracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\r\n"
	smallPost  = "POST /api/dcf HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"seed\":\"42\"}"
)

// The promise of the hot path: not one heap allocation per proxied keep-alive exchange, with the access log off and on.
func TestExchangeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		name, request string
		log           bool
		from          netip.Addr
		breaker       bool
		hedge         time.Duration
		trial         *proxy.Trial
		traced        bool
	}{
		{"GET", browserGet, false, netip.Addr{}, false, 0, nil, false}, {"POST", smallPost, false, netip.Addr{}, false, 0, nil, false}, {"GET with JSON log", browserGet, true, netip.Addr{}, false, 0, nil, false},
		{"POST with JSON log", smallPost, true, netip.Addr{}, false, 0, nil, false}, {"GET claimed", browserGet, true, netip.MustParseAddr("192.0.2.1"), false, 0, nil, false},
		{"GET through a breaker and a limit of the target", browserGet, false, netip.Addr{}, true, 0, nil, false},
		{"GET that may be hedged", browserGet, false, netip.Addr{}, false, 50 * time.Millisecond, nil, false},
		{"GET that is remembered", publicGet, true, netip.Addr{}, false, 0, nil, false}, {"GET that is tapped", browserGet, false, netip.Addr{}, false, 0, nil, false},
		{"GET on trial", browserGet, false, netip.Addr{}, false, 0, everySlow(), false}, {"GET on trial, limits not frozen", browserGet, false, netip.Addr{}, false, 0, &proxy.Trial{Watch: new(proxy.Watch), Green: 1}, false},
		{"GET that is not sampled", browserGet, true, netip.Addr{}, false, 0, nil, true}, {"GET whose caller does not sample", calledGet, true, netip.Addr{}, false, 0, nil, true},
		{"GET whose place is passed on", calledGet, true, netip.Addr{}, false, 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := defaults(silentPeer(t).address)
			o.quiet, o.from, o.hedge, o.trial, o.recent = true, c.from, c.hedge, c.trial, proxy.NewRecent(0)
			if c.breaker {
				o.adaptive = &upstream.AdaptiveOptions{Min: 1, Max: 100}
				o.breaker, o.bots = &upstream.BreakerOptions{MaxRequests: 8, MaxQueue: 8}, []string{"bot", "spider"}
			}
			e := newEdge(t, o)
			if c.log {
				sink, err := observe.NewSink(observe.SinkOptions{Output: io.Discard})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = sink.Close(t.Context()) })
				s := *e.proxy.Snapshot()
				s.Access = observe.NewAccessLog(observe.JSON, sink)
				if c.traced {
					s.Tracing = &proxy.Tracing{Sampler: trace.NewSampler(0, 100), Tracer: new(trace.Tracer)}
				}
				e.proxy.Publish(&s)
			}
			if c.name == "GET that is tapped" { // by one who reads nothing, which costs the most
				if _, err := e.taps.Open(observe.Query{Service: "api", Status: 2, Method: "GET", Path: "/api"}, "Referer"); err != nil {
					t.Fatal(err)
				}
			}
			x := newExchanger(t, e, c.request)
			if per := x.allocations(); per > someoneElses {
				t.Errorf("%.4f allocations per exchange, want 0", per)
			}
		})
	}
}

// someoneElses is how many allocations per exchange are not its own: room for the runtime's.
const someoneElses = 0.01

// allocations are those of one exchange. Where the machine is away so long that everybody else's are more than its own, the least of many short series is its own: what it allocates itself is in all of
// them.
func (x *exchanger) allocations() float64 {
	const warmUp, rounds, most = 100, 500, 50
	least := math.Inf(1)
	for series := 0; series < most && least > someoneElses; series++ {
		_ = x.conn.SetDeadline(time.Now().Add(patienceOfTests)) // on a crowded machine the series take longer than one test's patience
		runtime.GC()
		for range warmUp { // the collection has emptied the pools
			x.do()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			x.do()
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/rounds)
	}
	return least
}

// everySlow is a trial in which every answer is slow: the longest way through its books that a good answer takes.
func everySlow() *proxy.Trial {
	t := &proxy.Trial{Watch: new(proxy.Watch)}
	t.Watch.Freeze(1, 1)
	return t
}

// BenchmarkExchange is a GET and a POST, and the GET with the flight recorder, which the others are without.
func BenchmarkExchange(b *testing.B) {
	for name, request := range map[string]string{"GET": browserGet, "POST": smallPost, "GET recorded": browserGet} {
		b.Run(name, func(b *testing.B) {
			o := defaults(silentPeer(b).address)
			o.quiet = true
			e := newEdge(b, o)
			s := *e.proxy.Snapshot()
			if s.Recorder = nil; name == "GET recorded" {
				s.Recorder = observe.NewRecorder(observe.RecorderOptions{Requests: 4096, Slow: time.Second})
			}
			e.proxy.Publish(&s)
			x := newExchanger(b, e, request)
			b.ReportAllocs()
			for b.Loop() {
				x.do()
			}
		})
	}
}
