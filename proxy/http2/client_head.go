package http2

import (
	"github.com/valor-ivx/weir/proxy/message"
)

// answer is a response head that arrived, with the memory it lies in.
type answer struct {
	resp  message.Response
	arena []byte
}

// maxInterim bounds the interim heads of one stream that nobody has read yet: an upstream that sends more fills memory.
const maxInterim = 16

// takeBlock acts on a whole header block: a response head, trailers, or one for a stream that is no more, which is decoded because the table must stay true.
func (cc *ClientConn) takeBlock(id uint32, block []byte) *connError {
	c := &cc.c
	if c.idle(id) {
		return failIdle
	}
	s := c.find(id)
	switch {
	case s == nil || s.fault != nil:
		return c.skip(block)
	case s.recvDone:
		if fault := c.skip(block); fault != nil {
			return fault
		}
		return c.punish(id, StreamClosed)
	case s.client.final:
		return c.takeTrailers(s, block)
	}
	return cc.takeHead(s, block)
}

// takeHead is an interim or final head.
func (cc *ClientConn) takeHead(s *Stream, block []byte) *connError {
	c := &cc.c
	a := answers.Get().(*answer)
	h := &c.head
	h.Begin(a.arena, false)
	fault := c.decode(block)
	a.arena = h.Arena()
	if fault != nil {
		answers.Put(a)
		return fault
	}
	q := s.client
	bad := h.Response(&a.resp, q.method, c.blockEnds)
	if bad == nil && len(q.heads) == maxInterim {
		bad = errInterim
	}
	if bad != nil {
		answers.Put(a)
		return c.reject(s, bad)
	}
	q.answered = true
	q.heads = append(q.heads, a)
	s.canRead.Signal()
	if a.resp.Status < 200 {
		return nil
	}
	q.final = true
	s.framing, s.length, s.declared = a.resp.Framing, a.resp.ContentLength, h.Length()
	if s.framing != message.Length {
		s.declared, s.length = -1, 0
	}
	if message.Bodiless(a.resp.Status, q.method) || s.framing == message.None {
		s.declared = 0 // RFC 9113 §8.1.1: content-length tells what a GET would have got, DATA has no place
	}
	if c.blockEnds {
		s.recvDone = true
	}
	return nil
}

// reject resets a stream for a response that must not be forwarded.
func (c *Conn) reject(s *Stream, bad *Error) *connError {
	c.o.Counters.Malformed.Add(1)
	c.out.reset(s.id, ProtocolError)
	c.remember(s.id)
	s.gone(bad)
	return nil // each costs a request of ours: there is nothing to budget
}
