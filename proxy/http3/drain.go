package http3

import (
	"errors"
	"time"

	"github.com/quic-go/quic-go"
)

// drain is how a connection comes to its end. Guarded by Conn.mu.
type drain struct {
	begun bool
	last  bool        // the second GOAWAY was said: what comes now is turned away
	timer *time.Timer // to the next step
}

func (d *drain) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

// maxStreamID is what a GOAWAY says that turns nothing away: the largest identifier of a client's request.
const maxStreamID = 1<<62 - 4

// Drain ends the connection without losing a request (RFC 9114 §5.2): it says that it will end, takes the requests that were on their way meanwhile, names the
// first one that it does not take, answers the others, and closes. It returns at once and may be called from any goroutine.
func (c *Conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain.begun {
		return
	}
	c.drain.begun = true
	if c.control != nil { // else greet does it: SETTINGS come first
		c.sayEnd()
	}
}

// sayEnd is the first GOAWAY. The second follows when whatever the client had sent before it heard this one has come.
func (c *Conn) sayEnd() {
	if !c.goAway(maxStreamID) {
		return
	}
	wait := max(3*c.quic.ConnectionStats().SmoothedRTT, 10*time.Millisecond)
	c.drain.timer = time.AfterFunc(min(wait, c.o.DrainGrace), c.lastCall)
}

// lastCall is the second GOAWAY.
func (c *Conn) lastCall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain.last = true
	if c.goAway(c.next) && len(c.live) == 0 {
		c.leave()
	}
}

// leave closes the connection when its last answer has had time to arrive: quic-go sends nothing more after a close, and does not tell what was received. A client
// that has all it wants closes earlier.
func (c *Conn) leave() {
	if wait := c.o.DrainGrace - time.Since(c.rested); wait > 0 {
		c.drain.timer = time.AfterFunc(wait, c.Close)
		return
	}
	go c.Close() // it waits for the connection's goroutine
}

// goAway queues the frame. A client that lets our control stream fill up is cut off: there is no other way to tell it.
func (c *Conn) goAway(first quic.StreamID) bool {
	id := appendVarint(nil, uint64(first))
	err := c.control.TryWriteAll(append([]byte{frameGoAway, byte(len(id))}, id...))
	if errors.Is(err, quic.ErrWouldBlock) {
		go c.Close() // as in leave
	}
	return err == nil
}
