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
	h.begin(a.arena, false)
	h.response = true
	fault := c.decode(block)
	a.arena = h.arena
	if fault != nil {
		answers.Put(a)
		return fault
	}
	q := s.client
	bad := h.answer(&a.resp, q.method, c.blockEnds)
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
	s.framing, s.length, s.declared = a.resp.Framing, a.resp.ContentLength, h.length
	if s.framing != message.Length {
		s.declared, s.length = -1, 0
	}
	if bodiless(a.resp.Status, q.method) || s.framing == message.None {
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

func bodiless(status int, method message.Method) bool {
	return status == 204 || status == 304 || method == message.HEAD
}

// answer turns a collected block into a response head, as strictly as http1 does: a response whose end two parsers could see at different places would do harm on its way.
func (h *head) answer(resp *message.Response, method message.Method, ended bool) *Error {
	resp.Reset()
	resp.Proto = message.HTTP2
	switch {
	case h.bad != nil:
		return h.bad
	case h.refused != nil:
		return h.refused
	}
	if resp.Status = h.status(); resp.Status == 0 {
		return badStatus
	}
	resp.ContentLength = h.length
	switch {
	case resp.Status < 200:
		if ended || h.length > 0 || resp.Status == 101 { // RFC 9113 §8.1, §8.6
			return badInterim
		}
	case resp.Status == 204 && h.length > 0:
		return badLength
	case bodiless(resp.Status, method):
	case ended && h.length > 0:
		return badLength // RFC 9113 §8.1.1
	case ended || h.length == 0:
	case h.length > 0:
		resp.Framing = message.Length
	default:
		resp.Framing = message.Chunked
	}
	h.lines(&resp.Header)
	return nil
}

// status reads three digits, 100 to 599; 0 if :status is anything else.
func (h *head) status() int {
	v := h.pseudo[0].in(h.arena)
	if h.seen != 1 || len(v) != 3 || !digits(v) || v[0] < '1' || v[0] > '5' {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}
