package proxy

import (
	"net"
	"net/netip"
)

// identify derives the peer's address and the request fields that carry it, as they are for a peer whose word is not taken: what it wrote into them
// itself is dropped (http1 does not forward it). Exchange.believe adds to it for trusted proxies.
func (c *client) identify(remote net.Addr) {
	c.ip = clientAddress(remote)
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

// clientAddress is the remote's IP, IPv4 in IPv6 unmapped, without zone. Another kind of remote (a pipe in a test) has none: the zero address.
func clientAddress(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
