package http1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// ServerOptions are one listener's bounds. Zero durations mean no bound. A duration d is kept between d and 1.25 d (see alarm).
type ServerOptions struct {
	Limits        Limits
	IdleTimeout   time.Duration // from the end of an exchange to the next byte
	HeaderTimeout time.Duration // from the first byte of a head to its last
	BodyTimeout   time.Duration // between two reads of a request body
	WriteTimeout  time.Duration // for one write to make progress
	MinSendRate   int           // bytes per second of a response, in each WriteTimeout spent writing, behind its first 64 KiB; 0: any
}

// ServerConn is a client's connection. One goroutine owns it; while that goroutine writes the response, one other may read Body.
type ServerConn struct {
	conn    net.Conn
	options *ServerOptions
	in      input
	out     output
	body    Body
	head    []byte // block of the current head, once detached from in

	blank   bool // the one empty line before the next request was forgiven
	proto   message.Proto
	method  message.Method
	chunked bool // framing of the response being written
	closing bool
	before  int64 // out.sent when the exchange began
}

// NewServerConn takes ownership of an accepted connection, TLS handshake done.
func NewServerConn(conn net.Conn, options *ServerOptions) *ServerConn {
	c := &ServerConn{conn: conn, options: options}
	c.in.init(conn)
	c.out.conn = conn
	c.body.aside = &c.head
	return c
}

var headEnd = []byte("\r\n\r\n")

// Wait blocks until the first byte of another request is there, holding no buffer meanwhile. ErrIdle says that none will come.
func (c *ServerConn) Wait(now time.Time) error { return c.WaitFor(now, c.options.IdleTimeout) }

// WaitFor is Wait within d, which is greater than 0 or no bound.
func (c *ServerConn) WaitFor(now time.Time, d time.Duration) error {
	for c.skipEmptyLine(); c.in.r == c.in.w || c.maybeBlank(); c.skipEmptyLine() {
		c.in.rest()
		if c.in.within(now, d) != nil || c.in.fill() != nil {
			return ErrIdle
		}
	}
	return nil
}

// maybeBlank reports half of an empty line that would be forgiven.
func (c *ServerConn) maybeBlank() bool {
	b := c.in.buffered()
	return !c.blank && len(b) == 1 && b[0] == '\r'
}

// ReadRequest reads the head whose first byte Wait saw into req, whose slices live until EndExchange. Errors: *Error for a request to refuse (408
// included), ErrTruncated or the connection's error when it broke off inside the head.
func (c *ServerConn) ReadRequest(req *message.Request) error {
	req.Reset()
	c.proto, c.method, c.chunked, c.closing = message.HTTP11, message.MethodOther, false, false
	c.body.reset(&c.in, message.UntilClose, 0, 0) // until the head says more: nothing that follows may be taken for a request
	c.before = c.out.sent
	c.out.pace.reset(c.options, c.before)
	head, err := c.readHead()
	if err != nil {
		return err
	}
	c.blank = false
	c.in.r += len(head)
	c.in.keep = c.in.r
	if err := ParseRequest(req, head, c.options.Limits); err != nil {
		return lfFirst(head, err)
	}
	c.proto, c.method = req.Proto, req.Method
	c.body.reset(&c.in, req.Framing, req.ContentLength, c.options.Limits.Fields)
	return nil
}

// readHead returns the bytes of a whole head at the front of the input, waiting for them under the header timeout.
func (c *ServerConn) readHead() ([]byte, error) {
	in := &c.in
	for scanned, waited := 0, false; ; {
		c.skipEmptyLine()
		b := in.buffered()
		if bytes.HasPrefix(b, crlf) {
			return nil, errRequestLine // a second empty line
		}
		if i := bytes.Index(b[scanned:], headEnd); i >= 0 {
			b = b[:scanned+i+4]
			if len(b) > c.options.Limits.Head {
				return nil, c.tooLarge(b)
			}
			return b, nil
		}
		if len(b) > c.options.Limits.Head {
			return nil, c.tooLarge(b)
		}
		if err := bareLF(b, scanned); err != nil {
			return nil, err
		}
		scanned = max(0, len(b)-3)
		if !waited {
			waited = true
			if err := in.within(time.Now(), c.options.HeaderTimeout); err != nil {
				return nil, err
			}
		}
		if err := in.fill(); err != nil {
			return nil, c.headFailed(err)
		}
	}
}

