package clientip

import (
	"net"
	"net/netip"
)

// Of is the IP of a TCP peer, IPv4 in IPv6 unmapped, without zone. Another kind of peer (a pipe in a test) has none: the zero address.
func Of(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
