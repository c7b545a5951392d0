package upstream

import (
	"crypto/tls"
	"errors"
	"os"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
)

// Conn is one connection to a peer. It belongs to the goroutine that got it from Peer.Conn or Peer.Dial until Release.
type Conn struct {
	*http1.ClientConn

	secure       *tls.Conn // over a *wire; nil: plain TCP
	one          [1]byte   // scratch of Readable
	client       Client    // whom its PROXY header named; zero: nobody
	home         *idlePool
	reused       bool
	told         time.Duration // what LearnIdle was told last
	newer, older *Conn         // neighbours while it rests; guarded by home.mu
	since        int64         // when it came to rest, ns; guarded by home.mu
}

// Reused reports a connection that has rested before: the peer may have closed it a moment ago, so one failure without a byte of an answer says
// nothing about the peer.
func (c *Conn) Reused() bool { return c.reused }

// Readable reports whether a resting connection has become useless: the peer closed it or sent what nobody asked for. It is one system call that does not
// wait. Through TLS the records that stand there are taken in first: a session ticket or a key update is no reason to give the connection up.
func (c *Conn) Readable() bool {
	if c.secure == nil {
		return c.ClientConn.Readable()
	}
	w, ok := c.secure.NetConn().(*wire)
	if !ok {
		return true
	}
	w.asking.Store(true)
	n, err := c.secure.Read(c.one[:])
	w.asking.Store(false)
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}

// Close closes the connection. It does not wait: a close_notify for which the socket has no room is left out, since nobody is reading.
func (c *Conn) Close() error {
	if c.secure != nil {
		if w, ok := c.secure.NetConn().(*wire); ok {
			w.asking.Store(true)
		}
	}
	return c.ClientConn.Close()
}

// Cut closes the socket and nothing else, to interrupt whoever uses the connection. Unlike all else here it may be called by anybody.
func (c *Conn) Cut() error {
	if c.secure != nil {
		return c.secure.NetConn().Close()
	}
	return c.Conn().Close()
}

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

// LearnIdle tells what the peer said about its own limit, as in "Keep-Alive: timeout=5": connections of this peer are not kept that long. A peer says it
// with every answer, so only news takes the lock.
func (c *Conn) LearnIdle(limit time.Duration) {
	if limit != c.told {
		c.told = limit
		c.home.learn(limit)
	}
}
