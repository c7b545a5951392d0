package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// ClientConn is one connection to an upstream, on which we are the client. One goroutine owns it; while that one reads the response, one other may write the
// request's body.
type ClientConn struct {
	conn net.Conn
	in   input
	out  output
	body Body

	chunked bool // framing of the request being written
	sent    bool // the request is complete on the wire
	answer  bool // a byte of the response has arrived
	last    bool // the upstream ends the connection after this response
	final   bool // the final head was read: body is valid
}

// responseFields bounds an upstream's head: it is trusted more than a client, but not without end.
const responseFields = 256

// NewClientConn takes ownership of a freshly dialled connection.
func NewClientConn(conn net.Conn) *ClientConn {
	c := &ClientConn{conn: conn}
	c.in.init(conn)
	c.out.conn = conn
	return c
}

// Begin starts an exchange. Nothing of the last one may be pending.
func (c *ClientConn) Begin() {
	c.chunked, c.sent, c.answer, c.last, c.final = false, false, false, false, false
	c.out.err, c.out.sent = nil, 0
}

// WriteHead gathers a request head: method, target, the request's fields but the hop-by-hop ones, and own (lines each ended by CRLF).
// The body's framing is the client's: a length stays a length, chunks stay chunks.
func (c *ClientConn) WriteHead(req *message.Request, path, own []byte) {
	c.out.append(req.MethodName)
	c.out.append(space)
	c.out.append(path)
	if req.Query != nil {
		c.out.append(question)
		c.out.append(req.Query)
	}
	c.out.append(versionLine)
	h := &req.Header
	for i := range h.Len() {
		if f := h.At(i); forwarded(f.ID()) {
			c.out.line(f.Line())
		}
	}
	if c.chunked = req.Framing == message.Chunked; c.chunked {
		c.out.append(chunkedLine)
	}
	c.out.append(own)
	c.out.append(crlf)
}

var (
	space       = []byte(" ")
	question    = []byte("?")
	versionLine = []byte(" HTTP/1.1\r\n")
)

// forwarded says which request fields go on as they came: not those of one connection, and not those that say who the client is, which the proxy
// writes itself because a client can write anything.
func forwarded(id message.ID) bool {
	if id == message.Other {
		return true
	}
	return !id.HopByHop() && !id.Identity()
}

// Write gathers or sends body bytes in the request's framing.
func (c *ClientConn) Write(p []byte) {
	if c.chunked {
		c.out.chunk(p)
	} else {
		c.out.append(p)
	}
}

// Finish ends the request's body and sends everything.
func (c *ClientConn) Finish(trailers *message.Header) {
	if c.chunked {
		c.out.lastChunk(trailers)
	}
	c.out.flush()
	c.sent = c.out.err == nil
}

// Flush sends what was gathered.
func (c *ClientConn) Flush() { c.out.flush() }

// Err is the first write error of this exchange.
func (c *ClientConn) Err() error { return c.out.err }

// Sent is the number of bytes of this exchange the socket has taken. While it is 0, repeating the request elsewhere is safe for every method.
func (c *ClientConn) Sent() int64 { return c.out.sent }

// Answered reports whether a byte of the response has arrived.
func (c *ClientConn) Answered() bool { return c.answer }

// AwaitWrite bounds the next writes.
func (c *ClientConn) AwaitWrite(now time.Time, d time.Duration) { c.out.within(now, d) }

// Await bounds the next reads.
func (c *ClientConn) Await(now time.Time, d time.Duration) error { return c.in.within(now, d) }

