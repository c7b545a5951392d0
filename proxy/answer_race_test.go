package proxy_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAnswerBehindLastByte: an upstream that answers the moment it has the last byte of a body has had all of it, however quickly that answer comes: the client keeps its connection, and so does the
// upstream. Bodies that are written through and spliced.
func TestAnswerBehindLastByte(t *testing.T) {
	for _, size := range []int{60_000, 300_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			up := newPeer(t, func(c *wire) {
				for c.head() != "" && len(c.take(size)) == size {
					c.send(ok)
				}
			})
			o := defaults(up.address)
			o.quiet = true
			e := newEdge(t, o)
			c := e.dial()
			body := strings.Repeat("x", size)
			for i := range 50 {
				c.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
				c.send(body[:size/2])
				c.send(body[size/2:])
				if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200 ") || strings.Contains(h, "Connection: close") || c.take(2) != "ok" {
					t.Fatalf("request %d: %q", i, h)
				}
			}
		})
	}
}
