package proxy_test

import (
	"strings"
	"testing"
)

// An answer that comes before the body is whole reaches the client, and what is left of the body is never taken for a request.
func TestEarlyAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		shut         bool // the upstream closes at once, with the body unread
	}{
		{"413 and close", "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", true},
		{"200 kept", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", false},
	} {
		for _, framing := range []string{"Content-Length: 100000", "Content-Length: 10000000", "Transfer-Encoding: chunked"} {
			t.Run(c.name+" "+framing, func(t *testing.T) {
				up := newPeer(t, func(w *wire) {
					if w.head() == "" {
						return
					}
					w.send(c.answer)
					if !c.shut {
						_, _ = w.rest()
					}
				})
				e := newEdge(t, defaults(up.address))
				client := e.say("POST / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n5\r\nhello\r\n")
				h := client.head()
				if !strings.HasPrefix(h, c.answer[:15]) || !strings.Contains(h, "Connection: close\r\n") {
					t.Errorf("head %q", h)
				}
				client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
				client.half()
				if rest, err := client.rest(); rest != "no" || err != nil {
					t.Errorf("rest %q, %v", rest, err)
				}
				e.line()
				for len(up.heads) > 0 {
					if h := <-up.heads; strings.Contains(h, "smuggled") {
						t.Error("the body's rest became a request")
					}
				}
			})
		}
	}
}

// The body is whole when the early answer ends: the connection goes on, in step.
func TestEarlyHeadLateBody(t *testing.T) {
	up := newPeer(t, func(w *wire) {
		for {
			h := w.head()
			if h == "" {
				return
			}
			if strings.HasPrefix(h, "GET") {
				w.send(ok)
				continue
			}
			w.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
			w.take(100000)
			w.send("0\r\n\r\n")
		}
	})
	e := newEdge(t, defaults(up.address))
	c := e.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Fatalf("head %q", h)
	}
	if got := c.take(7); got != "2\r\nhi\r\n" {
		t.Fatalf("first chunk %q", got)
	}
	c.send(strings.Repeat("x", 100000))
	if got := c.take(5); got != "0\r\n\r\n" {
		t.Fatalf("end %q", got)
	}
	if l := e.logged(200, "", 1); l.In != 100000 {
		t.Errorf("%d bytes in", l.In)
	}
}

func TestChunkedBodyOverTheLimit(t *testing.T) {
	up := newPeer(t, func(w *wire) { w.head(); _, _ = w.rest() })
	o := defaults(up.address)
	o.maxBody = 100 << 10
	e := newEdge(t, o)
	c := e.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range 11 {
		c.send("2800\r\n" + strings.Repeat("x", 10<<10) + "\r\n")
	}
	if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 413 ") || !strings.Contains(h, "Connection: close\r\n") {
		t.Errorf("head %q", h)
	}
	e.logged(413, "body_too_large", 1)
	if n := e.failures(); n != 0 {
		t.Errorf("held against the peer %d times", n)
	}
}
