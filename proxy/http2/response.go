package http2

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// WriteInterim sends a 1xx response at once (RFC 9113 §8.1). 101 does not exist here (§8.6) and is dropped.
func (s *Stream) WriteInterim(resp *message.Response) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if resp.Status == 101 || !s.room() {
		return
	}
	e := c.heads()
	b := e.status(e.begin(c.out.frame(0, frameHeaders, flagEndHeaders, s.id)), resp.Status)
	s.closeHead(s.fields(b, &resp.Header), 0)
	c.out.soon(c.busy - 1)
}

// WriteHead gathers a final response head: resp's fields but the hop-by-hop ones, then the lines in own (each "Name: value" ended by CRLF). last has no meaning on one
// stream of many: see Conn.Drain.
func (s *Stream) WriteHead(resp *message.Response, own []byte, last bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.began = true
	s.noBody = s.head || resp.Status == 204 || resp.Status == 304
	s.promised = -1
	switch resp.Framing {
	case message.None:
		s.noBody = s.noBody || len(s.protocol) == 0 // a 2xx to an extended CONNECT opens the tunnel
	case message.Length:
		s.promised = resp.ContentLength
		s.noBody = s.noBody || s.promised == 0
	}
	if !s.room() {
		return
	}
	e := c.heads()
	b := e.status(e.begin(c.out.frame(0, frameHeaders, flagEndHeaders, s.id)), resp.Status)
	b = s.fields(b, &resp.Header)
	b = s.lines(b, own)
	flags := byte(0)
	if s.noBody {
		flags = flagEndStream
	}
	s.closeHead(b, flags)
}

var (
	crlf  = []byte("\r\n")
	colon = []byte(":")
)

// fields encodes what may be forwarded: not what belongs to one connection, nor the request id, which is ours to say; of a request neither who the client is, nor Host, which
// :authority has said.
func (s *Stream) fields(b []byte, h *message.Header) []byte {
	for i := range h.Len() {
		f := h.At(i)
		if id := f.ID(); !id.HopByHop() && id != message.XRequestID && (s.client == nil || id != message.Host && !id.Identity()) {
			b = s.conn.encoder.field(b, f.Name(), f.Value())
		}
	}
	return b
}

// closeHead ends a HEADERS frame whose payload was gathered behind the buffer's end, in CONTINUATION frames if it is larger than one.
func (s *Stream) closeHead(b []byte, flags byte) {
	o := &s.conn.out
	s.sent += int64(len(b) - o.open)
	if len(b)-o.open-frameHeader > frameSize {
		b = split(b, o.open, s.id)
		o.buf = b
	} else {
		o.close(b)
	}
	b[o.open+4] |= flags
	if flags&flagEndStream != 0 {
		s.sentEnd = true
		s.maybeClosed()
	}
}

// split cuts a header block that is too long for one frame.
func split(b []byte, open int, id uint32) []byte {
	block := bytes.Clone(b[open+frameHeader:])
	b = b[:open]
	for kind := byte(frameHeaders); len(block) > 0; kind = frameContinuation {
		n := min(len(block), frameSize)
		flags := byte(0)
		if n == len(block) {
			flags = flagEndHeaders
		}
		b = append(b, byte(n>>16), byte(n>>8), byte(n), kind, flags, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
		b = append(b, block[:n]...)
		block = block[n:]
	}
	return b
}

// Write gathers body bytes, waiting while the client's windows or the connection's buffer have no room. Where the response has no body nothing is sent.
func (s *Stream) Write(p []byte) {
	if s.noBody {
		return
	}
	if s.promised >= 0 && int64(len(p)) > s.promised {
		p = p[:s.promised] // RFC 9113 §8.1.1: more than was announced would make the response malformed
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(p) > 0 {
		n := s.grant(len(p))
		if n > 0 {
			s.data(p[:n])
			p = p[n:]
		}
		c.next() // also when this stream has failed: the turn was perhaps its own
		if n == 0 {
			return
		}
	}
}

// data gathers one DATA frame. The one that completes an announced length ends the stream, which saves an empty frame.
func (s *Stream) data(p []byte) {
	c := s.conn
	flags := byte(0)
	if s.promised >= 0 {
		if s.promised -= int64(len(p)); s.promised == 0 {
			flags = flagEndStream
			s.sentEnd = true
			s.maybeClosed()
		}
	}
	c.out.close(append(c.out.frame(len(p), frameData, flags, s.id), p...))
	c.out.data, c.out.dataAt = s, c.out.open
	c.sendWin -= int64(len(p))
	s.sendWin -= int64(len(p))
	s.pace.took += int64(len(p))
	c.pace.took += int64(len(p))
	s.sent += int64(len(p)) + frameHeader
	c.turn++
	s.turn = c.turn
	c.budgets[FloodWindow].earn(allowances[FloodWindow], 3+2*float64(len(p))/leastUpdate, mostUpdates) // its stream, its connection, and one for luck
	c.budgets[FloodPing].refund(allowances[FloodPing], 1)
}

// Finish ends the response, with trailers if there are any, and lets it go. A response shorter than announced is reset.
func (s *Stream) Finish(trailers *message.Header) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.failed() == nil && s.began && !s.sentEnd {
		switch {
		case s.promised > 0:
			s.close(InternalError, "response shorter than announced")
		case trailers != nil && trailers.Len() > 0:
			s.finishFields(trailers)
		default:
			s.finishData()
		}
	}
	c.out.soon(c.busy - 1)
}

// finishData sets END_STREAM on the DATA frame just gathered, or sends an empty one.
func (s *Stream) finishData() {
	o := &s.conn.out
	if o.data == s {
		o.buf[o.dataAt+4] |= flagEndStream
	} else {
		o.close(o.frame(0, frameData, flagEndStream, s.id))
	}
	s.sentEnd = true
	s.maybeClosed()
}

func (s *Stream) finishFields(trailers *message.Header) {
	if !s.room() {
		return
	}
	c := s.conn
	b := c.heads().begin(c.out.frame(0, frameHeaders, flagEndHeaders, s.id))
	s.closeHead(s.fields(b, trailers), flagEndStream)
}

// Flush lets go what was gathered.
func (s *Stream) Flush() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.conn.out.soon(s.conn.busy - 1)
}
