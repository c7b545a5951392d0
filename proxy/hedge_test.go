package proxy_test

import (
	"crypto/tls"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// asked is one request at a peer, which the test answers.
type asked struct {
	peer  *peer
	head  string
	say   chan string // "": say nothing more and watch for the end
	ended chan bool   // closed when the edge has closed the connection
}

// answer says the whole answer.
func (c *asked) answer(s string) { c.say <- s }

// gone returns when the edge has closed the connection.
func (c *asked) gone(t *testing.T) {
	t.Helper()
	select {
	case c.say <- "":
	case <-c.ended:
	}
	expect(t, "end at the peer", c.ended)
}

// switchboard is an edge before n peers of one group whose requests come to the test. All peers but the first look busy, so the first attempt goes there.
type switchboard struct {
	*edge
	calls chan *asked
	first string // address
	free  func() // ends the look
}

func newSwitchboard(t *testing.T, n int, change func(*edgeOptions)) *switchboard {
	calls := make(chan *asked, 100)
	var addresses []string
	for range n {
		p := newPeer(t, func(w *wire) {
			for {
				h := w.head()
				if h == "" {
					return
				}
				c := &asked{peer: w.peer, head: h, say: make(chan string, 8), ended: make(chan bool)}
				calls <- c
				select {
				case s := <-c.say:
					if s == "reset" {
						w.reset()
						return
					}
					if w.send(s); s != "" {
						continue
					}
				case <-t.Context().Done():
					return
				}
				_, _ = w.rest()
				close(c.ended)
				return
			}
		})
		addresses = append(addresses, p.address)
	}
	o := defaults(addresses...)
	o.hedge = time.Millisecond
	if change != nil {
		change(&o)
	}
	b := &switchboard{edge: newEdge(t, o), calls: calls, first: addresses[0]}
	if b.free = func() {}; o.adaptive == nil {
		b.free = b.occupy(addresses[0])
	}
	t.Cleanup(b.free)
	return b
}

// occupy makes all peers but one look busy until free is called.
func (e *edge) occupy(but string) (free func()) {
	live := e.service.Groups[0].Pool.Live()
	var busy []*upstream.Peer
	for i := range live.Len() {
		if live.At(i).Address() == but {
			continue
		}
		for range 64 {
			var tried balancer.Tried
			for j := range live.Len() {
				if j != i {
					tried.Add(j)
				}
			}
			busy = append(busy, live.Pick(0, e.registry.Now(), &tried))
		}
	}
	return sync.OnceFunc(func() {
		for _, p := range busy {
			p.Done(e.registry.Now(), 0, upstream.Aborted)
		}
	})
}

// both are the attempts of one request, whichever arrived sooner.
func (b *switchboard) both() (first, second *asked) {
	b.t.Helper()
	first, second = expect(b.t, "one attempt", b.calls), expect(b.t, "the other attempt", b.calls)
	b.free()
	if first.peer.address != b.first {
		first, second = second, first
	}
	if first.peer.address != b.first || second.peer.address == b.first {
		b.t.Fatal("both at one peer")
	}
	return first, second
}

// hedged counts the hedges of one result.
func (e *edge) hedged(result string) int {
	return int(e.counter("weir_upstream_hedges_total", "result", result))
}

// settled returns when nothing is in flight at any peer.
func (e *edge) settled() {
	e.t.Helper()
	e.eventually("nothing in flight", func() bool { return e.carrying() == 0 })
}

// TestHedge: a request that is not answered within the delay goes to a second peer too; the first good head is the answer, the other attempt is cancelled and held
// against nobody.
func TestHedge(t *testing.T) {
	long := "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000)
	for _, c := range []struct {
		name, request, answer string
		second                bool // the second attempt is answered, not the first
		body                  int
	}{
		{"second wins", get, ok, true, 2},
		{"first wins", get, ok, false, 2},
		{"second wins with a body that is spliced", get, long, true, 300000},
		{"first wins with a body that is spliced", get, long, false, 300000},
		{"second wins with chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true, len("2\r\nok\r\n0\r\n\r\n")},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, 0},
		{"OPTIONS", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", ok, true, 2},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", ok, true, 2},
		{"404 is an answer", get, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", true, 2},
		{"interim heads of a hedge stay with it", get, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newSwitchboard(t, 2, nil)
			client := e.say(c.request)
			first, second := e.both()
			if first.head != second.head && strings.Contains(c.request, "Host") {
				t.Errorf("the second attempt is\n%qthe first\n%q", second.head, first.head)
			}
			winner, loser, result := first, second, "lost"
			if c.second {
				winner, loser, result = second, first, "won"
			}
			winner.answer(c.answer)
			final := c.answer[strings.LastIndex(c.answer, "HTTP/1.1"):]
			if h := client.head(); h[:12] != final[:12] {
				t.Errorf("head %q", h)
			}
			if got := client.take(c.body); len(got) != c.body || !strings.HasSuffix(c.answer, got) {
				t.Errorf("body of %d bytes", len(got))
			}
			loser.gone(t)
			l := e.line()
			if l.Attempts != 2 || l.Peer != winner.peer.address || l.Status == 0 || l.Reason != "" {
				t.Errorf("logged %+v", l)
			}
			e.settled()
			if n := e.failures(); n != 0 {
				t.Errorf("%d failures held against the peers", n)
			}
			if e.hedged(result) != 1 || e.hedged("won")+e.hedged("lost") != 1 || e.counter("weir_http_requests_total") != 1 {
				t.Errorf("hedges: %d won, %d lost", e.hedged("won"), e.hedged("lost"))
			}
			if n := e.counter("weir_upstream_retries_total"); n != 0 {
				t.Errorf("%v retries counted", n)
			}
			// The winner's connection rests for the next request, the loser's is closed.
			e.eventually("one resting connection", func() bool {
				idle := 0
				for _, p := range e.service.Groups[0].Pool.Snapshot() {
					if idle += p.Idle; p.Idle > 0 && p.Address != winner.peer.address {
						t.Fatal("the loser's connection rests")
					}
				}
				return idle == 1
			})
		})
	}
}

// TestHedgePrefersAnswers: a 5xx does not win against an attempt that is still under way, nor does a failure; what is sent when neither is good is the first's, if it is
// an answer.
func TestHedgePrefersAnswers(t *testing.T) {
	bad := func(body string) string {
		return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n" + body
	}
	for _, c := range []struct {
		name          string
		first, second string
		reversed      bool // the second speaks before the first
		status        int
		body, result  string
		failures      uint64
	}{
		{"first 5xx, second good", bad("b1"), ok, false, 200, "ok", "won", 1},
		{"second 5xx, first good", ok, bad("b2"), true, 200, "ok", "lost", 1},
		{"both 5xx", bad("b1"), bad("b2"), false, 503, "b1", "lost", 2},
		{"both 5xx, the second sooner", bad("b1"), bad("b2"), true, 503, "b1", "lost", 2},
		{"first breaks, second good", "reset", ok, false, 200, "ok", "won", 1},
		{"second breaks, first good", ok, "reset", true, 200, "ok", "lost", 1},
		{"first breaks, second 5xx", "reset", bad("b2"), false, 503, "b2", "won", 2},
		{"first 5xx, second breaks", bad("b1"), "reset", false, 503, "b1", "lost", 2},
		{"both break", "reset", "reset", false, 502, "", "lost", 2},
		{"first says nonsense, second good", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ok, false, 200, "ok", "won", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newSwitchboard(t, 2, nil)
			client := e.say(get)
			first, second := e.both()
			if c.reversed {
				second.answer(c.second)
				// Until the edge has heard of it, so that the first's is not the sooner; a peer of which a connection broke is told of by its books.
				e.eventually("one attempt over or useless", func() bool { return e.carrying() < 2 || strings.HasPrefix(c.second, "HTTP") })
				first.answer(c.first)
			} else {
				first.answer(c.first)
				second.answer(c.second)
			}
			h := client.head()
			if !strings.HasPrefix(h, "HTTP/1.1 "+strconv.Itoa(c.status)) {
				t.Errorf("head %q", h)
			}
			if got := client.take(len(c.body)); got != c.body {
				t.Errorf("body %q, want %q", got, c.body)
			}
			if l := e.line(); l.Status != c.status || l.Attempts != 2 {
				t.Errorf("logged %+v", l)
			}
			e.settled()
			if e.hedged(c.result) != 1 {
				t.Errorf("%d won, %d lost", e.hedged("won"), e.hedged("lost"))
			}
			// Of two of which one is good, the other is blamed only if it was heard of before.
			if n := e.failures(); n > c.failures || c.status != 200 && n < c.failures {
				t.Errorf("%d failures, want %d", n, c.failures)
			}
		})
	}
}

// TestHedgeLosesItsClient: a client that leaves while both attempts are out takes both with it.
func TestHedgeLosesItsClient(t *testing.T) {
	e := newSwitchboard(t, 2, nil)
	client := e.say(get)
	first, second := e.both()
	_ = client.Close()
	first.gone(t)
	second.gone(t)
	e.logged(499, "client_gone", 2)
	e.settled()
	if n := e.failures(); n != 0 || e.hedged("lost") != 1 {
		t.Errorf("%d failures, %d lost", n, e.hedged("lost"))
	}
}

// TestHedgeTimesOut: both attempts are given up at the service's and the route's timeout.
func TestHedgeTimesOut(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		change       func(*edgeOptions)
	}{
		{"service", "http_response_timeout", func(o *edgeOptions) { o.response = 3 * time.Second }},
		{"route", "total_timeout", func(o *edgeOptions) { o.timeout = 3 * time.Second }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := newSwitchboard(t, 2, c.change)
			client := e.say(get)
			first, second := e.both()
			if h := client.head(); !strings.HasPrefix(h, "HTTP/1.1 504 ") {
				t.Errorf("head %q", h)
			}
			first.gone(t)
			second.gone(t)
			e.logged(504, c.reason, 2)
			e.settled()
			if n := e.failures(); n < 1 || n > 2 { // the first's, and the second's where it was waited for
				t.Errorf("%d failures", n)
			}
		})
	}
}

