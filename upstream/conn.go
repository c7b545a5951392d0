package upstream

import (
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// Conn is one connection to a peer. It belongs to the goroutine that got it from Peer.Conn or Peer.Dial until Release.
type Conn struct {
	*http1.ClientConn

	home         *idlePool
	reused       bool
	newer, older *Conn // neighbours while it rests; guarded by home.mu
	since        int64 // when it came to rest, ns; guarded by home.mu
}

// Reused reports a connection that has rested before: the peer may have closed it a moment ago, so one failure without a byte of an answer says
// nothing about the peer.
func (c *Conn) Reused() bool { return c.reused }

// Release ends the use of the connection. A reusable one rests for the next request; else, or when the peer has left or holds enough, it is
// closed.
func (c *Conn) Release(reusable bool, now int64) {
	if reusable {
		c.Idle()
		if c.home.put(c, now) {
			return
		}
	}
	_ = c.Close() // nothing is pending on it: an error would concern nobody
}

// LearnIdle tells what the peer said about its own limit, as in "Keep-Alive: timeout=5": connections of this peer are not kept that long.
func (c *Conn) LearnIdle(limit time.Duration) { c.home.learn(limit) }
