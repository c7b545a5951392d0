package http2

// flow tunes the receive windows. A window of w lets w bytes through per round trip; when a round trip brings two thirds of it, the window is what limits the client, and it
// is doubled, up to MaxWindow. Round trips are measured by PING, only while bodies arrive and there is room to grow.
type flow struct {
	target int64 // the window of the connection and of each stream
	sample int64 // bytes since the PING
	asked  bool
	nextAt int64 // no PING before that
	pause  int64
}

var measurePing = []byte("weir-bdp")

const (
	firstPause = 10e6 // ns between two measurements, doubled by each that finds nothing to do
	maxPause   = 10e9
)

// measure counts body bytes.
func (c *Conn) measure(n int64) {
	w := &c.flow
	if w.target >= int64(c.o.MaxWindow) {
		return
	}
	w.sample += n
	if w.asked || w.sample < w.target/4 {
		return
	}
	if now := c.now(); now >= w.nextAt {
		w.asked, w.sample = true, n
		c.out.ping(false, measurePing)
	}
}

func (c *Conn) pingAnswered(data []byte) *connError {
	w := &c.flow
	switch {
	case w.asked && string(data) == string(measurePing):
		w.asked = false
		now := c.now()
		if w.sample*3 >= w.target*2 {
			grown := min(2*w.target, int64(c.o.MaxWindow))
			if c.client == nil {
				c.credit += grown - w.target
			}
			w.target, w.pause = grown, firstPause
		} else {
			w.pause = min(max(2*w.pause, firstPause), maxPause)
		}
		w.nextAt, w.sample = now+w.pause, 0
		return nil
	case c.client != nil && c.client.pinged > 0 && string(data) == string(alivePing):
		c.client.pinged = 0
		return nil
	case c.drain.asked && string(data) == string(drainPing):
		c.drain.asked = false
		c.lastCall()
		return nil
	}
	return c.spend(FloodPing)
}

// readOff gives n bytes of the connection's window back to the client. An upstream has had them back when they arrived: on a connection that many clients share,
// one that reads slowly must stop only its own stream.
func (c *Conn) readOff(n int64) {
	if c.client == nil {
		c.giveBack(n, c.flow.target)
	}
}

// giveBack announces n bytes of the connection's window, in steps of a quarter of it.
func (c *Conn) giveBack(n, window int64) {
	c.credit += n
	if c.credit >= window/4 {
		c.recvWin += c.credit
		c.out.windowUpdate(0, uint32(c.credit))
		c.credit = 0
	}
}

// readOff gives n bytes back to the connection and, while more of the body is to come, to the stream, whose window follows the connection's target.
func (s *Stream) readOff(n int64) {
	c := s.conn
	c.readOff(n)
	if s.recvDone || s.fault != nil || c.err != nil {
		return
	}
	if s.credit += n; s.credit+c.flow.target-s.target >= c.flow.target/4 {
		s.credit += c.flow.target - s.target
		s.target = c.flow.target
		s.recvWin += s.credit
		c.out.windowUpdate(s.id, uint32(s.credit))
		s.credit = 0
	}
}