// ReadResponse waits for the next response head, interim or final, and parses it into resp, whose slices live until Body is called or the next head is read.
// After os.ErrDeadlineExceeded it may be called again and goes on where it was. *Error is a response that must not be forwarded.
func (c *ClientConn) ReadResponse(resp *message.Response, method message.Method, upgrade bool) error {
	resp.Reset()
	in := &c.in
	in.keep = 0
	for scanned := 0; ; {
		b := in.buffered()
		if i := bytes.Index(b[scanned:], headEnd); i >= 0 {
			return c.parse(resp, b[:scanned+i+4], method, upgrade)
		}
		if err := bareLF(b, scanned); err != nil {
			return err
		}
		// The answer cannot be there yet: a read now would find nothing, park, and be woken by the poller, at the price of one useless system call.
		// Letting the other connections that are ready go first gives the upstream that time. Measured with 64 connections on one core beside
		// nginx, 9 interleaved rounds: 1.07 × nginx's CPU per request without this line, 0.98 to 1.00 × with it. On an idle machine it returns at once.
		runtime.Gosched()
		scanned = max(0, len(b)-3)
		if err := in.fill(); err != nil {
			return c.readFailed(err)
		}
		c.answer = true
	}
}

func (c *ClientConn) readFailed(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case err == errFull:
		return errHeadLarge
	case err == io.EOF:
		return ErrTruncated
	}
	return err
}

func (c *ClientConn) parse(resp *message.Response, head []byte, method message.Method, upgrade bool) error {
	if err := ParseResponse(resp, head, method, responseFields); err != nil {
		return lfFirst(head, err)
	}
	c.in.r += len(head)
	c.in.keep = c.in.r
	if resp.Status == 101 && !upgrade {
		return errUpgradeUnsaid
	}
	if resp.Status >= 200 {
		c.final, c.last = true, resp.Close
		c.body.reset(&c.in, resp.Framing, resp.ContentLength, responseFields)
	}
	return nil
}

// StopReading makes a read that waits in another goroutine return at once with os.ErrDeadlineExceeded, and the next ones too, whatever Await says meanwhile; StopWriting does so
// to writes and AwaitWrite. Unless ResumeReading follows, the connection is not used again.
func (c *ClientConn) StopReading() error { return c.in.stop() }

// StopWriting is StopReading for writes.
func (c *ClientConn) StopWriting() error {
	c.last = true
	return c.out.stop()
}

// ResumeReading undoes StopReading, if whoever called that is known to be done with it. Await must follow where reads are to be bounded.
func (c *ClientConn) ResumeReading() error { return c.in.resume() }

// Body is the final response's body. Calling it ends the life of the head's slices: write the head on before.
func (c *ClientConn) Body() *Body {
	c.in.keep = 0
	return &c.body
}

// Next returns bytes that follow a switch of protocols (101), valid until the following call. While it waits it holds no buffer on plain TCP.
func (c *ClientConn) Next() ([]byte, error) {
	if c.in.r == c.in.w {
		c.in.rest()
		if err := c.in.fill(); err != nil {
			return nil, err
		}
	}
	b := c.in.buffered()
	c.in.r = c.in.w
	return b, nil
}

// Reusable reports whether another request may follow on this connection: both messages are complete, the upstream keeps it open, and it sent
// nothing beyond its response.
func (c *ClientConn) Reusable() bool {
	return c.sent && c.final && !c.last && c.body.Complete() && c.in.r == c.in.w && c.out.err == nil
}

// Idle gives buffers back before the connection rests in a pool.
func (c *ClientConn) Idle() {
	c.in.drop()
	c.out.rest()
}

// Readable reports whether an idle connection has become readable: the upstream closed it or sent what nobody asked for; either way it must not be
// reused. It is one non-blocking peek.
func (c *ClientConn) Readable() bool { return c.in.readable() }

// Ended reports, without waiting, whether the upstream has closed its side or reset the connection and nothing unread stands before that.
func (c *ClientConn) Ended() bool { return c.in.ended() }

// Conn is the connection itself.
func (c *ClientConn) Conn() net.Conn { return c.conn }

// Close closes the connection and gives its buffers back.
func (c *ClientConn) Close() error {
	c.in.drop()
	c.out.rest()
	return c.conn.Close()
}
