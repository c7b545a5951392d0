package proxy_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/upstream"
)

// retryAfter is what every 503 of ours carries: some seconds, not for all the same.
var retryAfter = regexp.MustCompile(`\r\nRetry-After: [1-4]\r\n`)

// waiting returns when so many requests wait for a slot of the service.
func (e *edge) waiting(n int) {
	e.t.Helper()
	e.breaker("waiting", func(s upstream.BreakerStatus) bool {
		sum := 0
		for _, q := range s.Queued {
			sum += q
		}
		return sum == n
	})
}

func (e *edge) inFlight(n int64) {
	e.t.Helper()
	e.breaker("in flight", func(s upstream.BreakerStatus) bool { return s.InFlight == n })
}

func (e *edge) breaker(what string, is func(upstream.BreakerStatus) bool) {
	e.t.Helper()
	for end := time.Now().Add(patienceOfTests); ; runtime.Gosched() {
		s := e.service.Breaker.Status(e.registry.Now())
		if is(s) {
			return
		}
		if time.Now().After(end) {
			e.t.Fatalf("%s: %+v", what, s)
		}
	}
}

// held is an edge whose service takes max requests at a time, before a peer that answers one for each value of the channel.
func held(t *testing.T, b upstream.BreakerOptions, change func(*edgeOptions)) (*edge, *peer, chan string) {
	answers := make(chan string)
	done := t.Context().Done()
	up := newPeer(t, func(c *wire) {
		for c.head() != "" {
			select {
			case a := <-answers:
				c.send(a)
			case <-done:
				return
			}
		}
	})
	o := defaults(up.address)
	o.breaker, o.priority = &b, upstream.Normal
	if change != nil {
		change(&o)
	}
	return newEdge(t, o), up, answers
}

// A queue that has not moved for a tenth of a second stands: its oldest give way to newcomers of their own priority, and its newest are served first. That is no more than a machine may be away
// between two lines of a test, so nothing here may depend on which of two of the same priority is served, and who is to be turned away by a full queue is a bot.
func bots(o *edgeOptions) { o.bots = []string{"bot"} }

const getByBot = "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: ExampleBot\r\n\r\n"

func long(max, queue int) upstream.BreakerOptions {
	return upstream.BreakerOptions{MaxRequests: max, MaxQueue: queue, QueueTimeout: patienceOfTests}
}

// TestQueueServesInTurn: beyond max_requests a request waits and is served; beyond max_queue it is 503 with a time to come back.
func TestQueueServesInTurn(t *testing.T) {
	e, up, answers := held(t, long(1, 2), bots)
	first := e.say(get)
	expect(t, "first request", up.heads)
	second := e.say(get)
	e.waiting(1)
	third := e.say(get)
	e.waiting(2)
	fourth := e.say(getByBot)
	h := fourth.head()
	if !strings.HasPrefix(h, "HTTP/1.1 503 ") || !retryAfter.MatchString(h) {
		t.Errorf("head %q", h)
	}
	if l := e.logged(503, "queue_full", 0); l.Peer != "" || l.Group != "" {
		t.Errorf("logged %+v", l)
	}
	if up.hits.Load() != 1 {
		t.Errorf("%d requests at the peer", up.hits.Load())
	}
	for range 3 {
		answers <- ok
	}
	for i, c := range []*wire{first, second, third} {
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("request %d: %q", i, h)
		}
		e.logged(200, "", 1)
	}
	// The connection of who was sent away is as good as before.
	var size int
	if _, err := fmt.Sscanf(h[strings.Index(h, "Content-Length: "):], "Content-Length: %d", &size); err != nil {
		t.Fatal(err)
	}
	fourth.take(size)
	if n := e.counter("weir_shed_total", "reason", "queue_full", "priority", "low"); n != 1 {
		t.Errorf("%v shed", n)
	}
	fourth.send(get)
	answers <- ok
	if h := fourth.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Errorf("after a 503: %q", h)
	}
}

// TestQueueTimeout: whoever has waited for queue_timeout is 503, within the route's own timeout or the client's 504.
func TestQueueTimeout(t *testing.T) {
	for _, c := range []struct {
		name, request string
		queue, total  time.Duration
		answer        string
		status        int
		reason        string
	}{
		{"queue", get, 60 * time.Millisecond, 0, "503", 503, "queue_timeout"},
		{"route", get, patienceOfTests, 30 * time.Millisecond, "504", 504, "total_timeout"},
		{"call", "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nGrpc-Timeout: 30m\r\n\r\n", patienceOfTests, 0, "200", 504, "client_deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := upstream.BreakerOptions{MaxRequests: 1, MaxQueue: 1, QueueTimeout: c.queue}
			e, _, _ := held(t, b, func(o *edgeOptions) { o.timeout = c.total })
			if !e.service.Breaker.Enter(upstream.Normal) {
				t.Fatal("full")
			}
			start := time.Now()
			w := e.say(c.request)
			if h := w.head(); !strings.HasPrefix(h, "HTTP/1.1 "+c.answer) {
				t.Errorf("head %q", h)
			}
			if d := time.Since(start); d < 30*time.Millisecond {
				t.Errorf("waited %v", d)
			}
			e.logged(c.status, c.reason, 0)
			e.waiting(0)
			e.service.Breaker.Leave()
		})
	}
}

// TestQueueLosesClientsThatLeave: who leaves while waiting is 499 and frees its place.
func TestQueueLosesClientsThatLeave(t *testing.T) {
	e, up, answers := held(t, long(1, 1), nil)
	first := e.say(get)
	expect(t, "first request", up.heads)
	gone := e.say(get)
	e.waiting(1)
	_ = gone.Close()
	e.logged(499, "client_gone", 0)
	e.waiting(0)
	second := e.say(get)
	e.waiting(1)
	for _, c := range []*wire{first, second} {
		answers <- ok
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("%q", h)
		}
	}
	e.inFlight(0)
}

// TestQueueServesTheImportantFirst: a full queue gives a less important one's place to a more important one, which is also served before others.
func TestQueueServesTheImportantFirst(t *testing.T) {
	e, up, answers := held(t, long(1, 2), bots)
	first := e.say(get)
	expect(t, "first request", up.heads)
	crawler := e.say("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0 (compatible; ExampleBOT/2.1)\r\n\r\n")
	e.waiting(1)
	other := e.say("GET /2 HTTP/1.1\r\nHost: a\r\nUser-Agent: ExampleBot\r\n\r\n")
	e.waiting(2)
	person := e.say("GET /3 HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0\r\n\r\n")
	if h := crawler.head(); !strings.HasPrefix(h, "HTTP/1.1 503") || !retryAfter.MatchString(h) {
		t.Errorf("%q", h)
	}
	e.logged(503, "overloaded", 0)
	e.waiting(2)
	for i, c := range []*wire{first, person, other} {
		answers <- ok
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
			t.Errorf("request %d: %q", i, h)
		}
	}
	if n := e.counter("weir_shed_total", "reason", "overloaded", "priority", "low"); n != 1 {
		t.Errorf("%v shed", n)
	}
}

// TestStreamsLeaveTheBreaker: tunnels and event streams hold no slot once they have begun.
func TestStreamsLeaveTheBreaker(t *testing.T) {
	for name, c := range map[string]struct{ request, answer string }{
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
			o.breaker = &upstream.BreakerOptions{MaxRequests: 1}
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
