package http2

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/message"
)

// Handler answers one request. It runs on a goroutine of its own, which ends with it; the stream is not used afterwards.
type Handler func(*Stream)

// Conn is one client's connection: a resource, owned by the goroutine that calls Serve. Handlers run on goroutines that it starts, one per stream, and waits for. It is also what
// a ClientConn is made of: what differs between the sides asks for client.
type Conn struct {
	conn    net.Conn
	o       Options
	handler Handler     // nil on the client side
	client  *ClientConn // nil on the server side
	base    time.Time   // times are ns since then

	// Owned by the goroutine of Serve.
	in        input
	decoder   *hpack.Decoder
	head      message.Collector
	fragments []byte // a header block that came in several frames
	blockOf   uint32 // the stream it belongs to, 0: none
	blockEnds bool   // its HEADERS frame had END_STREAM
	pieces    int    // its CONTINUATION frames
	first     bool   // the client's SETTINGS have come

	// mu guards everything below and the fields of streams that say so. It is never held while a socket is read or written.
	mu      sync.Mutex
	live    []*Stream // whose handler has not returned, by rising id
	open    int       // of them, those that count as concurrent (RFC 9113 §5.1.2)
	busy    int       // handlers that are at work
	lastID  uint32    // highest stream id the client used
	refused uint32    // streams above are not served, once drain.last
	recent  []uint32  // the streams that we reset last, a ring of 4 × MaxStreams
	nextOne int       // where in recent the next one goes
	err     error     // set once: nothing more is taken or sent
	ended   sync.Cond // live became empty, or a write ended

	out      output
	encoder  *encoder // nil until the first response
	sendWin  int64
	waiting  int    // streams that wait for the connection's window or buffer
	turn     uint64 // counts DATA frames, for taking turns
	peer     peerSettings
	recvWin  int64
	credit   int64 // bytes read of bodies and not announced yet
	flow     flow
	budgets  [FloodKinds]budget
	unacked  int   // SETTINGS of ours without an answer
	askedAt  int64 // when the oldest of them was sent
	lastUsed int64 // end of the last stream
	watcher  watcher
	pace     pace // of the connection's window
	drain    drain

	since atomic.Int64 // when the frame or block that is incomplete began, 0: none. Written by the reader, read by the watcher
}

// peerSettings are the client's SETTINGS (RFC 9113 §6.5.2).
type peerSettings struct {
	window int64
	frame  int
}

const (
	defaultWindow = 65535   // RFC 9113 §6.9.2
	frameSize     = 1 << 14 // the largest frame we take, and send: RFC 9113 §4.2's least
	maxWindow     = 1<<31 - 1
)

// New takes ownership of an accepted connection, TLS handshake done with "h2", or plain with prior knowledge. h answers its requests.
func New(conn net.Conn, o *Options, h Handler) *Conn {
	c := &Conn{conn: conn, o: o.withDefaults(), handler: h, base: time.Now()}
	c.in.conn = c
	c.ended.L = &c.mu
	c.head.Limits, c.head.Proto, c.head.Extended = c.o.Limits, message.HTTP2, c.o.ExtendedConnect
	c.decoder = hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { c.head.Field(f.Name, f.Value) })
	c.sendWin, c.recvWin = defaultWindow, defaultWindow
	c.peer = peerSettings{window: defaultWindow, frame: frameSize}
	c.flow.target = int64(c.o.Window)
	c.out.init(c)
	c.watcher.init(c)
	return c
}

// Serve is New and Conn.Serve in one, for a caller that never drains.
func Serve(conn net.Conn, o *Options, h Handler) error { return New(conn, o, h).Serve(nil) }

// Serve reads frames until the connection ends, then waits for its handlers and closes it. early are bytes that the caller has read already, the beginning of the
// preface. The error is nil when the client left, or the connection was drained or idle; it is for the log, nobody is left to tell.
func (c *Conn) Serve(early []byte) error {
	c.o.Counters.Connections.Add(1)
	c.in.prime(early)
	c.greet()
	err := c.read()
	c.finish(err)
	if err == errStopped {
		return nil
	}
	return err
}

