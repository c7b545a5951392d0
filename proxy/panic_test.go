package proxy_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/upstream"
)

// TestPanicKeepsTheBooks: wherever in an exchange a bug strikes, in its own goroutine or in that of its body, the edge goes on and nothing stays counted as under way: the
// audit at the end of each edge looks at requests, log lines, peers and the breaker. The bug is a clock that panics at its n-th reading, for every n that there is.
func TestPanicKeepsTheBooks(t *testing.T) {
	const closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, c := range []struct {
		name   string
		strike strike
		wait   bool
	}{
		{"GET", strike{closing, "", 0, ok}, false},
		{"streamed body", strike{
			"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "0\r\n\r\n",
			len("5\r\nhello\r\n0\r\n\r\n"), ok,
		}, false},
		{"streamed answer", strike{closing, "", 0, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"}, false},
		{"queued", strike{closing, "", 0, ok}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := int64(1)
			for ; c.strike.at(t, n, c.wait); n++ {
			}
			if n < 6 {
				t.Errorf("the clock is read %d times only", n-1)
			}
		})
	}
}

// brokenClock panics at its n-th reading while it is armed.
type brokenClock struct {
	n        int64
	armed    atomic.Bool
	readings atomic.Int64
}

func (c *brokenClock) read(int64) {
	if c.armed.Load() && c.readings.Add(1) == c.n {
		panic("a clock that is broken")
	}
}

// strike is an exchange that a bug is to strike.
type strike struct {
	request, rest string
	body          int // bytes of the request's body as the peer sees it
	answer        string
}

// at runs the exchange with a clock that panics at its n-th reading and reports whether it came to that.
func (s strike) at(t *testing.T, n int64, wait bool) bool {
	clock := &brokenClock{n: n}
	t.Run("", func(t *testing.T) {
		o := defaults(newPeer(t, func(w *wire) {
			if w.head() != "" {
				w.take(s.body)
				w.send(s.answer)
			}
		}).address)
		o.breaker = &upstream.BreakerOptions{MaxRequests: 1, MaxQueue: 1, QueueTimeout: patienceOfTests}
		o.clock, o.adaptive = clock.read, &upstream.AdaptiveOptions{Min: 1, Max: 2}
		e := newEdge(t, o)
		gates := limit.NewRegistry(1000)
		e.gating(gates, 1, false)
		b := e.service.Breaker
		if wait {
			b.Enter(upstream.Normal)
		}
		w := e.dial()
		clock.armed.Store(true)
		w.send(s.request)
		if wait {
			for b.Status(0).Queued[upstream.Critical] == 0 && clock.readings.Load() < n { // the default priority of a route made by hand
				runtime.Gosched()
			}
			if b.Leave() {
				b.Call(e.registry.Now())
			}
		}
		w.send(s.rest)
		_, _ = w.rest()
		clock.armed.Store(false)
		e.inFlight(0)
		e.eventually("an empty gate", func() bool { return gates.Stats()[0].Running == 0 })
		if e.say(s.request+s.rest).head() == "" {
			t.Error("the edge does not go on")
		}
	})
	return clock.readings.Load() >= n
}
