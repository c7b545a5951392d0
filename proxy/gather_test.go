package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A body whose rest is in the socket by the time its head is read, and so goes out in one write, leaves both connections open.
func TestGatheredBodyKeepsTheConnection(t *testing.T) {
	addr := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	e := newEdge(t, defaults(addr))
	c := e.dial()
	for i := range 50 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40000))
		if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || strings.Contains(h, "close") {
			t.Fatalf("request %d: %q", i, h)
		}
	}
}
