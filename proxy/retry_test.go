package proxy_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/upstream"
)

// breaking is a peer that takes a head and n bytes on each connection and resets it.
func breaking(t testing.TB, n int) *peer {
	return newPeer(t, func(c *wire) {
		if c.head() != "" {
			c.take(n)
			c.reset()
		}
	})
}

// twoGroups has 99 of 100 requests start at a, the group blue, with b, green, to fail over to.
func twoGroups(a, b string) edgeOptions {
	o := defaults()
	o.groups = map[string][]string{"blue": {a}, "green": {b}}
	o.order, o.weights = []string{"blue", "green"}, []uint32{9900, 100}
	return o
}

func TestDeadPeerIsSkippedForEveryMethod(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		for {
			h := c.head()
			if h == "" {
				return
			}
			switch {
			case strings.Contains(h, "Content-Length: 5"):
				c.take(5)
			case strings.Contains(h, "chunked"):
				c.take(len("5\r\nhello\r\n0\r\n\r\n"))
			}
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} {
		for _, body := range []string{"\r\n", "Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"} {
			o := twoGroups(deadAddress(t), up.address)
			o.budget = upstream.NewRetryBudget(0, 0) // a failed dial is free
			e := newEdge(t, o)
			c := e.dial()
			for range 3 {
				c.send(method + " / HTTP/1.1\r\nHost: a\r\n" + body)
				if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
					t.Fatalf("%s %q: %q", method, body, h)
				}
				if l := e.line(); l.Status != 200 || l.Attempts > 2 || l.Group != "green" {
					t.Errorf("logged %+v", l)
				}
			}
			if n := e.counter("weir_upstream_retries_total", "reason", "connection_refused"); n == 0 || n > 3 {
				t.Errorf("%v retries counted", n)
			}
		}
	}
}

// The first request leaves a kept connection behind, which dies under the second: once said again on a fresh connection to the same peer, which is no attempt.
func TestStaleConnection(t *testing.T) {
	for _, c := range []struct {
		name, second string
		status, hits int
		body         string
	}{
		{"GET", get, 200, 3, ""},
		{"PUT", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200, 3, "hello"},
		{"PUT streamed", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, 3, "5\r\nhello\r\n0\r\n\r\n"},
		{"POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 502, 2, ""},
		{"POST without body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 502, 2, ""},
		{"PATCH", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", 502, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies := make(chan string, 1)
			var accepted atomic.Int64
			up := newPeer(t, func(w *wire) {
				if accepted.Add(1) == 1 {
					w.head()
					w.send(ok)
					w.head() // the second request is taken and dies with its connection
					w.reset()
					return
				}
				w.head()
				bodies <- w.take(len(c.body))
				w.send(ok)
			})
			o := defaults(up.address)
			o.tries = 1
			o.budget = upstream.NewRetryBudget(0, 0)
			e := newEdge(t, o)
			client := e.say(get)
			client.head()
			client.take(2)
			e.logged(200, "", 1)
			client.send(c.second)
			if h := client.head(); !strings.HasPrefix(h, fmt.Sprintf("HTTP/1.1 %d", c.status)) {
				t.Errorf("head %q", h)
			}
			if l := e.line(); l.Status != c.status || l.Attempts != 1 {
				t.Errorf("logged %+v", l)
			}
			if n := up.hits.Load(); int(n) != c.hits {
				t.Errorf("the peer got %d requests, want %d", n, c.hits)
			}
			if c.status == 200 {
				if got := expect(t, "body", bodies); got != c.body {
					t.Errorf("body %q, want %q", got, c.body)
				}
			}
		})
	}
}

// A peer that closes after every answer without saying so costs nothing: whether the end is seen before or after the next request was written.
func TestPeerClosesAfterEveryAnswer(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		if c.head() != "" {
			c.send(ok)
		}
	})
	e := newEdge(t, defaults(up.address))
	c := e.dial()
	for i := range 200 {
		c.send(get)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(2) != "ok" {
			t.Fatalf("request %d: %q", i, h)
		}
		e.logged(200, "", 1)
	}
	if n := e.failures(); n != 0 {
		t.Errorf("held against the peer %d times", n)
	}
}

