package proxy_test

import (
	"strings"
	"testing"

	"github.com/valor-ivx/weir/upstream"
)

// TestTargetsAtTheirLimit: a target that works on as many requests as it may is passed over; when all of the group are, a request is 503 with its reason and does not
// go to another group; who is answered makes room.
func TestTargetsAtTheirLimit(t *testing.T) {
	e := newSwitchboard(t, 2, func(o *edgeOptions) { o.hedge, o.adaptive = 0, &upstream.AdaptiveOptions{Min: 1, Max: 1} })
	e.free()
	one, two := e.say(get), e.say(get)
	first, second := expect(t, "first", e.calls), expect(t, "second", e.calls)
	if first.peer == second.peer {
		t.Fatal("both at one target of which one is the limit")
	}
	third := e.say(get)
	if h := third.head(); !strings.HasPrefix(h, "HTTP/1.1 503 ") || !retryAfter.MatchString(h) {
		t.Errorf("head %q", h)
	}
	e.logged(503, "targets_full", 0)
	first.answer(ok)
	second.answer(ok)
	for _, c := range []*wire{one, two} {
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("head %q", h)
		}
		e.logged(200, "", 1)
	}
	e.settled()
	four := e.say(get)
	expect(t, "after they are free", e.calls).answer(ok)
	if h := four.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Errorf("head %q", h)
	}
}

// TestLimitStaysInItsGroup: clients of a group that is full are not sent to another.
func TestLimitStaysInItsGroup(t *testing.T) {
	hold := make(chan bool)
	blue := newPeer(t, func(w *wire) {
		for w.head() != "" {
			<-hold
			w.send(ok)
		}
	})
	green := answering(t, ok)
	o := twoGroups(blue.address, green.address)
	o.weights, o.adaptive = []uint32{10000, 0}, &upstream.AdaptiveOptions{Min: 1, Max: 1}
	e := newEdge(t, o)
	held := e.say(get)
	expect(t, "request", blue.heads)
	e.say(get).head()
	e.logged(503, "targets_full", 0)
	close(hold)
	if h := held.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || green.hits.Load() != 0 {
		t.Errorf("head %q, %d at green", h, green.hits.Load())
	}
}

// TestWorkEndsAtTheHead: what a target works on ends with its response head: bodies take the client's time, tunnels and event streams for ever.
func TestWorkEndsAtTheHead(t *testing.T) {
	for name, c := range map[string]struct{ request, answer string }{
		"body":         {get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"},
		"event stream": {get, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"},
		"tunnel":       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan bool)
			up := newPeer(t, func(w *wire) {
				if w.head() != "" {
					w.send(c.answer)
					<-over
				}
			})
			o := defaults(up.address)
			o.adaptive, o.breaker = &upstream.AdaptiveOptions{Min: 1, Max: 1}, &upstream.BreakerOptions{MaxRequests: 1}
			e := newEdge(t, o)
			for range 3 {
				if h := e.say(c.request).head(); h == "" || strings.HasPrefix(h, "HTTP/1.1 503") {
					t.Errorf("%q", h)
				}
				e.inFlight(0)
			}
			close(over)
		})
	}
}
