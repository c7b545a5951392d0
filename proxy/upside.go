package proxy

import (
	"net/http"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// upside is the upstream's side of one attempt: a connection of its own, or one stream of a shared one. The methods are http1.ClientConn's; what they promise is written
// there.
type upside interface {
	Reused() bool
	Begin()
	WriteHead(req *message.Request, path, own []byte)
	Write([]byte)
	Finish(trailers *message.Header)
	Flush()
	AwaitWrite(now time.Time, d time.Duration)
	StopWriting() error
	Err() error
	Sent() int64
	// Splice moves the rest of a request's body without bringing it into this process; false where that cannot be done.
	Splice(b *http1.Body, renew func(now time.Time)) (bool, error)

	Await(now time.Time, d time.Duration) error
	ReadResponse(resp *message.Response, m message.Method, upgrade bool) error
	Answered() bool
	StopReading() error
	ResponseBody() responseBody
	// Spliceable is ResponseBody where its bytes may be moved from socket to socket, else nil.
	Spliceable() *http1.Body

	// LearnIdle tells how long the upstream keeps an unused connection.
	LearnIdle(limit time.Duration)
	// Break makes whoever uses it fail at once. It may be called by anybody.
	Break()
	// End gives it back after the attempt. whole: nothing of the exchange is left over. late: the upstream did not answer in time.
	End(whole, late bool, now int64)
}

// responseBody is a response's body as it comes from the upstream. The methods are http1.Body's.
type responseBody interface {
	Complete() bool
	Buffered() bool
	Next() ([]byte, error)
	Received() int64
	Trailers() *message.Header
}

// ownConn is an HTTP/1 connection as an upside.
type ownConn struct{ *upstream.Conn }

// ResponseBody implements upside.
func (c ownConn) ResponseBody() responseBody { return c.Body() }

// Spliceable implements upside.
func (c ownConn) Spliceable() *http1.Body { return c.Body() }

// Break implements upside.
func (c ownConn) Break() { _ = c.Cut() } // that it is closed already is what was wanted

// End implements upside.
func (c ownConn) End(whole, _ bool, now int64) { c.Release(whole && c.Reusable(), now) }

// sharedStream is an HTTP/2 stream as an upside.
type sharedStream struct{ *http2.ClientStream }

// ResponseBody implements upside.
func (s sharedStream) ResponseBody() responseBody { return s.Body() }

// Spliceable implements upside: frames are made in this process.
func (s sharedStream) Spliceable() *http1.Body { return nil }

// Splice implements upside.
func (s sharedStream) Splice(*http1.Body, func(now time.Time)) (bool, error) { return false, nil }

// LearnIdle implements upside: HTTP/2 has GOAWAY for that.
func (s sharedStream) LearnIdle(time.Duration) {}

// End implements upside.
func (s sharedStream) End(_, late bool, _ int64) { s.Release(late) }

// adapt readies a head that came by HTTP/2 for the client. To HTTP/1 it says the words of a status, and a length where there is no body.
func (x *Exchange) adapt() {
	if x.resp.Proto != message.HTTP2 {
		return
	}
	if x.req.Proto > message.HTTP11 {
		// There may be trailers: the end of the body is told apart from the last byte announced.
		body := x.attempt.conn.ResponseBody()
		if x.resp.Status >= 200 && !message.Bodiless(x.resp.Status, x.req.Method) && (!body.Complete() || body.Trailers().Len() > 0) {
			x.resp.Framing = message.Chunked
		}
		return
	}
	x.resp.Reason = []byte(http.StatusText(x.resp.Status))
	if x.resp.Framing == message.None && x.resp.Status >= 200 && !message.Bodiless(x.resp.Status, x.req.Method) && x.resp.Header.Find(message.ContentLength, 0) < 0 {
		x.resp.Header.Add("Content-Length", "0")
	}
}
