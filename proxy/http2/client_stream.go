package http2

import (
	"bytes"
	"os"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// ClientStream is one request to an upstream and its answer. It has the methods of http1.ClientConn with the same meaning, except that there is no connection to take
// over. One goroutine owns it; while that one reads the response, one other may write the request's body. Break may be called from anywhere.
type ClientStream struct {
	s      Stream
	conn   *ClientConn
	reused bool
	cancel func() // Break, bound once

	// Owned by the reading goroutine.
	current *answer // whose memory the head that was read last lies in
	timer   *time.Timer

	// Guarded by Conn.mu.
	heads    []*answer // arrived and not read
	answered bool      // a head has arrived
	final    bool      // the final one
	quit     bool      // the upstream wants no more of the request
	refused  bool      // the upstream has not looked at the request and says so
	readAt   int64     // when a wait for the response fails, 0: never
	looks    int       // at what stood at the socket when that had passed
	standing int64     // what the connection has taken when it has taken that too
	method   message.Method
}

// clientStreams and answers are memory only: what they hold may vanish at any time.
var (
	clientStreams = sync.Pool{New: func() any {
		s := new(ClientStream)
		s.s.client, s.s.body.s = s, &s.s
		s.cancel = s.Break
		return s
	}}
	answers = sync.Pool{New: func() any { return new(answer) }}
)

// borrowClientStream readies a stream that has no identifier yet: it gets one with its head, because identifiers rise on the wire. Conn.mu is held.
func borrowClientStream(cc *ClientConn) *ClientStream {
	s := clientStreams.Get().(*ClientStream)
	c := &cc.c
	s.conn, s.s.conn = cc, c
	s.s.canRead.L, s.s.canSend.L = &c.mu, &c.mu
	s.s.open(0, nil)
	s.s.counted, s.s.recvDone = false, false
	s.s.prio, s.s.declared, s.s.bodyWait = message.DefaultPriority(), -1, 0
	s.answered, s.final, s.quit, s.refused, s.readAt, s.looks = false, false, false, false, 0, 0
	return s
}

// Reused reports a stream on a connection that others were opened on before.
func (s *ClientStream) Reused() bool { return s.reused }

// Begin is there for the likeness with http1.ClientConn: a stream carries one exchange.
func (s *ClientStream) Begin() {}

// WriteHead gathers a request head: the pseudo-header fields, the request's fields but those of one connection, and own (lines each ended by CRLF). Where the request has
// no body this ends it.
func (s *ClientStream) WriteHead(req *message.Request, path, own []byte) {
	c := &s.conn.c
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &s.s
	s.method, st.began = req.Method, true
	st.noBody, st.promised = req.Framing == message.None, -1
	if req.Framing == message.Length {
		st.promised = req.ContentLength
	}
	if st.silenced() || !s.begin() { // heads do not wait for room: MaxStreams bounds them, and until it has begun nobody could wake the stream
		return
	}
	e := c.heads()
	b := s.pseudo(e.begin(c.out.frame(0, frameHeaders, flagEndHeaders, st.id)), req, path)
	b = st.fields(b, &req.Header)
	if acceptsTrailers(&req.Header) {
		b = e.field(b, teName, trailersValue) // RFC 9113 §8.2.2; gRPC servers refuse requests without it
	}
	b = st.lines(b, own)
	flags := byte(0)
	if st.noBody {
		flags = flagEndStream
	}
	st.closeHead(b, flags)
}

// begin gives the stream its place on the connection. mu is held, and stays so until the head is gathered.
func (s *ClientStream) begin() bool {
	cc := s.conn
	c := &cc.c
	if cc.leaving {
		s.refused = true
		s.s.gone(&GoneError{Code: RefusedStream, Text: "connection is going away"})
		return false
	}
	if c.lastID++; c.lastID&1 == 0 {
		c.lastID++
	}
	cc.leaving = c.lastID >= lastStream
	s.s.id, s.s.sendWin = c.lastID, c.peer.window
	s.s.target = int64(c.o.Window)
	s.s.recvWin = s.s.target
	c.live = append(c.live, &s.s)
	c.busy++
	c.o.Counters.Streams.Add(1)
	c.budgets[FloodWindow].refund(allowances[FloodWindow], 4)
	c.budgets[FloodPing].refund(allowances[FloodPing], 1)
	c.budgets[FloodUnknown].refund(allowances[FloodUnknown], 1)
	c.watcher.arm()
	return true
}

func (s *ClientStream) pseudo(b []byte, req *message.Request, path []byte) []byte {
	cc := s.conn
	e := cc.c.encoder
	b = e.request(b, req.Method, req.MethodName, cc.o.Scheme)
	cc.scratch = append(cc.scratch[:0], req.Host...)
	if len(req.Host) == 0 {
		cc.scratch = append(cc.scratch, cc.o.Authority...)
	}
	b = e.field(b, authorityName, cc.scratch)
	cc.scratch = append(cc.scratch[:0], path...)
	if req.Query != nil {
		cc.scratch = append(append(cc.scratch, '?'), req.Query...)
	}
	return e.field(b, pathName, cc.scratch)
}

var (
	authorityName = []byte(":authority")
	pathName      = []byte(":path")
	teName        = []byte("te")
	trailersValue = []byte("trailers")
)

func acceptsTrailers(h *message.Header) bool {
	for i := h.Find(message.TE, 0); i >= 0; i = h.Find(message.TE, i+1) {
		if message.HasToken(h.At(i).Value(), "trailers") {
			return true
		}
	}
	return false
}

// Write gathers body bytes, waiting while the upstream's windows or the connection's buffer have no room.
func (s *ClientStream) Write(p []byte) { s.s.Write(p) }

// Finish ends the request, with trailers if there are any, and lets it go.
func (s *ClientStream) Finish(trailers *message.Header) { s.s.Finish(trailers) }

// Flush lets go what was gathered.
func (s *ClientStream) Flush() { s.s.Flush() }

// Err is why nothing more can be written.
func (s *ClientStream) Err() error {
	c := &s.conn.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch err := s.s.failed(); {
	case err != nil:
		return err
	case c.out.err != nil:
		return c.out.err
	case s.quit:
		return ErrClosed
	}
	return nil
}

// Sent is the number of bytes of this request that were gathered for the socket, 0 if the upstream said that it has looked at none. While it is 0, repeating the
// request elsewhere is safe for every method (RFC 9113 §8.7).
func (s *ClientStream) Sent() int64 {
	s.conn.c.mu.Lock()
	defer s.conn.c.mu.Unlock()
	if s.refused {
		return 0
	}
	return s.s.sent
}

// Answered reports whether something of the response has arrived.
func (s *ClientStream) Answered() bool {
	s.conn.c.mu.Lock()
	defer s.conn.c.mu.Unlock()
	return s.answered
}

// AwaitWrite bounds the next writes, each counted from its last progress.
func (s *ClientStream) AwaitWrite(_ time.Time, d time.Duration) {
	s.conn.c.mu.Lock()
	defer s.conn.c.mu.Unlock()
	s.s.writeWait = int64(d)
}

// Await bounds the next reads; 0 lifts the bound.
func (s *ClientStream) Await(_ time.Time, d time.Duration) error {
	c := &s.conn.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.readAt, s.looks = 0, 0
	if d > 0 {
		s.readAt = c.now() + int64(d)
	}
	return nil
}

// ReadResponse waits for the next response head, interim or final, and hands it over into resp, whose slices live until the next head is read or the stream is released. After
// os.ErrDeadlineExceeded it may be called again. *Error is a response that must not be forwarded.
func (s *ClientStream) ReadResponse(resp *message.Response, _ message.Method, _ bool) error {
	c := &s.conn.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.heads) == 0 {
		if err := s.s.failed(); err != nil {
			return err
		}
		if !s.wait() {
			return os.ErrDeadlineExceeded
		}
	}
	a := s.heads[0]
	n := copy(s.heads, s.heads[1:])
	s.heads[n] = nil
	s.heads = s.heads[:n]
	s.forget()
	s.current = a
	*resp, a.resp = a.resp, *resp // each keeps the other's memory for later
	return nil
}

