package http2

import "time"

// drain is how a connection comes to its end. Guarded by Conn.mu.
type drain struct {
	begun  bool
	asked  bool  // the PING between the two GOAWAYs is on its way
	until  int64 // when its answer is no longer waited for
	last   bool  // the second GOAWAY was said
	broken bool  // the socket takes nothing more
	why    error // what the reader is stopped for
}

var drainPing = []byte("weir-bye")

// Drain ends the connection without losing a request (RFC 9113 §6.8): it says that it will end, takes the requests that were on their way meanwhile (a PING tells
// when, DrainGrace bounds it), names the last one it takes, answers those, and closes. It returns at once and may be called from any goroutine.
func (c *Conn) Drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain.begun || c.err != nil {
		return
	}
	c.drain.begun = true
	if c.lastUsed != 0 { // else greet does it: SETTINGS come first
		c.sayEnd()
	}
}

// sayEnd is the first GOAWAY.
func (c *Conn) sayEnd() {
	c.drain.asked = true
	c.drain.until = c.now() + int64(c.o.DrainGrace)
	c.out.goAway(maxWindow, NoError, "")
	c.out.ping(false, drainPing)
	c.out.soon(c.busy)
	c.watcher.arm()
}

// lastCall is the second GOAWAY.
func (c *Conn) lastCall() {
	if c.drain.last {
		return
	}
	c.drain.last = true
	c.refused = c.lastID
	c.out.goAway(c.lastID, NoError, "")
	c.out.soon(c.busy)
	c.drained()
}

// drained stops the reader when the last stream has ended. One that has ended already may be listening to a client's last words: see linger.
func (c *Conn) drained() {
	if len(c.live) == 0 && c.err == nil {
		c.stop(errStopped)
	}
}

// Idle is since when no stream is open; false: one is, or the connection is ending already.
func (c *Conn) Idle() (since time.Time, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(time.Duration(c.lastUsed)), len(c.live) == 0 && !c.drain.begun && c.err == nil
}
