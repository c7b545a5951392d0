package proxy

import (
	"net"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// downstream is the client's side of one exchange: an HTTP/1 connection between two of its requests, or one HTTP/2 stream. The methods are
// http1.ServerConn's; what they promise is written there.
type downstream interface {
	ReadRequest(*message.Request) error
	RequestBody() requestBody
	AwaitBody(now time.Time) error
	StopReading() error
	ResumeReading() error
	DiscardBody() bool
	Received() int64
	ClientGone() bool

	WriteInterim(*message.Response)
	WriteHead(resp *message.Response, own []byte, last bool)
	Write([]byte)
	Finish(trailers *message.Header)
	Flush()
	AwaitWrite(now time.Time)
	Err() error
	// Early reports a request that may be a replay, because it came in a handshake's early data (RFC 8470).
	Early() bool
	// Splice moves the rest of an upstream's body without bringing it into this process; false where that cannot be done.
	Splice(b *http1.Body, renew func(now time.Time)) (bool, error)
	// SendFile moves a part of a file without bringing it into this process; false where that cannot be done.
	SendFile(*http1.FilePart) (bool, error)
	// Break makes the client see a broken answer, whatever it has seen so far.
	Break()
	// EndExchange gives buffers back and reports whether another request may follow on what this one came by.
	EndExchange() bool
}

// requestBody is a request's body as it comes from the client. The methods are http1.Body's.
type requestBody interface {
	AtHand() ([]byte, bool)
	ReadNow([]byte) int
	Read([]byte) (int, error)
	Complete() bool
	Buffered() bool
	Left() int64
	Received() int64
	Trailers() *message.Header
}

// plainConn is an HTTP/1 connection as a downstream.
type plainConn struct{ *http1.ServerConn }

// Early is false: crypto/tls takes no early data on TCP.
func (c plainConn) Early() bool { return false }

// RequestBody implements downstream.
func (c plainConn) RequestBody() requestBody { return c.Body() }

// Break resets the connection: for a response whose end is the end of the connection, a plain close would look like success.
func (c plainConn) Break() {
	conn := c.Conn()
	for { // down to the socket: closing TLS says close_notify, which is an end like any other
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = over.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close() // that it is closed already is what was wanted
}
