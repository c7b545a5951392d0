package proxy

import (
	"net"
	"net/netip"
	"testing"

	"github.com/valor-ivx/weir/upstream"
)

// ends is a connection of which only the ends count.
type ends struct {
	net.Conn
	remote, local string
}

func (e ends) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.remote))
}
func (e ends) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.local)) }

func TestIntroduction(t *testing.T) {
	for _, c := range []struct {
		name                string
		socket              net.Conn
		who                 string
		source, destination string
	}{
		{"its own socket", ends{nil, "192.0.2.1:1234", "198.51.100.1:443"}, "192.0.2.1", "192.0.2.1:1234", "198.51.100.1:443"},
		{"IPv4 by an IPv6 socket", ends{nil, "[::ffff:192.0.2.1]:1234", "[::ffff:198.51.100.1]:443"}, "192.0.2.1", "192.0.2.1:1234", "198.51.100.1:443"},
		{"behind a trusted proxy", ends{nil, "10.0.0.1:1234", "198.51.100.1:443"}, "2001:db8::1", "[2001:db8::1]:0", "198.51.100.1:443"},
		{"link-local", ends{nil, "[fe80::1%lo]:9", "[fe80::2%lo]:443"}, "fe80::1", "[fe80::1]:9", "[fe80::2]:443"},
		{"no socket", nil, "192.0.2.1", "192.0.2.1:0", "0.0.0.0:0"},
		{"no socket, IPv6", nil, "2001:db8::1", "[2001:db8::1]:0", "[::]:0"},
	} {
		x := &Exchange{client: &client{socket: c.socket}}
		x.who.ip = netip.MustParseAddr(c.who)
		want := upstream.Client{Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination)}
		if got := x.introduction(); got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
	if got := (&Exchange{client: &client{}}).introduction(); got != (upstream.Client{}) {
		t.Errorf("nobody: %v", got)
	}
}