// wait waits for a change of the stream; false: the time for it is over. mu is held.
func (s *ClientStream) wait() bool {
	c := &s.conn.c
	if s.readAt > 0 {
		left := s.readAt - c.now()
		if s.s.stopped || left <= 0 && !s.unheard() {
			return false
		}
		if left <= 0 {
			left = int64(lookAgain)
		}
		if s.timer == nil {
			s.timer = time.AfterFunc(time.Duration(left), s.late)
		} else {
			s.timer.Reset(time.Duration(left))
		}
	} else if s.s.stopped {
		return false
	}
	s.s.canRead.Wait()
	return true
}

const (
	lookAgain = 10 * time.Millisecond
	mostLooks = 500 // the reader may hang: where it writes, for one, to an upstream that reads nothing
)

// unheard reports whether something may have come in time that the connection's reader has not come to, because this process stood still for longer than that: what stood at the
// socket when the time was over, or was in the reader's hands. mu is held.
func (s *ClientStream) unheard() bool {
	cc := s.conn
	n := unread(cc.c.conn)
	if s.looks++; s.looks == 1 {
		s.standing = cc.taken + int64(n)
		return true
	}
	return cc.taken < s.standing && s.looks < mostLooks // what the reader has in its hands is not at the socket any more
}

// late wakes who waits; whether its time is over it finds out itself.
func (s *ClientStream) late() {
	c := &s.conn.c
	c.mu.Lock()
	s.s.canRead.Signal()
	c.mu.Unlock()
}

