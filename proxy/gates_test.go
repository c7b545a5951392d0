package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
)

func (e *edge) gating(r *limit.Registry, most int, dryRun bool) {
	e.t.Helper()
	s := *e.proxy.Snapshot()
	route := e.route
	route.Limits = proxy.NewLimits(r, nil, proxy.RouteGate{
		Gate: r.Gate(limit.GateOptions{Name: "few", Most: most, DryRun: dryRun}), Key: byClient(), Metrics: e.metrics.Limit("few"), Counts: true,
	})
	s.Routes = []proxy.Route{route}
	e.proxy.Publish(&s)
}

// TestConcurrency: one request too many at a time is 429 with a reason of its own; its place is free when an answer, an event stream, a tunnel or a client that left ends,
// and a dry run refuses nobody.
func TestConcurrency(t *testing.T) {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-release
		case "/tunnel":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			_, _ = io.Copy(conn, rw)
			_ = conn.Close()
		}
	})
	e := newEdge(t, defaults(addr))
	r := limit.NewRegistry(1000)
	e.gating(r, 2, false)
	running := func() int64 { return r.Stats()[0].Running }
	events := e.say("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
	events.head()
	tunnel := e.say("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	tunnel.head()
	if n := running(); n != 2 {
		t.Errorf("%d under way, want the event stream and the tunnel", n)
	}
	third := e.say(get)
	if h := third.head(); !strings.HasPrefix(h, "HTTP/1.1 429 ") || !strings.Contains(h, "Retry-After: 1\r\n") || strings.Contains(h, "RateLimit") {
		t.Errorf("the third: %q", h)
	}
	e.logged(429, "concurrency_limited", 0)
	e.gating(r, 2, true) // a new generation over the same counts
	fourth := e.say(get)
	if h := fourth.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("dry run: %q", h)
	}
	e.logged(200, "", 1)
	e.gating(r, 2, false)
	_ = tunnel.Close()
	e.eventually("the tunnel's place", func() bool { return running() == 1 })
	fifth := e.say(get)
	if h := fifth.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
		t.Errorf("after the tunnel: %q", h)
	}
	_ = events.Close() // the client leaves
	letGo()
	e.eventually("nobody", func() bool { return running() == 0 })
	for series, want := range map[string]float64{
		"weir_limit_decisions_total allowed few": 3, "weir_limit_decisions_total limited few": 1, "weir_limit_decisions_total dry_run few": 1,
	} {
		if got := e.scraped(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

func TestGatesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	o := defaults(silentPeer(t).address)
	o.quiet = true
	e := newEdge(t, o)
	e.gating(limit.NewRegistry(1000), 2, false)
	if n := allocations(t, e, getWith("")); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}
