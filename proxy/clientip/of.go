package clientip

import (
	"net"
	"net/netip"
)

// Of is the IP of a TCP or UDP peer, IPv4 in IPv6 unmapped, without zone. Another kind of peer (a pipe in a test) has none: the zero address.
func Of(remote net.Addr) netip.Addr {
	peer, ok := remote.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.Addr{}
	}
	return peer.AddrPort().Addr().Unmap().WithZone("")
}
