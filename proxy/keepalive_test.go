package proxy_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKeepAliveRaceIsAvoided: an upstream that says how long it keeps connections, as Node does, and drops what reaches it later than that without an answer, which is
// what a request looks like that meets the close on the way. No POST may be lost to it.
func TestKeepAliveRaceIsAvoided(t *testing.T) {
	const kept = 5 * time.Second // far more than it says: what is judged is the edge, not the machine's load
	var lost atomic.Int64
	up := newPeer(t, func(c *wire) {
		for last := time.Now(); ; last = time.Now() {
			h := c.head()
			if h == "" {
				return
			}
			c.take(strings.Count(h, "Content-Length: 4") * 4)
			if time.Since(last) > kept {
				lost.Add(1)
				c.reset()
				return
			}
			c.send("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n")
		}
	})
	e := newEdge(t, defaults(up.address))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			c := e.dial()
			defer func() { _ = c.Close() }()
			for request := range 2 {
				if request > 0 {
					<-time.After(kept + time.Duration(i)*25*time.Millisecond) // traffic this thin is what meets the limit
				}
				c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
				if h := c.head(); !strings.HasPrefix(h, "HTTP/1.1 200") || strings.Contains(h, "timeout=") {
					t.Errorf("%q", h)
					return
				}
			}
		})
	}
	clients.Wait()
	if n := lost.Load(); n != 0 {
		t.Errorf("%d requests were sent on connections that the upstream had given up", n)
	}
}
