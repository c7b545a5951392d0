package proxy_test

import (
	"strings"
	"testing"
	"time"
)

func TestInterimHeads(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n"
	up := answering(t, early+ok)
	e := newEdge(t, defaults(up.address))
	c := e.say(get)
	for _, want := range []string{
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
		"HTTP/1.1 102 Processing\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n",
	} {
		if got := c.head(); got != want {
			t.Errorf("interim head %q, want %q", got, want)
		}
	}
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n") || c.take(2) != "ok" {
		t.Errorf("final head %q", h)
	}
	e.logged(200, "", 1)
	old := e.say("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if all, err := old.rest(); !strings.HasPrefix(all, "HTTP/1.1 200 OK\r\n") || strings.Contains(all, "HTTP/1.1 10") || err != nil {
		t.Errorf("HTTP/1.0 client got %q, %v", all, err)
	}
	e.logged(200, "", 1)
}

func TestInterimFloodEnds(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		c.head()
		for {
			if _, err := c.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")); err != nil {
				return
			}
		}
	})
	o := defaults(up.address)
	o.response = time.Second
	e := newEdge(t, o)
	c := e.say(get)
	for {
		h := c.head()
		if h == "" {
			t.Fatal("no final answer")
		}
		if !strings.HasPrefix(h, "HTTP/1.1 102") {
			if !strings.HasPrefix(h, "HTTP/1.1 504") {
				t.Errorf("final head %q", h)
			}
			break
		}
	}
	e.logged(504, "http_response_timeout", 1)
}

// An upstream that sends interim heads to a client that reads none of them must not hold the exchange for ever.
func TestInterimFloodToDeafClient(t *testing.T) {
	up := newPeer(t, func(c *wire) {
		c.head()
		block := []byte(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000))
		for {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	o := defaults(up.address)
	o.response = time.Minute
	o.http1.WriteTimeout = time.Second
	e := newEdge(t, o)
	e.say(get)
	e.logged(499, "client_write_timeout", 1)
	if n := e.failures(); n != 0 {
		t.Errorf("the peer was blamed %d times", n)
	}
}

const expecting = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

func TestExpectContinue(t *testing.T) {
	t.Run("100 passes", func(t *testing.T) {
		up := newPeer(t, func(c *wire) {
			for c.head() != "" {
				c.send("HTTP/1.1 100 Continue\r\n\r\n")
				c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + c.take(5))
			}
		})
		e := newEdge(t, defaults(up.address))
		c := e.dial()
		for range 2 { // the connection is in step afterwards
			c.send(expecting)
			if h := c.head(); h != "HTTP/1.1 100 Continue\r\n\r\n" {
				t.Fatalf("interim %q", h)
			}
			c.send("hello")
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(5) != "hello" {
				t.Fatalf("final %q", h)
			}
			if l := e.logged(200, "", 1); l.In != 5 || l.Out != 5 {
				t.Errorf("logged %+v", l)
			}
		}
		if h := expect(t, "head", up.heads); !strings.Contains(h, "Expect: 100-continue\r\n") {
			t.Errorf("the upstream saw %q", h)
		}
	})
	for _, status := range []string{"417 Expectation Failed", "413 Content Too Large", "200 OK"} {
		t.Run("final "+status, func(t *testing.T) {
			up := newPeer(t, func(c *wire) {
				c.head()
				c.send("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno")
				if got, _ := c.rest(); got != "" {
					t.Errorf("the upstream got a body: %q", got)
				}
			})
			e := newEdge(t, defaults(up.address))
			c := e.say(expecting)
			h := c.head()
			if !strings.HasPrefix(h, "HTTP/1.1 "+status) || !strings.Contains(h, "Connection: close\r\n") {
				t.Errorf("head %q", h)
			}
			if rest, err := c.rest(); rest != "no" || err != nil {
				t.Errorf("rest %q, %v", rest, err)
			}
			_ = c.Close()
			e.line()
		})
	}
	t.Run("client does not wait", func(t *testing.T) {
		up := newPeer(t, func(c *wire) {
			for c.head() != "" {
				body := c.take(5)
				c.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
			}
		})
		e := newEdge(t, defaults(up.address))
		c := e.say(expecting + "hello" + get)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 100") {
			t.Fatalf("interim %q", h)
		}
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(5) != "hello" {
			t.Fatalf("final %q", h)
		}
		e.logged(200, "", 1)
		c.send("abcde") // the raw upstream takes five bytes whatever the method
		_ = c.Close()
	})
	t.Run("upstream never says 100", func(t *testing.T) {
		up := newPeer(t, func(c *wire) {
			c.head()
			c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + c.take(5))
		})
		e := newEdge(t, defaults(up.address))
		c := e.say(expecting)
		expect(t, "head at the upstream", up.heads)
		c.send("hello") // as curl does after a second
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || c.take(5) != "hello" {
			t.Fatalf("final %q", h)
		}
		e.logged(200, "", 1)
	})
}