// TestHedgeIsRefused: without another peer, a free slot or a token of the retry budget there is no second attempt, and the reason is counted.
func TestHedgeIsRefused(t *testing.T) {
	for _, c := range []struct {
		result string
		peers  int
		change func(*edgeOptions)
	}{
		{"no_peer", 1, nil},
		{"no_slot", 2, func(o *edgeOptions) { o.breaker = &upstream.BreakerOptions{MaxRequests: 1} }},
		{"no_budget", 2, func(o *edgeOptions) { o.budget = upstream.NewRetryBudget(0, 0) }},
	} {
		t.Run(c.result, func(t *testing.T) {
			e := newSwitchboard(t, c.peers, c.change)
			client := e.say(get)
			first := expect(t, "first attempt", e.calls)
			e.free()
			e.eventually("the refusal is counted", func() bool { return e.hedged(c.result) == 1 })
			first.answer(ok)
			if h := client.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
				t.Errorf("head %q", h)
			}
			e.logged(200, "", 1)
			if len(e.calls) != 0 {
				t.Error("there was a second attempt")
			}
		})
	}
}

// TestHedgeTakesASlot: a second attempt counts for the breaker as the first does, and gives its slot back.
func TestHedgeTakesASlot(t *testing.T) {
	e := newSwitchboard(t, 2, func(o *edgeOptions) { o.breaker = &upstream.BreakerOptions{MaxRequests: 2} })
	client := e.say(get)
	_, second := e.both()
	e.inFlight(2)
	second.answer(ok)
	client.head()
	e.logged(200, "", 2)
	e.inFlight(0)
}

