package proxy

import (
	"net"
	"net/netip"
	"time"

	"github.com/valor-ivx/weir/upstream"
)

// rested is a connection to the attempt's peer that may be used again, or nil.
func (t *attempt) rested() *upstream.Conn {
	if !t.x.service.Introduces {
		return t.peer.Conn(t.began)
	}
	return t.peer.ConnFor(t.x.introduction(), t.began)
}

// opened is a new connection to the attempt's peer.
func (t *attempt) opened(timeout time.Duration) (*upstream.Conn, error) {
	if !t.x.service.Introduces {
		return t.peer.Dial(timeout)
	}
	return t.peer.DialFor(t.x.introduction(), timeout)
}

// introduction is the client as a PROXY header names it: the one address that everything uses, with its port where it is the socket's own.
func (x *Exchange) introduction() upstream.Client {
	socket := x.client.socket
	if socket == nil || !x.who.ip.IsValid() {
		return upstream.Client{}
	}
	remote, local := endpoint(socket.RemoteAddr()), endpoint(socket.LocalAddr())
	port := uint16(0)
	if remote.Addr() == x.who.ip {
		port = remote.Port()
	}
	return upstream.Client{Source: netip.AddrPortFrom(x.who.ip, port), Destination: local}
}

// endpoint is a TCP address with IPv4 as IPv4 and without zone, the zero value for any other.
func endpoint(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
