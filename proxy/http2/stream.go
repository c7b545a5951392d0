package http2

import (
	"net"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Stream is one exchange. Its handler's goroutine owns it; while that one writes the response, one other goroutine may read Body. It has the methods of
// http1.ServerConn with the same meaning, except: there is no Wait and no Close, because a stream begins with its request and ends with its handler; Splice is
// left to the caller (frames cannot be spliced); EndExchange never lets another request follow; and Abort takes the place of resetting the connection.
type Stream struct {
	conn   *Conn
	client *ClientStream // what it is part of; nil on the server side
	id     uint32
	run    func() // serve, bound once

	// Set before the handler starts.
	req      message.Request // until ReadRequest
	refused  *Error
	arena    []byte
	framing  message.Framing
	length   int64
	head     bool // the request was a HEAD
	protocol []byte
	scheme   []byte

	// Owned by the handler.
	noBody   bool  // the response has none
	promised int64 // bytes of body that the response's head announced and that were not written, -1: unknown
	began    bool  // the final head was written
	sent     int64

	// Guarded by Conn.mu.
	prio      message.Priority
	sendWin   int64
	recvWin   int64
	credit    int64
	target    int64 // what recvWin is filled up to
	declared  int64 // content-length, -1: none
	recvDone  bool  // END_STREAM received
	sentEnd   bool  // END_STREAM gathered
	counted   bool  // counts as concurrent
	fault     error // reset by either side
	stopped   bool  // StopReading
	body      Body
	trailers  message.Header
	canRead   sync.Cond
	canSend   sync.Cond
	waits     bool   // for the connection's window or buffer, with DATA
	waitHead  bool   // for the connection's buffer, with a head
	turn      uint64 // of its last DATA frame
	writeAt   int64  // when a Write without progress fails, 0: never
	writeWait int64
	whenGone  func() // WhenGone
	muted     bool   // StopWriting
	bodyAt    int64  // when a wait for body fails, 0: nobody waits
	bodyWait  int64
	bodyLate  bool
	forever   bool  // a tunnel: no wait is bounded
	late      error // why our own reset is for being slow, for the GoneError
	pace      pace  // of its own window
}

// streams is memory only: what it holds may vanish at any time.
var streams sync.Pool

func borrowStream(c *Conn) *Stream {
	s, _ := streams.Get().(*Stream)
	if s == nil {
		s = new(Stream)
		s.run, s.body.s = s.serve, s
	}
	s.conn = c
	s.canRead.L, s.canSend.L = &c.mu, &c.mu
	return s
}

func giveBackStream(s *Stream) {
	s.conn = nil
	s.canRead.L, s.canSend.L = nil, nil
	streams.Put(s)
}

// open readies the stream for its request, which lies in req. Conn.mu is held.
func (s *Stream) open(id uint32, refused *Error) {
	c := s.conn
	s.id, s.refused, s.head = id, refused, s.req.Method == message.HEAD
	s.framing, s.length = s.req.Framing, s.req.ContentLength
	s.noBody, s.promised, s.began, s.sent = false, -1, false, 0
	s.sendWin, s.recvWin, s.credit = c.peer.window, int64(c.o.Window), 0
	s.target = s.recvWin
	s.sentEnd, s.counted, s.fault, s.stopped = false, true, nil, false
	s.trailers.Reset()
	s.waits, s.waitHead, s.turn, s.writeAt = false, false, 0, 0
	s.writeWait, s.muted, s.whenGone = int64(c.o.WriteTimeout), false, nil
	s.bodyAt, s.bodyWait, s.bodyLate, s.forever = 0, int64(c.o.BodyTimeout), false, false
	s.pace, s.late = pace{}, nil
	s.body.lent, s.body.kept, s.body.arrived, s.body.received = 0, false, 0, 0
}

// serve is the goroutine of one stream.
func (s *Stream) serve() {
	makeRoom(uint(s.id))
	c := s.conn
	c.handler(s)
	c.mu.Lock()
	s.end()
	c.busy--
	s.body.drop()
	c.out.soon(c.busy)
	c.unlink(s)
	if c.drain.last {
		c.drained()
	}
	c.mu.Unlock()
	giveBackStream(s)
}

// end makes the stream closed on the wire, whatever the handler left undone. Conn.mu is held.
func (s *Stream) end() {
	c := s.conn
	if s.fault != nil || c.err != nil {
		s.uncount()
		return
	}
	switch {
	case !s.sentEnd:
		s.close(InternalError, "handler ended without an answer")
	case !s.recvDone: // RFC 9113 §8.1: the answer is complete, the rest of the request is not wanted
		s.close(NoError, "request not read to its end")
	}
}

// close resets the stream from our side, by no fault of the client.
func (s *Stream) close(code Code, text string) {
	c := s.conn
	c.out.reset(s.id, code)
	c.remember(s.id)
	s.gone(&GoneError{Code: code, Text: text, Cause: s.late})
}

// gone marks a stream as reset, by either side, and wakes who waits.
func (s *Stream) gone(err error) {
	if s.fault == nil {
		s.fault = err
	}
	s.uncount()
	s.wake()
}

func (s *Stream) uncount() {
	if s.counted {
		s.counted = false
		s.conn.open--
	}
}

func (s *Stream) maybeClosed() {
	if s.recvDone && s.sentEnd {
		s.uncount()
	}
}

func (s *Stream) wake() {
	s.canRead.Signal()
	s.canSend.Signal()
	if s.whenGone != nil {
		s.whenGone()
	}
}

// WhenGone has f called once the stream has failed: reset, or its connection at an end; at once if it has already. nil takes that back: f is not called after that. f is called
// with the connection locked: it must not wait, nor use this connection.
func (s *Stream) WhenGone(f func()) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.whenGone = f
	if f != nil && s.failed() != nil {
		f()
	}
}

