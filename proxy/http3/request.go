package http3

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// serve is the goroutine of one request stream.
func (c *Conn) serve(q *quic.Stream) {
	s := borrowStream(c, q)
	c.mu.Lock()
	c.live[q.StreamID()] = s
	c.mu.Unlock()
	if s.readHead() {
		c.o.Counters.Streams.Add(1)
		c.handler(s)
	}
	s.EndExchange()
	c.finished(s)
	giveBackStream(s)
}

// readHead reads the stream up to the end of its request's head. It reports whether there is a request, to answer or to refuse.
func (s *Stream) readHead() bool {
	c := s.conn
	_ = s.quic.SetReadDeadline(time.Now().Add(c.o.HeaderTimeout)) // never fails
	f := &s.body.frames
	err := f.headers()
	switch {
	case err != nil:
		s.refuse(err)
		return false
	case f.left > uint64(c.o.Limits.Head): // what decodes to less than that was made longer on purpose
		s.tooLarge()
		return true
	}
	block, err := f.whole(s.body.block[:0])
	s.body.block = block[:0]
	if err != nil {
		s.refuse(err)
		return false
	}
	h := &s.fields
	h.Limits, h.Proto = c.o.Limits, message.HTTP3
	h.Begin(s.arena, false)
	if fault := decode(block, h); fault != nil {
		c.fail(fault)
		return false
	}
	return s.begin(h)
}

var errHeadLarge = &Error{Status: 431, Text: "head too large"}

// tooLarge readies a request whose head is not even read to be refused.
func (s *Stream) tooLarge() {
	s.req.Reset()
	s.req.Proto = message.HTTP3
	s.refused = errHeadLarge
	s.body.err = &GoneError{Code: ExcessiveLoad, Text: errHeadLarge.Text}
	s.conn.o.Counters.HeadsRefused.Add(1)
	s.quic.CancelRead(quic.StreamErrorCode(ExcessiveLoad))
}

// headers finds the HEADERS frame that a request begins with (RFC 9114 §4.1).
func (f *frames) headers() error {
	for {
		if err := f.next(); err != nil {
			return err
		}
		switch {
		case f.kind == frameHeaders:
			return nil
		case known(f.kind):
			return failUnexpected
		}
		if err := f.unknown(); err != nil {
			return err
		}
		if err := f.skip(); err != nil {
			return err
		}
	}
}

// refuse ends a stream whose head did not come.
func (s *Stream) refuse(err error) {
	c := s.conn
	if fault := asConnError(err); fault != nil {
		c.fail(fault)
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.o.Counters.SlowHeads.Add(1)
		s.Abort(ExcessiveLoad)
		return
	}
	s.Abort(RequestIncomplete) // RFC 9114 §4.1.1; of a stream that is reset already nobody hears it
}

// begin makes the request of a head that was collected.
func (s *Stream) begin(h *message.Collector) bool {
	c := s.conn
	b := &s.body
	b.declared = h.Length()
	ended := s.ended(h)
	refused, malformed := h.Request(&s.req, ended)
	s.arena = h.Arena()
	if malformed != nil {
		c.o.Counters.Malformed.Add(1)
		s.Abort(MessageError) // RFC 9114 §4.1.2
		return false
	}
	if refused == nil && b.err == errLength {
		refused = errLength // no upstream need hear of it
	}
	if refused != nil {
		c.o.Counters.HeadsRefused.Add(1)
	}
	s.refused, s.head = refused, s.req.Method == message.HEAD
	b.framing = s.req.Framing
	s.early = c.early()
	if p := h.Priority(); p != message.DefaultPriority() {
		s.quic.SetPriority(int8(p.Urgency), p.Incremental)
	}
	return true
}

// ended reports that no content follows the head. Its end may come in a packet of its own; where a request that says nothing about content hardly has any, it is
// worth waiting for, because an unknown length would have to be forwarded as one.
func (s *Stream) ended(h *message.Collector) bool {
	b := &s.body
	if h.Malformed() != nil || h.Refused() != nil {
		return false
	}
	wait := glance
	switch h.Method() {
	case message.GET, message.HEAD, message.OPTIONS, message.DELETE, message.TRACE:
		if h.Length() < 0 {
			wait = s.conn.o.HeaderTimeout
		}
	}
	s.readBy(time.Now().Add(wait))
	n, err := b.pull(nil)
	s.readBy(time.Now().Add(s.conn.o.BodyTimeout))
	return n == 0 && err == io.EOF
}

// decode hands the fields of a section to h. Its error ends the connection (RFC 9204 §6): there may have been a table of ours in the client's mind.
func decode(block []byte, h *message.Collector) *connError {
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return failCompression
		}
		h.Field(f.Name, f.Value)
	}
}
