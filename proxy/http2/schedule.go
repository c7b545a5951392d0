package http2

// grant waits until the stream may send, and returns how many of want bytes: 0 when it never will. Conn.mu is held.
//
// A stream that its own window stops waits alone: it holds nothing but its handler. Streams that the connection's window or buffer stops take turns by RFC 9218:
// lower urgency first; of the same urgency, incremental ones take turns frame by frame, others go one after the other in the order of their requests.
func (s *Stream) grant(want int) (n int) {
	c := s.conn
	for n == 0 && !s.silenced() {
		room := outFull - frameHeader - len(c.out.buf)
		switch {
		case s.sendWin <= 0:
			s.await()
		case c.sendWin <= 0 || c.waiting > 0 && c.best(s) != s || room < min(want, minChunk) && c.out.writing:
			s.waits = true
			c.waiting++
			s.await()
			s.waits = false
			c.waiting--
		case room < min(want, minChunk):
			c.out.write()
		default:
			n = int(min(int64(min(want, room, c.peer.frame)), s.sendWin, c.sendWin))
		}
	}
	s.writeAt = 0
	return n
}

// minChunk is the least room that a DATA frame is made for, unless it is the last.
const minChunk = 2 << 10

// room waits until the buffer takes a head.
func (s *Stream) room() bool {
	c := s.conn
	for len(c.out.buf) >= outFull && !s.silenced() {
		if !c.out.writing {
			c.out.write()
			continue
		}
		s.waitHead = true
		c.waiting++
		s.await()
		s.waitHead = false
		c.waiting--
	}
	s.writeAt = 0
	return !s.silenced()
}

// await waits for a change, after letting go what the client must have before it opens a window.
func (s *Stream) await() {
	c := s.conn
	if s.writeAt == 0 && !s.forever {
		s.writeAt = c.now() + s.writeWait
	}
	switch {
	case len(c.out.buf) == 0:
	case c.out.writing:
		c.out.wanted = true
	default:
		c.out.write()
		return // the lock was open: look again
	}
	s.canSend.Wait()
}

// next wakes the stream whose turn it is, and those that have a head to say, if the connection has room.
func (c *Conn) next() {
	if c.waiting == 0 || c.out.writing && len(c.out.buf) > outFull-minChunk {
		return
	}
	for _, s := range c.live {
		if s.waitHead {
			s.canSend.Signal()
		}
	}
	if s := c.best(nil); s != nil && c.sendWin > 0 {
		s.canSend.Signal()
	}
}

// best is the stream to go first among those that wait for the connection, and s.
func (c *Conn) best(s *Stream) *Stream {
	for _, t := range c.live {
		if t.waits && t != s && t.sendWin > 0 && t.fault == nil && (s == nil || t.before(s)) {
			s = t
		}
	}
	return s
}

func (s *Stream) before(t *Stream) bool {
	switch {
	case s.prio.Urgency != t.prio.Urgency:
		return s.prio.Urgency < t.prio.Urgency
	case !s.prio.Incremental && !t.prio.Incremental:
		return s.id < t.id
	}
	return s.turn < t.turn
}
