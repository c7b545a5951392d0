package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// OperatorHeader is what a client calls itself, for the audit log and the overlay's "by". It is a claim: the
// audit log sets the address, or on a unix socket the user id the kernel vouches for, beside it.
const OperatorHeader = "Weir-Operator"

// maxOperator bounds the claimed name: user@host fits.
const maxOperator = 64

type peerKey struct{}

// withPeer notes who is at the other end of a connection, once for each connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		return context.WithValue(ctx, peerKey{}, unixPeer(u))
	}
	return context.WithValue(ctx, peerKey{}, c.RemoteAddr().String())
}

func peerOf(r *http.Request) string {
	peer, _ := r.Context().Value(peerKey{}).(string)
	return peer
}

// operator is the name shown beside a change: "alice@desk (127.0.0.1)".
func operator(r *http.Request) string {
	peer := peerOf(r)
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	name := printable(r.Header.Get(OperatorHeader))
	if name == "" {
		return peer
	}
	return fmt.Sprintf("%s (%s)", name, peer)
}

// printable keeps what cannot disturb a terminal or a log line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), maxOperator)])
}
