package edgetls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Session is what a handshake settled for the requests of its connection. After Done it does not change.
type Session struct {
	Version    uint16 // of crypto/tls
	ServerName string // SNI, "" for none

	leaf   *x509.Certificate // what the client was served; nil: not known
	auth   *ClientAuth       // what the handshake asked of its certificate
	client *Identity         // nil: it has shown none
	lines  []byte            // of client, for upstreams
}

// Identity is the verified certificate of a client.
type Identity struct {
	Leaf        *x509.Certificate
	Subject     string // RFC 4514, ASCII
	Fingerprint string // SHA-256 of the certificate, hex
}

type sessionKey struct{}

// Observe readies a handshake: run it under the context, with a configuration of a Manager, then call Done.
func Observe(ctx context.Context) (context.Context, *Session) {
	s := new(Session)
	return context.WithValue(ctx, sessionKey{}, s), s
}

// SessionOf is the session of a handshake that was run under ctx, or one derived from it; one that nothing is known of when Observe made none.
func SessionOf(ctx context.Context) *Session {
	if ctx != nil {
		if s, ok := ctx.Value(sessionKey{}).(*Session); ok {
			return s
		}
	}
	return new(Session)
}

// Done takes what the finished handshake agreed on.
func (s *Session) Done(state tls.ConnectionState) {
	s.Version, s.ServerName = state.Version, state.ServerName
	if s.auth == nil || len(state.VerifiedChains) == 0 {
		return
	}
	leaf := state.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	s.client = &Identity{Leaf: leaf, Subject: printable(leaf.Subject.String()), Fingerprint: hex.EncodeToString(sum[:])}
	s.lines = s.client.lines(nil)
	if s.auth.chain && len(state.PeerCertificates) > 1 {
		b := append(s.lines, "Client-Cert-Chain: "...)
		for i, c := range state.PeerCertificates[1:] {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendBytes(b, c.Raw)
		}
		s.lines = append(b, "\r\n"...)
	}
}

// Client is the identity that the client has proved; nil: none. A nil Session, of a connection without TLS, has none.
func (s *Session) Client() *Identity {
	if s == nil {
		return nil
	}
	return s.client
}

// ClientLines are the request fields that tell an upstream of Client, each ended by CRLF: Client-Cert and, where the policy wants it, Client-Cert-Chain
// (RFC 9440), X-Client-Cert-Subject and X-Client-Cert-Fingerprint. Empty without one.
func (s *Session) ClientLines() []byte { return s.lines }

// Misdirected reports whether a request for host (as received) belongs on another connection (RFC 9110 §15.5.20): the handshake ran under another policy for
// clients' certificates than the host's in auths; or the certificate that was served is not valid for host and one in store is. Where there is none a new connection
// would get no better one: a client that came without checking, or by address, is served. On a resumed session of TLS 1.3, where no certificate is sent, the
// one counts that the server name would have been served.
func (s *Session) Misdirected(host []byte, auths *ClientAuths, store *Store) bool {
	if !s.auth.same(auths.For(host)) {
		return true
	}
	name := bareName(host)
	if name == "" || s.leaf == nil || strings.EqualFold(name, s.ServerName) || s.leaf.VerifyHostname(name) == nil {
		return false
	}
	return store.covers(name)
}

// bareName is the name or address of a Host field, without port and trailing dot.
func bareName(host []byte) string {
	if end := bytes.IndexByte(host, ']'); end > 0 && host[0] == '[' {
		return string(host[1:end])
	}
	if i := bytes.IndexByte(host, ':'); i >= 0 && i == bytes.LastIndexByte(host, ':') {
		host = host[:i]
	}
	return strings.TrimSuffix(string(host), ".")
}

// covers reports whether a connection made for name (a host name or address) would be served a certificate that is valid for it.
func (s *Store) covers(name string) bool {
	if s == nil {
		return false
	}
	serverName, local := name, ""
	if ip, err := netip.ParseAddr(name); err == nil {
		serverName, local = "", ip.Unmap().String() // RFC 6066 §3: no server name is sent for an address
	}
	for _, c := range s.candidates(serverName, local) {
		if c.tls.Leaf.VerifyHostname(name) == nil {
			return true
		}
	}
	return false
}

func (i *Identity) lines(b []byte) []byte {
	b = append(b, "Client-Cert: "...)
	b = appendBytes(b, i.Leaf.Raw)
	b = append(b, "\r\nX-Client-Cert-Subject: "...)
	b = append(b, i.Subject...)
	b = append(b, "\r\nX-Client-Cert-Fingerprint: "...)
	b = append(b, i.Fingerprint...)
	return append(b, "\r\n"...)
}

// appendBytes writes a byte sequence (RFC 8941 §3.3.5).
func appendBytes(b, data []byte) []byte {
	b = base64.StdEncoding.AppendEncode(append(b, ':'), data)
	return append(b, ':')
}

// printable escapes what must not stand in a field value, as RFC 4514 §2.4 allows for any byte: a subject is its owner's to write.
func printable(s string) string {
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 0x20 && c < 0x7f {
			b.WriteByte(c)
		} else {
			b.WriteString(`\` + string(hexDigits[c>>4]) + string(hexDigits[c&15]))
		}
	}
	return strings.Trim(b.String(), " ")
}
