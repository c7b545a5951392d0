package proxy

import (
	"context"
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

// opened is a new connection to the attempt's peer, if it is there before ctx ends.
func (t *attempt) opened(ctx context.Context, timeout time.Duration) (*upstream.Conn, error) {
	if !t.x.service.Introduces {
		return t.peer.DialFor(ctx, upstream.Client{}, timeout)
	}
	return t.peer.DialFor(ctx, t.x.introduction(), timeout)
}

// introduction is the client as a PROXY header names it: the one address that everything uses, with its port where it is the socket's own. What it spoke to is
// unspecified (0.0.0.0 or ::) where no socket of its own says so.
func (x *Exchange) introduction() upstream.Client {
	ip := x.who.ip
	if !ip.IsValid() {
		return upstream.Client{}
	}
	client := upstream.Client{Source: netip.AddrPortFrom(ip, 0)}
	if socket := x.client.socket; socket != nil {
		if remote := endpoint(socket.RemoteAddr()); remote.Addr() == ip {
			client.Source = remote
		}
		client.Destination = endpoint(socket.LocalAddr())
	}
	if !client.Destination.IsValid() {
		nowhere := netip.IPv4Unspecified()
		if ip.Is6() {
			nowhere = netip.IPv6Unspecified()
		}
		client.Destination = netip.AddrPortFrom(nowhere, 0)
	}
	return client
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