// TestHedgeOfWhatIsSafe: what may change something, or carries a body, is said once, however long it takes.
func TestHedgeOfWhatIsSafe(t *testing.T) {
	for name, request := range map[string]string{
		"POST": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "DELETE": "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
		"PUT": "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "GET with a body": "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
		"GET for an upgrade": "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			e := newSwitchboard(t, 2, nil)
			client := e.say(request)
			expect(t, "request", e.calls)
			// One that is hedged and began after it shows that the delay is over.
			e.say(strings.Replace(get, "/", "/other", 1))
			for range 2 {
				if c := expect(t, "the other request", e.calls); !strings.Contains(c.head, "/other") {
					t.Fatalf("said twice: %q", c.head)
				}
			}
			_ = client.Close()
		})
	}
}

// TestHedgeWhileConnecting: an attempt that is still in its handshake is given up at once when the other is answered.
func TestHedgeWhileConnecting(t *testing.T) {
	hanging := newPeer(t, func(w *wire) { _, _ = w.rest() }) // takes what the handshake says and never answers
	calls := make(chan *asked, 1)
	c, _ := certificate(t)
	secure := newPeer(t, func(w *wire) {
		over := newWire(tls.Server(w.Conn, &tls.Config{Certificates: []tls.Certificate{c}}), nil)
		call := &asked{head: over.head(), say: make(chan string, 1)}
		calls <- call
		over.send(<-call.say)
		_, _ = over.rest()
	})
	o := defaults(secure.address, hanging.address)
	o.transport = upstream.Transport{TLS: true, Insecure: true, ServerName: "a"}
	o.hedge = time.Millisecond
	e := newEdge(t, o)
	free := e.occupy(secure.address)
	client := e.say(get)
	call := expect(t, "first attempt", calls)
	e.eventually("the second one's connection", func() bool { return hanging.conns.Load() == 1 })
	call.answer(ok)
	if h := client.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || client.take(2) != "ok" {
		t.Errorf("head %q", h)
	}
	e.logged(200, "", 2)
	free()
	e.settled()
	if n := e.failures(); n != 0 || e.hedged("lost") != 1 {
		t.Errorf("%d failures, %d lost", n, e.hedged("lost"))
	}
}