// skipEmptyLine forgives one empty line before a request line (RFC 9112 §2.2).
func (c *ServerConn) skipEmptyLine() {
	if !c.blank && bytes.HasPrefix(c.in.buffered(), crlf) {
		c.in.r += 2
		c.blank = true
	}
}

var errHeadSlow = &Error{Status: 408, Text: "head took too long"}

func (c *ServerConn) headFailed(err error) error {
	switch {
	case err == errFull:
		return c.tooLarge(c.in.buffered())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errHeadSlow
	case err == io.EOF:
		return ErrTruncated
	}
	return err
}

// tooLarge tells a target that fills the limit from a head that does. What lies behind the limit may or may not have arrived, so it is not looked at.
func (c *ServerConn) tooLarge(b []byte) *Error {
	b = b[:min(len(b), c.options.Limits.Head+1)]
	if err := bareLF(b, 0); err != nil {
		return err
	}
	if bytes.IndexByte(b, '\n') < 0 {
		return errTargetLong
	}
	return errHeadLarge
}

// Body is the current request's body. Reading it leaves the request's slices valid: before more is read from the connection than fits behind the head, the
// head's block is set aside.
func (c *ServerConn) Body() *Body { return &c.body }

// AwaitBody bounds the next wait for body bytes.
func (c *ServerConn) AwaitBody(now time.Time) error { return c.in.within(now, c.options.BodyTimeout) }

// StopReading makes a Body read that waits in another goroutine return at once; ResumeReading undoes it for the connection's next use.
func (c *ServerConn) StopReading() error { return c.in.stop() }

// past is a deadline that has passed.
func past() time.Time { return time.Unix(1, 0) }

// ResumeReading lifts StopReading.
func (c *ServerConn) ResumeReading() error { return c.in.resume() }

// WriteInterim sends a 1xx response at once (RFC 9110 §15.2); an HTTP/1.0 client never sees one.
func (c *ServerConn) WriteInterim(resp *message.Response) {
	if c.proto == message.HTTP10 {
		return
	}
	c.statusLine(resp)
	c.fields(resp)
	c.out.append(crlf)
	c.out.flush()
}

// WriteHead gathers a final response head: resp's fields but the hop-by-hop ones, then the lines in own (each ended by CRLF), then the framing this
// client can read. last says that the connection ends after this response.
func (c *ServerConn) WriteHead(resp *message.Response, own []byte, last bool) {
	c.statusLine(resp)
	c.fields(resp)
	if len(own) > 0 {
		c.out.append(own)
	}
	switch resp.Framing {
	case message.Chunked, message.UntilClose:
		if c.proto == message.HTTP11 {
			c.chunked = true
			c.out.append(chunkedLine)
		} else {
			last = true // RFC 9112 §6.3: what HTTP/1.0 understands as an end is the end of the connection
		}
	}
	c.closing = last
	switch {
	case resp.Status == 101:
	case last:
		c.out.append(closeLine)
	case c.proto == message.HTTP10:
		c.out.append(keepAliveLine)
	}
	c.out.append(crlf)
}

var (
	chunkedLine   = []byte("Transfer-Encoding: chunked\r\n")
	closeLine     = []byte("Connection: close\r\n")
	keepAliveLine = []byte("Connection: keep-alive\r\n")
)

