package proxy

import (
	"sync/atomic"

	"github.com/valor-ivx/weir/proxy/message"
)

// Alternative is the advertisement that HTTP/3 is served on the listener's port (RFC 9114 §3.1.1, RFC 7838). It lives as long as the socket does, which the listeners
// before and after a reload share; Proxy.Withdraw ends it for all of them.
type Alternative struct {
	line []byte // with CRLF
	off  atomic.Bool
}

// alternativeAge is how long, in seconds, a client may go on without asking TCP again: a day, as browsers are used to. Shorter than quic-go's month: where UDP is
// taken away again, that is how long clients will go on trying it first.
const alternativeAge = "86400"

// NewAlternative advertises HTTP/3 on port.
func NewAlternative(port string) *Alternative {
	return &Alternative{line: []byte(`Alt-Svc: h3=":` + port + `"; ma=` + alternativeAge + "\r\n")}
}

// withdrawn reports an advertisement that has ended; a may be nil.
func (a *Alternative) withdrawn() bool { return a != nil && a.off.Load() }

// Withdraw ends the advertisement, and sends away the HTTP/3 connections of the listeners that had it, those that are just being made included: they end when they have
// been answered. It does not wait.
func (p *Proxy) Withdraw(a *Alternative) {
	a.off.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.clients {
		if c.http3 != nil && c.listener.Alternative == a {
			c.http3.Drain()
		}
	}
}

// appendAlternative advertises HTTP/3 on answers over TLS on TCP, unless weir is about to end, or the upstream or the route's policy has a field of its own to say.
func (x *Exchange) appendAlternative(b []byte, resp *message.Response) []byte {
	a := x.client.listener.Alternative
	if a == nil || x.client.session == nil || x.client.http3 != nil || a.withdrawn() || x.proxy.draining.Load() ||
		resp.Header.Find(message.AltSvc, 0) >= 0 || x.policy().Writes("Alt-Svc") {
		return b
	}
	return append(b, a.line...)
}