// now is the time in ns since the connection began, 1 at least: 0 means never.
func (c *Conn) now() int64 { return int64(time.Since(c.base)) + 1 }

// greet says our SETTINGS, which are the server's preface (RFC 9113 §3.4).
func (c *Conn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out.frame(0, frameSettings, 0, 0)
	b = appendSetting(b, settingMaxStreams, uint32(c.o.MaxStreams))
	b = appendSetting(b, settingWindow, uint32(c.o.Window))
	b = appendSetting(b, settingMaxHeads, uint32(c.o.Limits.Head))
	b = appendSetting(b, settingNoPriorities, 1)
	if c.o.ExtendedConnect {
		b = appendSetting(b, settingExtendedConnect, 1)
	}
	c.out.close(b)
	c.unacked, c.askedAt, c.lastUsed = 1, c.now(), c.now()
	if more := c.flow.target - defaultWindow; more > 0 {
		c.recvWin += more
		c.out.windowUpdate(0, uint32(more))
	}
	if c.drain.begun {
		c.sayEnd()
	}
	c.out.soon(0)
	c.watcher.arm()
}

// find returns the stream with this id among those whose handlers run.
func (c *Conn) find(id uint32) *Stream {
	for i := len(c.live) - 1; i >= 0 && c.live[i].id >= id; i-- {
		if c.live[i].id == id {
			return c.live[i]
		}
	}
	return nil
}

// unlink takes a stream whose handler has returned off the list.
func (c *Conn) unlink(s *Stream) {
	for i := len(c.live) - 1; i >= 0; i-- {
		if c.live[i] == s {
			copy(c.live[i:], c.live[i+1:])
			c.live[len(c.live)-1] = nil
			c.live = c.live[:len(c.live)-1]
			break
		}
	}
	if len(c.live) == 0 {
		c.lastUsed = c.now()
		c.ended.Broadcast()
	}
}

// spend charges a frame to a budget. An exhausted one is a flood.
func (c *Conn) spend(kind Flood) *connError {
	if c.budgets[kind].spend(allowances[kind], c.now()) {
		return nil
	}
	c.o.Counters.Floods[kind].Add(1)
	return failFlood
}

// abort makes every handler fail. mu is held.
func (c *Conn) abort(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	for _, s := range c.live {
		s.wake()
	}
	c.ended.Broadcast()
}

// finish ends the connection after the reader has: it says why, waits for handlers, and closes.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	fault, ours := err.(*connError)
	if ours {
		c.o.Counters.GoAways.Add(1)
		c.out.goAway(c.lastTaken(), fault.code, fault.text)
	}
	c.abort(c.cause(err))
	if c.client != nil {
		c.client.heard()
	}
	stopped := c.drain.why != nil && !c.drain.broken
	switch {
	case ours:
		_ = c.conn.SetWriteDeadline(time.Now().Add(lingerTime)) // a write that hangs already does not get the whole of WriteTimeout
	case stopped:
		_ = c.conn.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout)) // what is left is the end of an answer
	default:
		_ = c.conn.Close() // the client has left: nobody is to hang on writing to it
	}
	c.out.settle()
	c.mu.Unlock()
	if ours || stopped {
		c.linger(stopped && !ours)
	}
	_ = c.conn.Close() // the peer may be gone already
	c.mu.Lock()
	for c.client == nil && len(c.live) > 0 || c.out.scheduled { // streams to an upstream are released in their own time
		c.ended.Wait()
	}
	c.out.rest()
	c.mu.Unlock()
	c.watcher.stop()
	c.in.rest()
}

// lastTaken is the highest stream of the peer's that was acted on.
func (c *Conn) lastTaken() uint32 {
	if c.client != nil {
		return 0
	}
	return c.lastID
}

// cause is what streams fail with when err ended the connection: to a request, an upstream that breaks the protocol is not one that went away.
func (c *Conn) cause(err error) error {
	if fault, ok := err.(*connError); ok && c.client != nil {
		return &Error{Status: 502, Text: "upstream connection: " + fault.text}
	}
	return ErrClosed
}

// Close ends the connection at once; Serve returns when its handlers have.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.abort(ErrClosed)
	c.mu.Unlock()
	return c.conn.Close()
}