func (c *ServerConn) statusLine(resp *message.Response) {
	b := append(c.out.space(), "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(resp.Status), 10)
	b = append(b, ' ')
	c.out.buf = b
	c.out.append(resp.Reason)
	c.out.append(crlf)
}

func (c *ServerConn) fields(resp *message.Response) {
	bodiless := resp.Status < 200 || resp.Status == 204
	h := &resp.Header
	for i := range h.Len() {
		switch f := h.At(i); {
		case f.ID().HopByHop(), f.ID() == message.XRequestID: // the id is ours to say
		case bodiless && f.ID() == message.ContentLength: // a zero, but RFC 9110 §8.6 wants none
		default:
			c.out.line(f.Line())
		}
	}
}

// Write gathers or sends body bytes in the framing that WriteHead announced. To a HEAD request nothing is sent.
func (c *ServerConn) Write(p []byte) {
	switch {
	case c.method == message.HEAD:
	case c.chunked:
		c.out.chunk(p)
	default:
		c.out.append(p)
	}
}

// Finish ends the body, with trailers where the framing has room for them, and sends everything.
func (c *ServerConn) Finish(trailers *message.Header) {
	if c.chunked && c.method != message.HEAD {
		c.out.lastChunk(trailers)
	}
	c.out.flush()
}

// Received is the number of body bytes of this exchange's request.
func (c *ServerConn) Received() int64 { return c.body.received }

// DiscardBody drops what is left of the request's body if all of it is at hand, and reports whether the body is complete: then another request can follow.
func (c *ServerConn) DiscardBody() bool {
	for !c.body.Complete() && c.body.framing == message.Length && int64(c.in.w-c.in.r) >= c.body.left {
		_, _ = c.body.Next()
	}
	return c.body.Complete()
}

// Flush sends what was gathered.
func (c *ServerConn) Flush() { c.out.flush() }

// AwaitWrite bounds the next writes.
func (c *ServerConn) AwaitWrite(now time.Time) { c.out.within(now, c.options.WriteTimeout) }

// Err is the first write error.
func (c *ServerConn) Err() error { return c.out.err }

// Sent is the number of bytes of this exchange the socket has taken.
func (c *ServerConn) Sent() int64 { return c.out.sent - c.before }

// EndExchange gives the exchange's buffers back and reports whether another request may follow: the response allowed it, was sent, and the request's body
// was read to its end.
func (c *ServerConn) EndExchange() bool {
	if c.head != nil {
		giveBack(c.head)
		c.head = nil
	}
	c.out.rest()
	if c.closing || c.out.err != nil || !c.body.Complete() {
		return false
	}
	c.in.rest()
	return true
}

// Closing reports whether the response announced the connection's end.
func (c *ServerConn) Closing() bool { return c.closing }

// ClientGone reports, without waiting to speak of, whether the client has closed its side while a response is being prepared. Pipelined bytes are no sign of it.
// It looks at the input, so it is not for the time when another goroutine reads Body: that one learns of the end by itself.
func (c *ServerConn) ClientGone() bool { return c.in.gone() }

// Readable reports, without waiting, whether bytes, an end or an error stand at the connection. Behind TLS the bytes may turn out to be no request's.
func (c *ServerConn) Readable() bool {
	if c.in.r < c.in.w {
		return true
	}
	n, failed := c.in.peekBeneath()
	return n >= 0 || failed
}

// Conn is the connection itself.
func (c *ServerConn) Conn() net.Conn { return c.conn }

// Close ends the connection. If the client may still be sending, its data is read for a moment after our side is shut, because closing on unread data
// resets the connection and can destroy the response on its way (RFC 9112 §9.6).
func (c *ServerConn) Close() error {
	if c.out.sent > c.before && c.out.err == nil && (!c.body.Complete() || c.in.unread()) {
		c.linger()
	}
	c.in.drop()
	c.out.rest()
	if c.head != nil {
		giveBack(c.head)
		c.head = nil
	}
	return c.conn.Close()
}

const (
	lingerTime  = 2 * time.Second // nginx's lingering_timeout is 5 s; a client that is not done reading an error in 2 s is not reading
	lingerBytes = 1 << 20
)

func (c *ServerConn) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error }) // TCP and TLS both
	if !ok || half.CloseWrite() != nil || c.conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	sink := borrowSmall()
	for total := 0; total < lingerBytes; {
		n, err := c.conn.Read(sink)
		if err != nil {
			break
		}
		total += n
	}
	giveBack(sink)
}
