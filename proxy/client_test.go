package proxy_test

import (
	"net"
	"strings"
	"testing"
	"time"
)

// A client that goes while it is waited for is noticed, logged as 499 and held against nobody.
func TestClientGoesWhileWaiting(t *testing.T) {
	for name, leave := range map[string]func(*wire){
		"close": func(c *wire) { _ = c.Close() },
		"reset": (*wire).reset,
		// What nginx does (measured with 1.22: 499 at once): a half-close is a client that has gone, because from here the two look alike until an answer is
		// written, and an edge that goes on working for everyone who closed a tab is the greater harm. Unlike nginx we grant what is answered within a second.
		"half-close": (*wire).half,
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan bool, 1)
			up := newPeer(t, func(c *wire) {
				c.head()
				_, _ = c.rest()
				ended <- true
			})
			o := defaults(up.address)
			o.response = time.Hour
			e := newEdge(t, o)
			c := e.say(get)
			expect(t, "request", up.heads)
			leave(c)
			expect(t, "end at the upstream", ended) // by the client's leaving, says the log: the upstream's silence would not be over yet
			if l := e.logged(499, "client_gone", 1); l.Group != "blue" || l.Peer != up.address {
				t.Errorf("logged %+v", l)
			}
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
			if got := e.counter("weir_http_requests_total", "code", "499"); got != 1 {
				t.Errorf("%v requests counted as 499", got)
			}
		})
	}
}

// A client that has shut its side gets its answer when the upstream is not slow, and so does everything pipelined before the end.
func TestHalfClosedClientIsAnswered(t *testing.T) {
	up := answering(t, ok)
	e := newEdge(t, defaults(up.address))
	c := e.say(get + get + get)
	c.half()
	all, err := c.rest()
	if n := strings.Count(all, "HTTP/1.1 200 OK"); n != 3 || err != nil {
		t.Errorf("%d answers, %v: %q", n, err, all)
	}
}

func TestClientAbortsBody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 100000", "Content-Length: 10000000", "Transfer-Encoding: chunked"} {
		for name, leave := range map[string]func(*wire){"close": func(c *wire) { _ = c.Close() }, "reset": (*wire).reset} {
			t.Run(framing+" "+name, func(t *testing.T) {
				ended, started := make(chan bool, 1), make(chan bool, 1)
				up := newPeer(t, func(c *wire) {
					c.head()
					c.take(5)
					started <- true
					_, _ = c.rest()
					ended <- true
				})
				e := newEdge(t, defaults(up.address))
				c := e.say("POST / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n5\r\nhello\r\n")
				expect(t, "body at the upstream", started)
				leave(c)
				expect(t, "end at the upstream", ended)
				e.logged(499, "client_gone", 1)
				if n := e.failures(); n != 0 {
					t.Errorf("held against the peer %d times", n)
				}
			})
		}
	}
}

// The response is under way when the client abandons its body: still the client's doing.
func TestClientAbortsBodyDuringResponse(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		c.head()
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
		_, _ = c.rest()
	})
	e := newEdge(t, defaults(up.address))
	c := e.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
	c.head()
	c.take(7)
	_ = c.Close()
	if l := e.line(); l.Status != 200 || l.Reason != "client_gone" {
		t.Errorf("logged %+v", l)
	}
	if n := e.failures(); n != 0 {
		t.Errorf("held against the peer %d times", n)
	}
}

func TestSlowBodyIsRefused(t *testing.T) {
	for _, framing := range []string{"Content-Length: 6", "Content-Length: 100000", "Content-Length: 10000000", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			up := newPeer(t, func(c *wire) { c.head(); _, _ = c.rest() })
			o := defaults(up.address)
			o.http1.BodyTimeout = 100 * time.Millisecond
			e := newEdge(t, o)
			c := e.say("PUT / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n5\r\nh")
			h := c.head()
			if !strings.HasPrefix(h, "HTTP/1.1 408 ") || !strings.Contains(h, "Connection: close\r\n") {
				t.Errorf("head %q", h)
			}
			_ = c.Close()
			e.logged(408, "client_timeout", 1)
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
}

func TestSlowHeadIsRefused(t *testing.T) {
	o := defaults(deadAddress(t))
	o.http1.HeaderTimeout = 50 * time.Millisecond
	e := newEdge(t, o)
	c := e.say("GET / HTTP/1.1\r\nHost")
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 408 ") {
		t.Errorf("head %q", h)
	}
	_ = c.Close()
	e.logged(408, "client_header_timeout", 0)
}

// The upload goes on for longer than the proxy's patience with a silent upstream: its look at the client must not disturb the reading of the body.
func TestUploadOutlastsPatience(t *testing.T) {
	const chunks = 150
	up := newPeer(t, func(c *wire) {
		c.head()
		for range chunks {
			if got := c.take(10); got != "5\r\nhello\r\n" {
				t.Errorf("chunk %q", got)
				return
			}
		}
		c.take(5)
		c.send(ok)
	})
	e := newEdge(t, defaults(up.address))
	c := e.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for range chunks {
		<-pace.C
		c.send("5\r\nhello\r\n")
	}
	c.send("0\r\n\r\n")
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Errorf("head %q", h)
	}
	if l := e.logged(200, "", 1); l.In != 5*chunks {
		t.Errorf("logged %d bytes in", l.In)
	}
}

// A client that reads nothing is given up after the write timeout, in every way that a body can be relayed.
func TestDeafClient(t *testing.T) {
	endless := strings.Repeat("x", 64<<10)
	for name, head := range map[string]string{
		"copied":             "Transfer-Encoding: chunked\r\n",
		"spliced":            "Content-Length: 1000000000\r\n",
		"spliced, no length": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newPeer(t, func(c *wire) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\n" + head + "\r\n")
				for {
					block := endless
					if name == "copied" {
						block = "10000\r\n" + endless + "\r\n"
					}
					if _, err := c.Write([]byte(block)); err != nil {
						return
					}
				}
			})
			o := defaults(up.address)
			o.http1.WriteTimeout = time.Second // no less: the head is to be written within it on a machine that is busy
			e := newEdge(t, o)
			c := e.dial()
			_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
			if l := e.line(); l.Status != 200 || l.Reason != "client_write_timeout" {
				t.Errorf("logged %+v", l)
			}
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
}
