package proxy

import (
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// quicSide is an HTTP/3 stream as a downstream.
type quicSide struct{ *http3.Stream }

// RequestBody implements downstream.
func (s quicSide) RequestBody() requestBody { return s.Body() }

// Splice moves nothing: packets are made in this process.
func (s quicSide) Splice(*http1.Body, func(now time.Time)) (bool, error) { return false, nil }

// SendFile moves nothing, for the same reason.
func (s quicSide) SendFile(*http1.FilePart) (bool, error) { return false, nil }

// Break resets the stream (RFC 9114 §4.1: an answer that broke off must not look complete).
func (s quicSide) Break() { s.Abort(http3.InternalError) }

// QUIC is the transport's configuration for new connections of l.
func (p *Proxy) QUIC(l *Listener, earlyData bool) *quic.Config {
	return p.boundsOf(l).HTTP3.QUIC(earlyData)
}

// ServeHTTP3 is Serve for a QUIC connection that has agreed on HTTP/3, on the caller's goroutine; each request runs on one of its own. The
// client is whom the handshake came from: a path that it moves to later has not been asked who it is, and limits and logs are better off with one name.
func (p *Proxy) ServeHTTP3(conn *quic.Conn, l *Listener, session *edgetls.Session) {
	c := &client{proxy: p, listener: l, bounds: p.boundsOf(l), session: session}
	c.identify(clientip.Of(conn.RemoteAddr()))
	c.http3 = http3.New(conn, &c.bounds.HTTP3, func(s *http3.Stream) { c.request(quicSide{s}) })
	l.Metrics.Accepted()
	p.join(c)
	if p.leaving.Load() || l.Alternative.withdrawn() { // Announce, Shutdown or Withdraw may have looked before we joined
		c.http3.Drain()
	}
	if err := c.http3.Serve(); err != nil {
		p.options.Logger.Debug("http3 connection ended", zap.String(observe.KeyClientIP, string(c.address)), observe.Err(err))
	}
	p.leave(c)
	l.Metrics.Closed()
}
