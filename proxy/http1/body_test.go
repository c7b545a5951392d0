package http1_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// TestReadersAgree draws pipelined requests with bodies, cuts them anywhere, and reads every body by a mixture of Next, Read with buffers of any size and AtHand:
// what comes out is what went in, however it is read.
func TestReadersAgree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var raw strings.Builder
		var bodies []string
		for range rapid.IntRange(1, 3).Draw(r, "requests") {
			pad := strings.Repeat("p", rapid.SampledFrom([]int{0, 10, 3900, 4000, 4020, 8000}).Draw(r, "pad"))
			body := strings.Repeat("0123456789\r\n", rapid.IntRange(0, 700).Draw(r, "body"))
			bodies = append(bodies, body)
			if rapid.Bool().Draw(r, "chunked") {
				fmt.Fprintf(&raw, "POST / HTTP/1.1\r\nHost: a\r\nX: %s\r\nTransfer-Encoding: chunked\r\n\r\n", pad)
				for len(body) > 0 {
					n := min(len(body), rapid.IntRange(1, 5000).Draw(r, "chunk"))
					fmt.Fprintf(&raw, "%x\r\n%s\r\n", n, body[:n])
					body = body[n:]
				}
				raw.WriteString("0\r\n\r\n")
			} else {
				fmt.Fprintf(&raw, "POST / HTTP/1.1\r\nHost: a\r\nX: %s\r\nContent-Length: %d\r\n\r\n%s", pad, len(body), body)
			}
		}
		all := raw.String()
		var cuts []int
		for at := 0; at < len(all); {
			at += rapid.IntRange(1, 6000).Draw(r, "cut")
			cuts = append(cuts, min(at, len(all)))
		}
		c := http1.NewServerConn(&wire{pieces: cut(all, cuts...)}, &http1.ServerOptions{Limits: http1.DefaultLimits()})
		defer func() { _ = c.Close() }()
		var req message.Request
		for i, want := range bodies {
			if err := c.Wait(time.Now()); err != nil {
				r.Fatal(i, err)
			}
			if err := c.ReadRequest(&req); err != nil {
				r.Fatal(i, err)
			}
			head := describe(&req)
			if got := mixed(r, c.Body()); got != want {
				r.Fatalf("request %d: %d bytes, want %d", i, len(got), len(want))
			}
			if describe(&req) != head {
				r.Fatalf("request %d: its head was overwritten", i)
			}
			if !c.EndExchange() {
				r.Fatal(i, "no further request")
			}
		}
	})
}

func mixed(r *rapid.T, b *http1.Body) string {
	var got strings.Builder
	for !b.Complete() {
		var p []byte
		var err error
		switch rapid.IntRange(0, 4).Draw(r, "how") {
		case 0:
			p, err = b.Next()
		case 1:
			buf := make([]byte, rapid.SampledFrom([]int{0, 1, 7, 100, 5000}).Draw(r, "size"))
			var n int
			n, err = b.Read(buf)
			p = buf[:n]
		case 2:
			p, _ = b.AtHand()
		case 4:
			buf := make([]byte, rapid.SampledFrom([]int{0, 1, 7, 100, 5000}).Draw(r, "size"))
			p = buf[:b.ReadNow(buf)]
		case 3:
			b.Buffered() // must change nothing that is read
		}
		if err != nil && err != io.EOF {
			r.Fatal(err)
		}
		got.Write(p)
	}
	return got.String()
}

// TestBufferedIsData holds that Buffered speaks of data, not of bytes: what stands behind a chunk's data is its line end, and a relay that waited for more on the
// strength of it would hold back what it has gathered.
func TestBufferedIsData(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, first, second string
		after               bool // Buffered behind the first data
	}{
		{"line end", "5\r\nhello\r\n", "0\r\n\r\n", false},
		{"half a line end", "5\r\nhello\r", "\n0\r\n\r\n", false},
		{"size without its end", "5\r\nhello\r\n5", "\r\nworld\r\n0\r\n\r\n", false},
		{"size without data", "5\r\nhello\r\n5\r\n", "world\r\n0\r\n\r\n", false},
		{"next data", "5\r\nhello\r\n5\r\nw", "orld\r\n0\r\n\r\n", true},
		{"last chunk without its end", "5\r\nhello\r\n0\r\n", "\r\n", false},
		{"trailer without its end", "5\r\nhello\r\n0\r\nX: y\r\n", "\r\n", false},
		{"the end", "5\r\nhello\r\n0\r\n\r\n", "", true},
		{"an error", "5\r\nhello!", "", true},
	} {
		conn := http1.NewServerConn(&wire{pieces: cut(head+c.first+c.second, len(head+c.first))}, &http1.ServerOptions{Limits: http1.DefaultLimits()})
		if err := conn.ReadRequest(new(message.Request)); err != nil {
			t.Fatal(c.name, err)
		}
		b := conn.Body()
		if !b.Buffered() {
			t.Errorf("%s: nothing buffered at first", c.name)
		}
		if p, err := b.Next(); string(p) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", c.name, p, err)
		}
		if got := b.Buffered(); got != c.after {
			t.Errorf("%s: buffered %t behind the data", c.name, got)
		}
	}
}

// TestAtHand takes a body only when it is whole.
func TestAtHand(t *testing.T) {
	const raw = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	for at := len(raw) - 5; at <= len(raw); at++ {
		c := http1.NewServerConn(&wire{pieces: cut(raw, at)}, &http1.ServerOptions{Limits: http1.DefaultLimits()})
		if err := c.ReadRequest(new(message.Request)); err != nil {
			t.Fatal(err)
		}
		p, ok := c.Body().AtHand()
		if ok != (at == len(raw)) || ok && string(p) != "hello" || !ok && c.Received() != 0 {
			t.Errorf("cut at %d: %q, %t, %d received", at, p, ok, c.Received())
		}
		if c.Body().Complete() != ok {
			t.Errorf("cut at %d: complete %t", at, !ok)
		}
	}
}

// TestEveryByteOverTCP is the corpus' cutting on real sockets, whose reads go through the poller: pipelined requests arrive with every byte in a packet of its own.
func TestEveryByteOverTCP(t *testing.T) {
	const raw = "\r\nGET /1?a HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n"
	want := []string{`GET /1?a host=a X-A="b"`, `POST /2 host=a length=5 body="hello"`, `POST /3 host=a chunked body="hello" trailer T="1"`}
	near, far := pair(t)
	go func() {
		for i := range len(raw) {
			if _, err := far.Write([]byte{raw[i]}); err != nil {
				return
			}
		}
		_ = far.CloseWrite()
	}()
	got := hearConn(t, near)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func hearConn(t *testing.T, conn net.Conn) (said []string) {
	t.Helper()
	c := http1.NewServerConn(conn, &http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: 5 * time.Second, HeaderTimeout: 5 * time.Second, BodyTimeout: 5 * time.Second})
	var req message.Request
	for c.Wait(time.Now()) == nil {
		if err := c.ReadRequest(&req); err != nil {
			t.Fatal(err)
		}
		line := describe(&req)
		body, err := byNext(c.Body())
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, line+describeBody(body, c.Body().Trailers()))
		if !c.EndExchange() {
			t.Fatal("no further request")
		}
	}
	return said
}