func (s *Stream) failed() error {
	if s.fault != nil {
		return s.fault
	}
	return s.conn.err
}

// silenced reports that nothing more can be said on the stream.
func (s *Stream) silenced() bool {
	return s.failed() != nil || s.sentEnd || s.muted || s.conn.out.err != nil
}

// ReadRequest hands the head over into req, whose slices live until the handler returns. Error: *Error for a request to refuse.
func (s *Stream) ReadRequest(req *message.Request) error {
	*req, s.req = s.req, *req // each keeps the other's memory for later
	if s.refused != nil {
		return s.refused
	}
	return nil
}

// Body is the request's body.
func (s *Stream) Body() *Body { return &s.body }

// ID is the stream's identifier on its connection.
func (s *Stream) ID() uint32 { return s.id }

// Protocol is :protocol of an extended CONNECT (RFC 8441), "websocket" for one; else empty. The request's method is then CONNECT and its path stands.
func (s *Stream) Protocol() []byte { return s.protocol }

// Scheme is :scheme, as the client claims it.
func (s *Stream) Scheme() []byte { return s.scheme }

// Conn is the connection beneath, for its addresses and TLS state; its bytes are not the handler's.
func (s *Stream) Conn() net.Conn { return s.conn.conn }

// AwaitBody bounds the next wait for body bytes by BodyTimeout.
func (s *Stream) AwaitBody(time.Time) error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.bodyWait, s.bodyAt, s.bodyLate = int64(s.conn.o.BodyTimeout), 0, false
	s.canRead.Signal() // another goroutine's wait is bounded from now on
	return s.failed()
}

// AwaitForever lifts the bounds on waits for body bytes and for windows: for tunnels, either side of which may rest for as long as it likes. AwaitBody
// bounds the body again.
func (s *Stream) AwaitForever() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.bodyWait, s.bodyAt, s.bodyLate, s.forever = 0, 0, false, true
}

// StopReading makes a Body read that waits in another goroutine return at once, and the next ones too, with os.ErrDeadlineExceeded.
func (s *Stream) StopReading() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.stopped = true
	s.canRead.Signal()
	return nil
}

// ResumeReading lifts StopReading.
func (s *Stream) ResumeReading() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.stopped = false
	return nil
}

// AwaitWrite bounds the next writes by WriteTimeout, counted from their last progress.
func (s *Stream) AwaitWrite(time.Time) {} // every write is bounded: see grant

// ClientGone reports, without waiting, whether the client has reset the stream or left.
func (s *Stream) ClientGone() bool { return s.Err() != nil }

// Err is why nothing more can be written: *GoneError or ErrClosed.
func (s *Stream) Err() error {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.failed()
}

// Sent is the number of bytes of this exchange, heads compressed, that were gathered for the socket.
func (s *Stream) Sent() int64 { return s.sent }

// Received is the number of body bytes read.
func (s *Stream) Received() int64 { return s.body.received }

// DiscardBody drops what has arrived of the request's body and reports whether that completes it. Another request can follow in any case.
func (s *Stream) DiscardBody() bool {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.body.received = s.body.arrived
	if !s.body.kept { // what AtHand gave lives as long as the stream
		s.body.drop()
	}
	return s.body.complete()
}

// Closing reports whether the connection takes no further streams.
func (s *Stream) Closing() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.conn.drain.begun || s.conn.err != nil
}

// EndExchange completes the stream on the wire: an unfinished response is reset, so that no client takes it for whole. It always reports false: the stream carries one exchange.
// It is done anyway when the handler returns.
func (s *Stream) EndExchange() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	s.end()
	return false
}

// Abort resets the stream, so that the client sees a broken answer and not a complete one.
func (s *Stream) Abort(code Code) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.failed() == nil && !(s.sentEnd && s.recvDone) {
		s.close(code, "aborted")
	}
}
