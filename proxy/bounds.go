package proxy

import (
	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/http3"
)

// Bounds are what a client of one listener may cost. They are a value: nothing in them changes once a connection has them.
type Bounds struct {
	HTTP1 http1.ServerOptions
	HTTP2 http2.Options
	HTTP3 http3.Options
	// MinBody is how many bytes of a request's body must arrive in each HTTP1.BodyTimeout that is spent waiting for them; 0: any number.
	MinBody int64
}

// Bind puts bounds in force for the connections of the listener that Serve, ServeHTTP2 and ServeHTTP3 take from now on. Those that are open keep theirs.
func (l *Listener) Bind(b *Bounds) { l.bounds.Store(b) }

// boundsOf are the bounds of a new connection.
func (p *Proxy) boundsOf(l *Listener) *Bounds {
	if b := l.bounds.Load(); b != nil {
		return b
	}
	return &p.unbound
}