func TestReplayLimit(t *testing.T) {
	for _, c := range []struct {
		name, method string
		size         int
		chunked      bool
		replayed     bool
	}{
		{"small", "PUT", 10, false, true},
		{"beyond the head's block", "PUT", 20 << 10, false, true},
		{"64 KiB", "PUT", 64 << 10, false, true},
		{"64 KiB and one", "PUT", 64<<10 + 1, false, false},
		{"spliced", "PUT", 300 << 10, false, false},
		{"chunked", "PUT", 60 << 10, true, true},
		{"chunked, large", "PUT", 70 << 10, true, false},
		{"POST", "POST", 20 << 10, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := strings.Repeat("0123456789abcdef", c.size/16+1)[:c.size]
			bodies := make(chan string, 1)
			framed, head := data, fmt.Sprintf("Content-Length: %d\r\n\r\n", c.size)
			if c.chunked {
				framed, head = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", c.size, data), "Transfer-Encoding: chunked\r\n\r\n"
			}
			bad := breaking(t, len(framed))
			good := newPeer(t, func(w *wire) {
				if h := w.head(); h == "" {
					return
				}
				if !c.chunked {
					bodies <- w.take(c.size)
				} else {
					var b strings.Builder
					for {
						var n int
						line, _ := w.r.ReadString('\n')
						if _, err := fmt.Sscanf(line, "%x\r\n", &n); err != nil || n == 0 {
							break
						}
						b.WriteString(w.take(n))
						w.take(2)
					}
					w.take(2)
					bodies <- b.String()
				}
				w.send(ok)
			})
			e := newEdge(t, twoGroups(bad.address, good.address))
			for range 5 { // the odd ticket goes to green at once
				client := e.say(c.method + " / HTTP/1.1\r\nHost: a\r\n" + head + framed)
				h := client.head()
				l := e.line()
				if l.Attempts == 1 && l.Group == "green" {
					<-bodies
					continue
				}
				if !c.replayed {
					if !strings.HasPrefix(h, "HTTP/1.1 502") || l.Attempts != 1 || good.hits.Load() > 1 {
						t.Errorf("%q, logged %+v", h, l)
					}
					return
				}
				if !strings.HasPrefix(h, "HTTP/1.1 200") || l.Attempts != 2 {
					t.Fatalf("%q, logged %+v", h, l)
				}
				if got := expect(t, "body", bodies); got != data {
					t.Errorf("the second peer got %d bytes, want %d", len(got), c.size)
				}
				return
			}
			t.Error("blue was never tried")
		})
	}
}

// The first peer dies while half of the body is still with the client: the second gets both halves.
func TestReplayOfUnfinishedBody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			bad := breaking(t, 0)
			bodies := make(chan string, 1)
			first, second, whole := "hello", "world", "helloworld"
			if framing != "Content-Length: 10" {
				first, second, whole = "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n", "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
			}
			good := newPeer(t, func(w *wire) {
				w.head()
				bodies <- w.take(len(whole))
				w.send(ok)
			})
			e := newEdge(t, twoGroups(bad.address, good.address))
			c := e.say("PUT / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n" + first)
			expect(t, "request at the second peer", good.heads)
			c.send(second)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
				t.Errorf("head %q", h)
			}
			if got := expect(t, "body", bodies); got != whole {
				t.Errorf("body %q, want %q", got, whole)
			}
		})
	}
}

