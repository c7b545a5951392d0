package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// turns keeps handshakes from taking the machine: as many compute at once as there are processors, the others wait in line, and where one follows another
// it begins with a breath (its first turn: what comes after the hello is cheap), so that established connections are served between any two. Without it every client that begins one adds a goroutine that can run for
// some 200 µs, and a request on an established connection stands behind all of them, twice.
// A turn lasts from what the client sent to what it is sent: whoever makes the server wait holds none, so slow clients keep nobody out.
type turns struct {
	free    chan *breath // one for each turn that nobody has
	waiting atomic.Int64 // handshakes in line
	most    int64
	began   time.Time
	last    atomic.Int64 // ns since began: when a turn ended
}

// rush is how soon after a turn another needs a breath. Handshakes that come one by one go without.
const rush = time.Millisecond

// longestLine is how many handshakes may wait per processor. At 200 µs each the last of them is answered in under a second; one that would wait longer is
// closed, because its client has given up or begins anew by then.
const longestLine = 2048

func newTurns() (*turns, error) {
	n := runtime.GOMAXPROCS(0)
	t := &turns{free: make(chan *breath, n), most: int64(n) * longestLine, began: time.Now()}
	for range n {
		b, err := newBreath()
		if err != nil {
			t.close()
			return nil, fmt.Errorf("prepare handshakes: %w", err)
		}
		t.free <- b
	}
	return t, nil
}

// close gives the descriptors back, but for those of handshakes that have not ended.
func (t *turns) close() {
	for {
		select {
		case b := <-t.free:
			b.close()
		default:
			return
		}
	}
}

// errOverload ends a handshake for which the line is too long.
var errOverload = errors.New("too many handshakes wait for their turn")

// take waits for a turn; who comes first is served first.
func (t *turns) take(ctx context.Context) (*breath, error) {
	select {
	case b := <-t.free:
		return b, nil
	default:
	}
	if t.waiting.Add(1) > t.most {
		t.waiting.Add(-1)
		return nil, errOverload
	}
	defer t.waiting.Add(-1)
	select {
	case b := <-t.free:
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// rushed reports whether another turn has only just ended.
func (t *turns) rushed() bool {
	last := time.Duration(t.last.Load())
	return last > 0 && time.Since(t.began)-last < rush
}

func (t *turns) give(b *breath) {
	t.last.Store(int64(time.Since(t.began)))
	t.free <- b
}

// turnConn is a connection while its handshake runs: each read gives the turn back before it waits and takes one for what has come. After end it is the connection
// itself. One goroutine reads it at a time.
type turnConn struct {
	net.Conn
	ctx   context.Context // of the handshake
	turns *turns
	turn  *breath // nil: holds none
	eased bool    // had its first turn
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
		turn, late := c.turns.take(c.ctx)
		if late != nil {
			return 0, late
		}
		c.turn = turn
		if !c.eased && c.turns.rushed() {
			turn.take()
		}
		c.eased = true
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
	if c.turn != nil {
		c.turns.give(c.turn)
		c.turn = nil
	}
}
