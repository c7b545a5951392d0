package proxy

import (
	"net/netip"

	"github.com/valor-ivx/weir/proxy/message"
)

// Suspect is the first peer on a network of one's own that stated other clients while no proxy is trusted: most likely a balancer in front that the configuration does not
// name, whose clients are then all one to limits and logs. The zero address: none has been seen.
func (p *Proxy) Suspect() netip.Addr {
	if ip := p.suspect.Load(); ip != nil {
		return *ip
	}
	return netip.Addr{}
}

// suspectProxy looks at a request whose peer is not believed because nobody is. Once somebody is found nobody is looked at any more.
func (x *Exchange) suspectProxy() {
	p, ip := x.proxy, x.who.ip
	if p.suspect.Load() != nil || !ip.IsPrivate() && !ip.IsLoopback() || x.req.Header.Find(message.XForwardedFor, 0) < 0 {
		return
	}
	found := ip // ip itself would be an allocation for every request
	if p.suspect.CompareAndSwap(nil, &found) && p.options.Suspected != nil {
		p.options.Suspected(ip)
	}
}
