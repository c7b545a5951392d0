package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestLongUpload sends a chunked body for longer than the proxy waits for an answer in one go: what it does in between must not disturb the body, whose reader is
// another goroutine (go test -race).
func TestLongUpload(t *testing.T) {
	address := backend(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d %v", n, err)
	})
	e := newEdge(t, defaults(address))
	c, r := say(t, e.address, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
	sent := 0
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); <-tick.C { // patience is 1 s, kept within 1.25
		if _, err := io.WriteString(c, "5\r\nhello\r\n"); err != nil {
			t.Fatal(err)
		}
		sent += 5
	}
	if _, err := io.WriteString(c, "0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if resp, body := answer(t, r, "POST"); resp.StatusCode != 200 || body != fmt.Sprintf("%d <nil>", sent) {
		t.Errorf("%d %q, want %d bytes", resp.StatusCode, body, sent)
	}
}

// TestEarlyUpgrade: a 101 to a request that has not ended is refused (RFC 9110 §7.8); joined now, the rest of the body would be spoken as the new protocol.
func TestEarlyUpgrade(t *testing.T) {
	address, received := scripted(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	})
	e := newEdge(t, defaults(address))
	c, r := say(t, e.address, "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nTransfer-Encoding: chunked\r\n\r\n")
	resp, _ := answer(t, r, "POST")
	if resp.StatusCode != 502 || !resp.Close {
		t.Errorf("%d close=%t, want 502", resp.StatusCode, resp.Close)
	}
	_ = c.Close()
	<-received
}
