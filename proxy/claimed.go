package proxy

import (
	"net"
	"net/netip"

	"github.com/valor-ivx/weir/proxy/clientip"
)

// Claimed is a connection whose client is not its peer: a trusted sender in front stated another address before the first byte of HTTP or TLS (HAProxy's
// PROXY protocol). Serve and ServeHTTP2 take it apart again, so that what reads and writes sees the connection itself.
type Claimed struct {
	net.Conn
	From netip.Addr // IPv4 as IPv4, without zone
}

// whose takes a connection apart into what carries bytes and whom it comes from.
func whose(conn net.Conn) (net.Conn, netip.Addr) {
	if c, ok := conn.(*Claimed); ok {
		return c.Conn, c.From
	}
	return conn, clientip.Of(conn.RemoteAddr())
}
