package proxy

import (
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// streamSide is an HTTP/2 stream as a downstream.
type streamSide struct{ *http2.Stream }

// Early is false: crypto/tls takes no early data on TCP.
func (s streamSide) Early() bool { return false }

// RequestBody implements downstream.
func (s streamSide) RequestBody() requestBody { return s.Body() }

// Splice moves nothing: frames are made in this process.
func (s streamSide) Splice(*http1.Body, func(now time.Time)) (bool, error) { return false, nil }

// SendFile moves nothing, for the same reason.
func (s streamSide) SendFile(*http1.FilePart) (bool, error) { return false, nil }

// Break resets the stream (RFC 9113 §8.1: an answer that broke off must not look complete).
func (s streamSide) Break() { s.Abort(http2.InternalError) }

// ServeHTTP2 is Serve for a connection that has agreed on HTTP/2: it reads frames on the caller's goroutine and runs each request on one of its own.
func (p *Proxy) ServeHTTP2(conn net.Conn, l *Listener, session *edgetls.Session) {
	conn, from := whose(conn)
	c := p.streaming(conn, l, session)
	c.identify(from)
	l.Metrics.Accepted()
	p.join(c)
	c.serveStreams(nil)
}

// streaming is the client of an HTTP/2 connection.
func (p *Proxy) streaming(conn net.Conn, l *Listener, session *edgetls.Session) *client {
	c := &client{proxy: p, listener: l, bounds: p.boundsOf(l), session: session, socket: conn}
	c.http2 = http2.New(conn, &c.bounds.HTTP2, func(s *http2.Stream) { c.request(streamSide{s}) })
	return c
}

// serveStreams serves a client that has joined; early is what was read of it.
func (c *client) serveStreams(early []byte) {
	p := c.proxy
	if p.leaving.Load() { // Announce or Shutdown may have looked before we joined
		c.http2.Drain()
	}
	if err := c.http2.Serve(early); err != nil {
		p.options.Logger.Debug("http2 connection ended", zap.String(observe.KeyClientIP, string(c.address)), observe.Err(err))
	}
	p.leave(c)
	c.listener.Metrics.Closed()
}

// takeOver serves c's connection by HTTP/2 if it begins so, with prior knowledge (RFC 9113 §3.3), and reports whether it did. Its first byte is there.
func (p *Proxy) takeOver(c *client) bool {
	early, begins := c.conn.Begins(http2.Preface)
	if !begins {
		return false
	}
	next := p.streaming(c.socket, c.listener, c.session)
	next.ip, next.address, next.lines = c.ip, c.address, c.lines
	p.mu.Lock() // at once: to a Shutdown the connection is never away
	delete(p.clients, c)
	p.clients[next] = struct{}{}
	p.mu.Unlock()
	next.serveStreams(early)
	return true
}

// request answers one request of a connection that carries several, on the goroutine that http2 or http3 started for it. A panic costs that stream, see end.
func (c *client) request(down downstream) {
	x := c.proxy.exchange()
	defer func() {
		if bug := recover(); bug != nil {
			c.panicked(bug)
			x.abandon()
			down.Break()
		}
	}()
	x.run(c, down)
	c.proxy.exchanges.Put(x)
}