func TestNoRetry(t *testing.T) {
	const failed = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
	t.Run("500 is an answer", func(t *testing.T) {
		up := answering(t, failed)
		o := defaults(up.address)
		other := answering(t, failed)
		o.groups["blue"] = append(o.groups["blue"], other.address)
		e := newEdge(t, o)
		c := e.say(get)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 500") {
			t.Errorf("head %q", h)
		}
		e.logged(500, "", 1)
		if n := up.hits.Load() + other.hits.Load(); n != 1 {
			t.Errorf("%d requests at the peers", n)
		}
	})
	for _, c := range []struct {
		name   string
		change func(*edgeOptions)
		tries  int
	}{
		{"the budget is spent", func(o *edgeOptions) { o.budget = upstream.NewRetryBudget(0, 0) }, 1},
		{"one try", func(o *edgeOptions) { o.tries = 1 }, 1},
		{"two tries", func(o *edgeOptions) { o.tries = 2 }, 2},
		{"more tries than peers", func(o *edgeOptions) { o.tries, o.budget = 9, upstream.NewRetryBudget(9, 0) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			peers := []*peer{breaking(t, 0), breaking(t, 0), breaking(t, 0)}
			o := defaults(peers[0].address, peers[1].address, peers[2].address)
			c.change(&o)
			e := newEdge(t, o)
			client := e.say(get)
			if h := client.head(); !strings.HasPrefix(h, "HTTP/1.1 502") {
				t.Errorf("head %q", h)
			}
			e.logged(502, "connection_terminated", c.tries)
			hits := 0
			for _, p := range peers {
				hits += int(p.hits.Load())
			}
			if hits != c.tries {
				t.Errorf("%d requests at the peers, want %d", hits, c.tries)
			}
			if n := e.counter("weir_upstream_retries_total"); int(n) != c.tries-1 {
				t.Errorf("%v retries counted, want %d", n, c.tries-1)
			}
		})
	}
}

func TestFailover(t *testing.T) {
	good := answering(t, ok)
	for _, c := range []struct {
		name   string
		weight uint32
		rule   balancer.WhenEmpty
		status int
	}{
		{"weight", 1, balancer.EmptyOther, 200},
		{"weight 0", 0, balancer.EmptyOther, 502},
		{"fail", 1, balancer.EmptyFail, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := twoGroups(deadAddress(t), good.address)
			o.weights, o.whenEmpty = []uint32{10000 - c.weight, c.weight}, c.rule
			e := newEdge(t, o)
			client := e.dial()
			for range 20 {
				client.send(get)
				h := client.head()
				l := e.line()
				if l.Group == "green" && l.Attempts == 1 && c.weight > 0 {
					client.take(2)
					continue // assigned there
				}
				if l.Status != c.status || !strings.HasPrefix(h, fmt.Sprintf("HTTP/1.1 %d", c.status)) {
					t.Fatalf("%q, logged %+v", h, l)
				}
				if c.status == 200 {
					client.take(2)
				} else {
					if l.Reason != "connection_refused" || l.Group != "blue" {
						t.Errorf("logged %+v", l)
					}
					client = e.dial()
				}
			}
		})
	}
}

// A peer that dies under 200 requests loses none of them while another group lives.
func TestPeerDiesUnderLoad(t *testing.T) {
	const clients = 200
	var waiting sync.WaitGroup
	waiting.Add(clients / 2)
	die := make(chan bool)
	bad := newPeer(t, func(c *wire) {
		if c.head() != "" {
			waiting.Done()
			<-die
			c.reset()
		}
	})
	good := answering(t, ok)
	o := twoGroups(bad.address, good.address)
	o.weights = []uint32{5000, 5000} // exact shares per block of 100
	o.budget = upstream.NewRetryBudget(1, 10)
	e := newEdge(t, o)
	var done sync.WaitGroup
	for range clients {
		done.Go(func() {
			c := e.say(get)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(2) != "ok" {
				t.Errorf("head %q", h)
			}
		})
	}
	all := make(chan bool)
	go func() { waiting.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(patienceOfTests):
		t.Error("the peer was not reached by half of the requests")
	}
	close(die)
	done.Wait()
	if n := good.hits.Load(); n != clients {
		t.Errorf("the living peer answered %d", n)
	}
}
