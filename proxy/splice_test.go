package proxy_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// TestTimeoutCutsSplice: the route's timeout runs to the end of the response, also where the body goes through the kernel and keeps flowing.
func TestTimeoutCutsSplice(t *testing.T) {
	for name, play := range map[string]func(net.Conn){
		"silent": func(net.Conn) {},
		"flowing": func(c net.Conn) {
			for tick := time.NewTicker(20 * time.Millisecond); ; {
				<-tick.C
				if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
					tick.Stop()
					return
				}
			}
		},
	} {
		address, _ := scripted(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"+strings.Repeat("x", http1.SpliceMin))
			play(c)
		})
		o := defaults(address)
		o.timeout = 2 * time.Second // the head has to come within it too
		e := newEdge(t, o)
		_, r := say(t, e.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := cutShort(r, "GET"); err == nil {
			t.Errorf("%s: looks complete to the client", name)
		}
	}
}

// TestBrokenSpliceShows: a response whose end is the end of the connection must not look complete when its upstream broke off.
func TestBrokenSpliceShows(t *testing.T) {
	const size = 300 << 10
	arrived := make(chan struct{})
	address, _ := scripted(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n"+strings.Repeat("x", size))
		<-arrived
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	})
	e := newEdge(t, defaults(address))
	_, r := say(t, e.address, "GET / HTTP/1.0\r\n\r\n")
	_, err := io.ReadFull(r, make([]byte, size))
	close(arrived)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err == nil {
		t.Error("looks complete to the client")
	}
}
