package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, x-hop\r\nX-Hop: 1\r\nUpgrade: echo\r\n\r\n"

// Bytes glued behind both heads get through, and each direction ends for itself.
func TestTunnel(t *testing.T) {
	for _, first := range []string{"client", "upstream"} {
		t.Run(first+" ends first", func(t *testing.T) {
			up := newPeer(t, func(c *wire) {
				c.head()
				c.send(switching + "early")
				if first == "upstream" {
					c.half()
				}
				got, err := c.rest()
				if got != "gluedlater" || err != nil {
					t.Errorf("the upstream got %q, %v", got, err)
				}
				if first == "client" {
					c.send("bye")
				}
			})
			e := newEdge(t, defaults(up.address))
			c := e.say(upgrade + "glued")
			h := c.head()
			if !strings.HasPrefix(h, "HTTP/1.1 101 ") || !strings.Contains(h, "\r\nUpgrade: echo\r\n") || !strings.Contains(h, "\r\nConnection: Upgrade\r\n") || strings.Contains(h, "Hop") {
				t.Errorf("head %q", h)
			}
			if got := c.take(5); got != "early" {
				t.Errorf("got %q", got)
			}
			e.proxy.Publish(e.proxy.Snapshot()) // a reload is nothing to a tunnel
			if first == "upstream" {
				if rest, err := c.rest(); rest != "" || err != nil {
					t.Errorf("after the upstream's end: %q, %v", rest, err)
				}
			}
			c.send("later")
			c.half()
			if first == "client" {
				if rest, err := c.rest(); rest != "bye" || err != nil {
					t.Errorf("after our end: %q, %v", rest, err)
				}
			}
			if l := e.logged(101, "", 1); l.Out < 5 {
				t.Errorf("%d bytes out", l.Out)
			}
		})
	}
}

func TestUpgradeRefused(t *testing.T) {
	for _, status := range []string{"200 OK", "400 Bad Request", "426 Upgrade Required"} {
		up := answering(t, "HTTP/1.1 "+status+"\r\nContent-Length: 2\r\n\r\nno")
		e := newEdge(t, defaults(up.address))
		c := e.dial()
		for range 2 {
			c.send(upgrade)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 "+status) || c.take(2) != "no" {
				t.Errorf("head %q", h)
			}
		}
	}
}

func TestUnaskedSwitch(t *testing.T) {
	for name, request := range map[string]string{
		"unasked":          get,
		"HTTP/1.0":         strings.Replace(upgrade, "1.1", "1.0", 1),
		"inside a body":    "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 9\r\n\r\nhal",
		"inside a chunked": "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhal",
	} {
		t.Run(name, func(t *testing.T) {
			up := newPeer(t, func(c *wire) {
				c.head()
				c.send(switching + "GET /evil HTTP/1.1\r\n\r\n")
				_, _ = c.rest()
			})
			e := newEdge(t, defaults(up.address))
			c := e.say(request)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 502 ") {
				t.Errorf("head %q", h)
			}
			if l := e.line(); l.Status != 502 || l.Attempts != 1 {
				t.Errorf("logged %+v", l)
			}
		})
	}
}

func TestWebSocket(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, data); err != nil {
				return
			}
		}
	})
	e := newEdge(t, defaults(addr))
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, "ws://"+e.address+"/ws", nil)
	if err != nil {
		t.Fatalf("dial: %v %v", resp, err)
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for _, size := range []int{0, 1, 125, 126, 70000, 500000} {
		want := strings.Repeat("w", size)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		e.proxy.Publish(e.proxy.Snapshot())
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	e.logged(101, "", 1)
}
