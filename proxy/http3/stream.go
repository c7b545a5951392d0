package http3

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// Stream is one exchange. Its handler's goroutine owns it; while that one writes the response, one other goroutine may read Body. It has the methods of
// http1.ServerConn with the same meaning, except: there is no Wait and no Close, because a stream begins with its request and ends with its handler; Splice is
// left to the caller (packets cannot be spliced); EndExchange never lets another request follow; and Abort takes the place of resetting the connection.
type Stream struct {
	conn *Conn
	quic *quic.Stream

	// Set before the handler starts.
	req     message.Request // until ReadRequest
	refused *Error
	arena   []byte
	fields  message.Collector
	head    bool // the request was a HEAD
	early   bool

	// Owned by the handler.
	out      []byte // gathered, not written
	noBody   bool   // the response has none
	promised int64  // bytes of body that the response's head announced and that were not gathered, -1: unknown
	began    bool   // the final head was gathered
	sentEnd  bool   // our side of the stream is closed, by an end or a reset
	sent     int64
	fault    error // what a write failed with, or Abort

	// Owned by whoever reads the body.
	body Body

	// mu orders StopReading before deadlines that the reader sets meanwhile.
	mu      sync.Mutex
	stopped bool
}

// streams is memory only: what it holds may vanish at any time.
var streams = sync.Pool{}

func borrowStream(c *Conn, q *quic.Stream) *Stream {
	s, _ := streams.Get().(*Stream)
	if s == nil {
		s = new(Stream)
		s.body.s = s
	}
	s.conn, s.quic = c, q
	s.refused, s.head, s.early = nil, false, false
	s.out, s.noBody, s.promised, s.began, s.sentEnd, s.sent, s.fault = s.out[:0], false, -1, false, false, 0, nil
	s.stopped = false
	s.body.open(q)
	return s
}

func giveBackStream(s *Stream) {
	s.conn, s.quic = nil, nil
	s.body.frames.from = nil
	streams.Put(s)
}

// ReadRequest hands the head over into req, whose slices live until the handler returns. Error: *Error for a request to refuse.
func (s *Stream) ReadRequest(req *message.Request) error {
	*req, s.req = s.req, *req // each keeps the other's memory for later
	if s.refused != nil {
		return s.refused
	}
	return nil
}

// Early reports a request that came in a handshake's early data and whose handshake has not ended: it may be a replay (RFC 8470).
func (s *Stream) Early() bool { return s.early }

// Body is the request's body.
func (s *Stream) Body() *Body { return &s.body }

// ID is the stream's identifier on its connection.
func (s *Stream) ID() uint64 { return uint64(s.quic.StreamID()) }

// AwaitBody bounds the next wait for body bytes by BodyTimeout. What is wrong with the stream is the next Read's to say.
func (s *Stream) AwaitBody(time.Time) error {
	s.readBy(time.Now().Add(s.conn.o.BodyTimeout))
	return nil
}

// readBy bounds waits for bytes of the client, unless reading is stopped.
func (s *Stream) readBy(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		_ = s.quic.SetReadDeadline(t) // never fails
	}
}

// StopReading makes a Body read that waits in another goroutine return at once, and the next ones too, with os.ErrDeadlineExceeded.
func (s *Stream) StopReading() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.quic.SetReadDeadline(time.Unix(1, 0))
}

// ResumeReading lifts StopReading; AwaitBody sets the next bound.
func (s *Stream) ResumeReading() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = false
	return nil
}

// AwaitWrite bounds the next writes by WriteTimeout.
func (s *Stream) AwaitWrite(time.Time) {} // every write is bounded: see Flush

// ClientGone reports, without waiting, whether the client has reset the stream or left.
func (s *Stream) ClientGone() bool { return s.Err() != nil }

// Err is why nothing more can be written: *GoneError, or os.ErrDeadlineExceeded for a client that takes nothing. An answer that was written to its end is no error.
func (s *Stream) Err() error {
	if s.fault != nil || s.sentEnd {
		return s.fault
	}
	if s.quic.Context().Err() == nil {
		return nil
	}
	err := context.Cause(s.quic.Context())
	if errors.Is(err, context.Canceled) { // the connection's context, without a cause of its own
		return &GoneError{Text: "connection ended"}
	}
	return translate(err)
}

// Sent is the number of bytes of this exchange that were gathered for the client.
func (s *Stream) Sent() int64 { return s.sent }

// Received is the number of body bytes read.
func (s *Stream) Received() int64 { return s.body.received }

// DiscardBody tells the client to send no more of the request's body and reports whether it was complete. Another request can follow in any case.
func (s *Stream) DiscardBody() bool {
	if s.body.Complete() {
		return true
	}
	s.quic.CancelRead(quic.StreamErrorCode(NoError)) // RFC 9114 §4.1: the answer does not depend on the rest
	return false
}

// EndExchange completes the stream on the wire: an unfinished response is reset, so that no client takes it for whole. It always reports false: the stream carries one
// exchange. It is done anyway when the handler returns.
func (s *Stream) EndExchange() bool {
	s.Abort(InternalError) // does nothing when the answer is complete
	s.quic.CancelRead(quic.StreamErrorCode(NoError))
	return false
}

// Abort resets the stream, so that the client sees a broken answer and not a complete one.
func (s *Stream) Abort(code Code) {
	if s.sentEnd {
		return
	}
	s.sentEnd = true
	if s.fault == nil {
		s.fault = &GoneError{Code: code, Text: "aborted"}
	}
	s.quic.CancelRead(quic.StreamErrorCode(code))
	s.quic.CancelWrite(quic.StreamErrorCode(code))
}
