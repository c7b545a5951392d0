package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Transport is how connections to a target are made. It is comparable: resting connections and TLS sessions are shared by pools that name the same
// address with an equal Transport, and by nobody else. The zero value is HTTP/1 over plain TCP; the fields after TLS are for TLS only.
type Transport struct {
	// ProxyProtocol is the version of the PROXY header that begins every connection: 1 or 2, 0 for none. It names one client, so connections with it are
	// used again for the same client only, see Peer.ConnFor and DialFor.
	ProxyProtocol uint8
	// HTTP2 says that the target speaks HTTP/2, over TLS as it must agree by ALPN, else by prior knowledge (RFC 9113 §3.3). Requests then share connections,
	// so there is no ProxyProtocol.
	HTTP2 bool
	TLS   bool
	// CA is a PEM bundle of the roots that are trusted instead of the system's. "": the system's.
	CA string
	// ServerName is what the target's certificate must be valid for, sent as SNI unless it is an IP address. "": the host of each target as it is
	// written, before any look-up. Required for SRV targets: their hosts come from DNS, and a name that an attacker can choose proves nothing (RFC 6125 §1.8).
	ServerName string
	// Certificate and Key are the PEM pair shown to a target that asks for one. Both or neither.
	Certificate, Key string
	// Insecure takes any certificate.
	Insecure bool
	// ALPN is the one protocol offered (RFC 7301), unless HTTP2 is set. "": the extension is not sent.
	ALPN string
}

// String keeps the private key out of whatever prints a description.
func (t Transport) String() string {
	if !t.TLS {
		if t.HTTP2 {
			return "tcp h2c"
		}
		return "tcp"
	}
	return "tls"
}

// GoString is String for %#v.
func (t Transport) GoString() string { return t.String() }

// digest is equal for equal transports and gives no key away.
func (t Transport) digest() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %t %t %q %q %q %q %t %q", t.ProxyProtocol, t.HTTP2, t.TLS, t.CA, t.ServerName, t.Certificate, t.Key, t.Insecure, t.ALPN))
}

// config is the client's side of a handshake; nil for plain TCP.
func (t Transport) config() (*tls.Config, error) {
	if t.ProxyProtocol > 2 {
		return nil, fmt.Errorf("check transport: there is no PROXY protocol version %d", t.ProxyProtocol)
	}
	if t.ProxyProtocol > 0 && t.HTTP2 {
		return nil, errors.New("check transport: a connection that many requests share cannot say whom it is for")
	}
	if !t.TLS {
		if t != (Transport{ProxyProtocol: t.ProxyProtocol, HTTP2: t.HTTP2}) {
			return nil, errors.New("check transport: what is for TLS is set without it")
		}
		return nil, nil
	}
	// TLS 1.2 is the least that RFC 9325 §3.1.1 leaves. One session is kept per link: tickets of one server are worth the same.
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure, // the operator asked for it, and is warned
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	switch {
	case t.HTTP2:
		c.NextProtos = []string{"h2"}
	case t.ALPN != "":
		c.NextProtos = []string{t.ALPN}
	}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, errors.New("check transport: the CA bundle holds no certificate")
		}
	}
	if t.Certificate == "" && t.Key == "" {
		return c, nil
	}
	pair, err := tls.X509KeyPair([]byte(t.Certificate), []byte(t.Key))
	if err != nil {
		return nil, fmt.Errorf("check transport: client certificate: %w", err)
	}
	// Sent whatever CAs the target names: one that does not like it says so in its alert, where "certificate required" would mislead.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return c, nil
}
