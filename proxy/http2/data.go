package http2

import "encoding/binary"

func (c *Conn) takeData(f *frame) *connError {
	if f.stream == 0 {
		return failStreamZero
	}
	whole := int64(len(f.payload))
	if fault := f.unpad(); fault != nil {
		return fault
	}
	if c.recvWin -= whole; c.recvWin < 0 {
		return failWindow
	}
	if c.client != nil {
		c.giveBack(whole, clientWindow)
	}
	if len(f.payload) == 0 && !f.has(flagEndStream) {
		if fault := c.spend(FloodEmpty); fault != nil {
			return fault
		}
	}
	if c.idle(f.stream) {
		return failIdle
	}
	s := c.find(f.stream)
	if s == nil || s.fault != nil || s.recvDone {
		if c.wasReset(f.stream) || s == nil && c.client != nil { // a request that was given up long ago may still be answered
			c.readOff(whole)
			return nil
		}
		if s != nil && s.recvDone && s.fault == nil {
			c.readOff(whole)
			return c.punish(f.stream, StreamClosed)
		}
		return failClosed
	}
	if s.client != nil && !s.client.final {
		return c.reject(s, badData)
	}
	if s.recvWin -= whole; s.recvWin < 0 {
		c.readOff(whole)
		return c.punish(s.id, FlowControlError)
	}
	n := int64(len(f.payload))
	if s.body.arrived += n; s.declared >= 0 && s.body.arrived > s.declared {
		c.readOff(whole)
		c.o.Counters.Malformed.Add(1)
		return c.punish(s.id, ProtocolError)
	}
	c.measure(whole)
	if n > 0 {
		s.body.store(f.payload)
	}
	if f.has(flagEndStream) {
		c.readOff(whole - n)
		return c.endBody(s)
	}
	s.readOff(whole - n)
	s.bodyAt = 0 // progress: the wait for a body is renewed by who waits
	s.canRead.Signal()
	return nil
}

// endBody is the end of a request's body; its length must be what its head said (RFC 9113 §8.1.1).
func (c *Conn) endBody(s *Stream) *connError {
	if s.declared >= 0 && s.body.arrived != s.declared {
		c.o.Counters.Malformed.Add(1)
		return c.punish(s.id, ProtocolError)
	}
	s.recvDone = true
	s.canRead.Signal()
	s.maybeClosed()
	return nil
}

func (c *Conn) takeWindowUpdate(f *frame) *connError {
	if len(f.payload) != 4 {
		return failFrameSize
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	if f.stream == 0 {
		if n == 0 {
			return failIncrement
		}
		if c.sendWin += n; c.sendWin > maxWindow {
			return failWindow
		}
		if c.waiting > 0 {
			c.next()
		}
		return c.spend(FloodWindow)
	}
	if c.idle(f.stream) {
		return failIdle
	}
	s := c.find(f.stream)
	if s == nil || s.fault != nil {
		return c.spend(FloodWindow)
	}
	if n == 0 {
		return c.punish(s.id, ProtocolError)
	}
	if s.sendWin += n; s.sendWin > maxWindow {
		return c.punish(s.id, FlowControlError)
	}
	s.canSend.Signal()
	return c.spend(FloodWindow)
}