// forget gives the memory of the last head back.
func (s *ClientStream) forget() {
	if s.current != nil {
		answers.Put(s.current)
		s.current = nil
	}
}

// StopReading makes a read that waits in another goroutine return at once with os.ErrDeadlineExceeded, and the next ones too; StopWriting ends writes.
func (s *ClientStream) StopReading() error { return s.s.StopReading() }

// StopWriting is StopReading for writes.
func (s *ClientStream) StopWriting() error {
	s.conn.c.mu.Lock()
	defer s.conn.c.mu.Unlock()
	s.s.muted = true
	s.s.canSend.Signal()
	return nil
}

// Body is the final response's body.
func (s *ClientStream) Body() *Body { return &s.s.body }

// Cancel is Break as a value that costs nothing.
func (s *ClientStream) Cancel() func() { return s.cancel }

// Break resets the stream: the upstream is to stop, and every call on it fails. It does not wait for anything but a lock.
func (s *ClientStream) Break() {
	c := &s.conn.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.s.fault != nil || c.err != nil || s.s.recvDone && s.s.sentEnd {
		return
	}
	if s.s.id != 0 {
		c.out.reset(s.s.id, Cancel)
		c.remember(s.s.id)
	}
	s.s.gone(&GoneError{Code: Cancel, Text: "cancelled"})
	c.out.apart() // who breaks may hold a lock of its own
}

// Release ends the use of the stream. One that is not complete is reset (RFC 9113 §8.1: CANCEL says that the answer is not wanted any more). late says that the upstream did not
// answer in time: its connection is asked whether it lives.
func (s *ClientStream) Release(late bool) {
	cc := s.conn
	c := &cc.c
	s.forget()
	rested := s.timer == nil || s.timer.Stop()
	c.mu.Lock()
	st := &s.s
	if st.id != 0 {
		if st.fault == nil && c.err == nil && !(st.recvDone && st.sentEnd) {
			c.out.reset(st.id, Cancel)
			c.remember(st.id)
			st.fault = ErrClosed
		}
		c.busy--
		c.unlink(st)
	}
	st.body.drop()
	for i, a := range s.heads {
		answers.Put(a)
		s.heads[i] = nil
	}
	s.heads = s.heads[:0]
	cc.slots--
	c.lastUsed = c.now()
	if late {
		cc.ask()
	}
	if cc.leaving {
		cc.leave()
	}
	c.out.soon(c.busy)
	c.mu.Unlock()
	if rested {
		s.conn, st.conn = nil, nil
		st.canRead.L, st.canSend.L = nil, nil
		clientStreams.Put(s)
	}
}

// lines encodes fields of our own, each a line ended by CRLF, but for those of one connection and Host, which :authority has said.
func (s *Stream) lines(b, own []byte) []byte {
	for len(own) > 0 {
		var line []byte
		line, own, _ = bytes.Cut(own, crlf)
		name, value, ok := bytes.Cut(line, colon)
		if !ok {
			continue
		}
		if id := message.IDOf(name); !id.HopByHop() && (s.client == nil || id != message.Host) {
			b = s.conn.encoder.field(b, name, message.Trim(value))
		}
	}
	return b
}