// TestHedgePanicKeepsTheBooks: wherever a bug strikes while two attempts are out, in the exchange or in the second attempt's goroutine, nothing stays counted.
func TestHedgePanicKeepsTheBooks(t *testing.T) {
	n := int64(1)
	for ; hedgeStruckAt(t, n); n++ {
	}
	if n < 10 {
		t.Errorf("the clock is read %d times only", n-1)
	}
}

// hedgeStruckAt runs an exchange of two attempts with a clock that panics at its n-th reading and reports whether it came to that.
func hedgeStruckAt(t *testing.T, n int64) bool {
	clock := &brokenClock{n: n}
	struck := func() bool { return clock.readings.Load() >= n }
	t.Run("", func(t *testing.T) {
		both := make(chan bool) // closed when both attempts are at their peers, or nothing more is to be expected
		var requests atomic.Int64
		serve := func(w *wire) {
			for w.head() != "" {
				requests.Add(1)
				<-both
				w.send(ok)
			}
		}
		o := defaults(newPeer(t, serve).address, newPeer(t, serve).address)
		o.adaptive = &upstream.AdaptiveOptions{Min: 1, Max: 1}
		o.hedge, o.breaker, o.clock = time.Millisecond, &upstream.BreakerOptions{MaxRequests: 8}, clock.read
		e := newEdge(t, o)
		client := e.dial()
		clock.armed.Store(true)
		client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		e.eventually("two attempts or a panic", func() bool { return requests.Load() == 2 || struck() })
		close(both)
		_, _ = client.rest()
		clock.armed.Store(false)
		e.inFlight(0)
		e.settled()
		if h := e.say(get).head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("the edge does not go on: %q", h)
		}
	})
	return struck()
}
