package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/http2"
)

// slowWindow is the body and write timeout of these tests, longer than a machine is away between two drops of a trickle: a trickle that keeps every timeout of it goes on for many of them where nothing measures its rate.
const slowWindow = 4 * time.Second

// trickle says text again and again, at most so often, until nobody takes it any more.
func trickle(c io.Writer, parts int, text string, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range parts {
		<-tick.C
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func slowEdge(t *testing.T, address string, minBody int64, minSend int) *edge {
	o := defaults(address)
	o.http1.BodyTimeout, o.http1.MinSendRate = slowWindow, minSend
	o.http1.WriteTimeout = slowWindow // the kernel wakes a writer only when a third of its buffer is free
	e := newEdge(t, o)
	e.listener.Bind(&proxy.Bounds{HTTP1: o.http1, MinBody: minBody})
	return e
}

// A body that comes byte by byte, each in time, is ended by its rate, spliced or not; the peer is not blamed.
func TestTricklingBodyIsRefused(t *testing.T) {
	t.Parallel()
	for framing, part := range map[string]string{
		"Content-Length: 100000": "x", "Content-Length: 10000000": "x", "Transfer-Encoding: chunked": "1\r\nx\r\n",
	} {
		t.Run(framing, func(t *testing.T) {
			t.Parallel()
			up := newPeer(t, func(c *wire) { c.head(); _, _ = c.rest() })
			e := slowEdge(t, up.address, 1000, 0)
			begin := time.Now() // before the edge hears of it
			c := e.say("PUT / HTTP/1.1\r\nHost: a\r\n" + framing + "\r\n\r\n")
			go trickle(c.Conn, 10000, part, slowWindow/100)
			if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 408 ") || !strings.Contains(h, "Connection: close\r\n") {
				t.Errorf("head %q", h)
			}
			if took := time.Since(begin); took < slowWindow {
				t.Errorf("after %v", took)
			}
			_ = c.Close()
			e.logged(408, "client_body_slow", 1)
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
}

// What moves is not cut, however long it takes; nor what the upstream holds up; nor a conversation, whose upstream has begun to answer.
func TestMovingBodyIsNotCut(t *testing.T) {
	t.Parallel()
	const parts = 13 // of a tenth of a window each
	t.Run("moves", func(t *testing.T) {
		t.Parallel()
		up := newPeer(t, func(c *wire) { c.head(); c.take(parts * 4000); c.send(ok) })
		e := slowEdge(t, up.address, 1000, 0) // the client brings about 40000 in each window
		c := e.say(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", parts*4000))
		trickle(c.Conn, parts, strings.Repeat("x", 4000), slowWindow/10)
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
			t.Errorf("head %q", h)
		}
	})
	t.Run("held up", func(t *testing.T) {
		t.Parallel()
		const size = 6 << 20
		up := newPeer(t, func(c *wire) {
			c.head()
			tick := time.NewTicker(slowWindow / 10)
			defer tick.Stop()
			for range parts {
				<-tick.C
				c.take(size / parts)
			}
			c.send(ok)
		})
		e := slowEdge(t, up.address, 1<<20, 0) // far more than the upstream takes
		c := e.say(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size))
		go func() { _, _ = io.WriteString(c.Conn, strings.Repeat("x", size)+"\r\n0\r\n\r\n") }()
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
			t.Errorf("head %q", h)
		}
	})
	t.Run("conversation", func(t *testing.T) {
		t.Parallel()
		addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n)
		})
		e := slowEdge(t, addr, 1000, 0)
		c := e.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") {
			t.Errorf("head %q", h)
		}
		trickle(c.Conn, parts, "1\r\nx\r\n", slowWindow/10)
		c.send("0\r\n\r\n")
		if rest := c.take(len("2\r\n13\r\n0\r\n\r\n")); rest != fmt.Sprintf("2\r\n%d\r\n0\r\n\r\n", parts) {
			t.Errorf("answer %q", rest)
		}
	})
}

// A client that takes a little of a response before each deadline is ended by its rate, copied or spliced; one that keeps up is not, nor one whose upstream is slow.
func TestTricklingReader(t *testing.T) {
	t.Parallel()
	const rate = 100 << 20 // bytes per second, far more than the slow reader takes
	for name, head := range map[string]string{"copied": "Transfer-Encoding: chunked\r\n", "spliced": "Content-Length: 1000000000\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := newPeer(t, func(c *wire) {
				c.head()
				c.send("HTTP/1.1 200 OK\r\n" + head + "\r\n")
				block := []byte(strings.Repeat("x", 64<<10))
				if name == "copied" {
					block = []byte("10000\r\n" + string(block) + "\r\n")
				}
				for {
					if _, err := c.Write(block); err != nil {
						return
					}
				}
			})
			e := slowEdge(t, up.address, 0, rate)
			c := e.dial()
			c.send(get)
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				buf := make([]byte, 64<<10)
				for {
					select {
					case <-tick.C:
					case <-stop:
						return
					}
					if _, err := c.Conn.Read(buf); err != nil {
						return
					}
				}
			}()
			if l := e.line(); l.Status != 200 || l.Reason != "client_read_slow" {
				t.Errorf("logged %+v", l)
			}
			if n := e.failures(); n != 0 {
				t.Errorf("held against the peer %d times", n)
			}
		})
	}
	t.Run("slow upstream", func(t *testing.T) {
		t.Parallel()
		const size, parts = 300_000, 26 // what is large is spliced; it fits the buffers of sockets, and each write of it is more than the rate asks for: only the trickle is long
		up := newPeer(t, func(c *wire) {
			c.head()
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size) + strings.Repeat("x", size-parts))
			trickle(c.Conn, parts, "x", slowWindow/20)
		})
		e := slowEdge(t, up.address, 0, 1000)
		c := e.say(get)
		c.head()
		if n, err := io.CopyN(io.Discard, c.r, size); err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		e.logged(200, "", 1)
	})
}

// TestTricklesOverHTTP2: both bounds hold for streams, each with its reason.
func TestTricklesOverHTTP2(t *testing.T) {
	t.Parallel()
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	e := newEdge(t, defaults(addr))
	client, base := http2Client(t, e, &proxy.Bounds{
		HTTP1: defaults().http1, HTTP2: http2.Options{BodyTimeout: patienceOfTests, WriteTimeout: slowWindow, MinSendRate: 50 << 20},
	})
	resp, err := client.Get(base + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	slow := resp.Body
	go func() {
		buf := make([]byte, 4<<10)
		for {
			if _, err := slow.Read(buf); err != nil {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}()
	if l := e.line(); l.Status != 200 || l.Reason != "client_read_slow" {
		t.Errorf("logged %+v", l)
	}

	_ = slow.Close()

	b := proxy.Bounds{HTTP1: defaults().http1, HTTP2: http2.Options{BodyTimeout: slowWindow}, MinBody: 1000}
	b.HTTP1.BodyTimeout = slowWindow
	client, base = http2Client(t, e, &b)
	body, w := io.Pipe()
	go trickle(w, 10000, "x", slowWindow/100)
	resp, err = client.Post(base+"/", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	_ = body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d", resp.StatusCode)
	}
	e.logged(408, "client_body_slow", 1)
}
