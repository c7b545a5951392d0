package server

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// turns keeps handshakes from taking the machine: as many compute at once as there are processors, the others wait in line. Without it every client that begins one
// adds a goroutine that can run for some 400 µs, and a request on an established connection stands behind all of them. It is not enough: see handshake-flood in docs/benchmarks.md.
// A turn lasts from what the client sent to what it is sent: whoever makes the server wait holds none, so slow clients keep nobody out.
type turns struct {
	slots   chan struct{}
	waiting atomic.Int64 // handshakes in line
	most    int64
}

// longestLine is how many handshakes may wait per processor. At 400 µs each the last of them is answered in under a second; one that would wait longer is
// closed, because its client has given up or begins anew by then.
const longestLine = 2048

// breath is how long the processor is left to others before each turn while handshakes stand in line. The scheduler runs who was woken last first and looks at
// sockets only when nobody can run (or every 10 ms): handing turns on directly would let nobody else in.
const breath = 50 * time.Microsecond

func newTurns() *turns {
	n := runtime.GOMAXPROCS(0)
	return &turns{slots: make(chan struct{}, n), most: int64(n) * longestLine}
}

// errOverload ends a handshake for which the line is too long.
var errOverload = errors.New("too many handshakes wait for their turn")

// take waits for a turn; who comes first is served first.
func (t *turns) take(ctx context.Context) error {
	select {
	case t.slots <- struct{}{}:
		return nil
	default:
	}
	if t.waiting.Add(1) > t.most {
		t.waiting.Add(-1)
		return errOverload
	}
	defer t.waiting.Add(-1)
	select {
	case t.slots <- struct{}{}:
		time.Sleep(breath)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *turns) give() { <-t.slots }

// turnConn is a connection while its handshake runs: each read gives the turn back before it waits and takes one for what has come. After end it is the connection
// itself. One goroutine reads it at a time.
type turnConn struct {
	net.Conn
	ctx   context.Context // of the handshake
	turns *turns
	held  bool
	over  bool
}

// Read implements net.Conn.
func (c *turnConn) Read(p []byte) (int, error) {
	if c.over {
		return c.Conn.Read(p)
	}
	c.rest()
	n, err := c.Conn.Read(p)
	if n > 0 {
		if late := c.turns.take(c.ctx); late != nil {
			return 0, late
		}
		c.held = true
	}
	return n, err
}

// NetConn is the connection itself, for what asks the socket.
func (c *turnConn) NetConn() net.Conn { return c.Conn }

// end is the end of the handshake, however it went.
func (c *turnConn) end() {
	c.rest()
	c.over, c.ctx = true, nil
}

func (c *turnConn) rest() {
	if c.held {
		c.held = false
		c.turns.give()
	}
}
