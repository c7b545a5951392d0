package server

import (
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/http3"
)

// bound puts what the file says of the clients of each listener in force for new connections. It cannot fail: it is part of commit.
func (p *prepared) bound(s *Server) {
	for i, l := range p.sockets { // in the file's order
		c := &p.plan.config.Listeners[i]
		l.data.Bind(boundsOf(c, s.http2, s.http3))
		l.caps.Store(&caps{total: int64(c.MaxConnections), perIP: c.MaxConnectionsPerIP})
	}
}

// maxFields of a head: HAProxy's default is 101.
const maxFields = 100

// boundsOf are a listener's bounds, the same for all protocols; what else HTTP/2 and HTTP/3 have are the defaults of its package.
func boundsOf(c *configs.Listener, two *http2.Counters, three *http3.Counters) *proxy.Bounds {
	return &proxy.Bounds{
		HTTP1: http1.ServerOptions{
			Limits:      http1.Limits{Head: int(c.MaxHeader), Target: int(c.MaxURI), Fields: maxFields},
			IdleTimeout: c.IdleTimeout, HeaderTimeout: c.HeaderTimeout, BodyTimeout: c.BodyTimeout, WriteTimeout: c.WriteTimeout,
			MinSendRate: c.MinSendRate,
		},
		HTTP2: http2.Options{
			Limits:      http2.Limits{Head: int(c.MaxHeader), Fields: maxFields, Target: int(c.MaxURI)},
			IdleTimeout: c.IdleTimeout, HeaderTimeout: c.HeaderTimeout, BodyTimeout: c.BodyTimeout, WriteTimeout: c.WriteTimeout,
			MinSendRate: c.MinSendRate, Counters: two, ExtendedConnect: true,
		},
		HTTP3: http3.Options{
			Limits:           http3.Limits{Head: int(c.MaxHeader), Fields: maxFields, Target: int(c.MaxURI)},
			HandshakeTimeout: handshakeTimeout, IdleTimeout: c.IdleTimeout, HeaderTimeout: c.HeaderTimeout, BodyTimeout: c.BodyTimeout, WriteTimeout: c.WriteTimeout,
			Counters: three,
		},
		MinBody: perWindow(c.MinBodyRate, c.BodyTimeout),
	}
}

// perWindow is how much a rate makes in a window, at least 1 unless it is off.
func perWindow(rate int, window time.Duration) int64 {
	if rate == 0 {
		return 0
	}
	return max(1, int64(float64(rate)*window.Seconds()))
}
