package proxy

import "net/netip"

// identify keeps the peer's address and derives the request fields that carry it, as they are for a peer whose word is not taken: what it wrote into them
// itself is dropped (http1 does not forward it). Exchange.believe adds to it for trusted proxies.
func (c *client) identify(from netip.Addr) {
	c.ip = from
	c.address = c.ip.AppendTo(nil)
	b := append([]byte(nil), "X-Forwarded-For: "...)
	b = append(b, c.address...)
	b = append(b, "\r\nX-Real-IP: "...)
	b = append(b, c.address...)
	b = append(b, "\r\nX-Forwarded-Proto: "...)
	b = append(b, c.listener.Scheme...)
	b = append(b, "\r\nX-Forwarded-Port: "...)
	b = append(b, c.listener.Port...)
	c.lines = append(b, "\r\n"...)
}
