package configs

import (
	"fmt"
	"io"
	"net/netip"
)

// Protocols spoken to targets.
const (
	ProtocolHTTP1 = "http/1.1"
	ProtocolHTTPS = "https"
	ProtocolH2    = "h2"
	ProtocolH2C   = "h2c"
)

// UpstreamTLS is how TLS is spoken to the targets of a service whose protocol is https or h2. Its files are watched like those of
// [[tls.certificate]]: new contents are used by new connections, without a restart.
type UpstreamTLS struct {
	// PEM file with the roots that are trusted instead of the system's: for a private CA, or a target's own certificate.
	CA string `toml:"ca"`
	// Name or IP address that the targets' certificates must be valid for, also sent as SNI when it is a name. Default: the
	// host of each target as it is written above, an IP address too. Required where targets are found by srv or kubernetes.
	ServerName string `toml:"server_name"`
	// PEM file with a client certificate, leaf first, for targets that ask for one. Needs key.
	Cert string `toml:"cert"`
	// PEM file with the private key of cert.
	Key string `toml:"key"`
	// true: take any certificate. Whoever is on the way can then read and change everything; check, reload and status
	// warn while it is on.
	InsecureSkipVerify bool `toml:"insecure_skip_verify" default:"false"`

	CAPEM   []byte `toml:"-"` // contents of CA as read at load
	CertPEM []byte `toml:"-"` // contents of Cert as read at load
	KeyPEM  Secret `toml:"-"` // contents of Key as read at load
}

// digest writes the contents of the files, with their lengths first, so that none can pass for the beginning of the next.
func (t *UpstreamTLS) digest(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\x00%d %d %d\x00%s%s%s", len(t.CAPEM), len(t.CertPEM), len(t.KeyPEM), t.CAPEM, t.CertPEM, t.KeyPEM.Reveal())
}

// Secure reports whether the service's targets speak TLS.
func (s *Service) Secure() bool { return s.Protocol == ProtocolHTTPS || s.Protocol == ProtocolH2 }

// HTTP2 reports whether the service's targets speak HTTP/2.
func (s *Service) HTTP2() bool { return s.Protocol == ProtocolH2 || s.Protocol == ProtocolH2C }

// transport checks how the targets of a service are spoken to, and reads the files that it needs.
func (c checker) transport(s *Service, path string) {
	table := joinKey(path, "tls")
	t := s.TLS
	if protocol := joinKey(path, "protocol"); c.bad(protocol) || c.bad(table) {
		return
	}
	if at := joinKey(path, "proxy_protocol"); s.HTTP2() && s.ProxyProtocol != ProxyProtocolOff && !c.bad(at) {
		c.value(at, "proxy_protocol names one client per connection, and with protocol %s many share one", s.Protocol)
	}
	if !s.Secure() {
		if t != nil {
			c.key(table, "service.tls has no use: protocol is %s", s.Protocol)
		}
		return
	}
	if t == nil {
		t = &UpstreamTLS{}
	}
	c.serverName(s, t, path)
	if ca := joinKey(table, "ca"); c.pos.has(ca) {
		if data, ok := c.readPEM(ca, &t.CA); ok {
			if err := checkChain(data); err != nil {
				c.value(ca, "ca %s: %v", c.quote(ca, t.CA), err)
			}
			t.CAPEM = data
		}
	}
	cert, key := joinKey(table, "cert"), joinKey(table, "key")
	switch hasCert, hasKey := c.pos.has(cert), c.pos.has(key); {
	case hasCert && !hasKey:
		c.value(cert, "cert needs key, the file with its private key")
	case hasKey && !hasCert:
		c.value(key, "key needs cert, the file with its certificate")
	case hasCert:
		pair := Certificate{Cert: t.Cert, Key: t.Key}
		c.certificate(&pair, table)
		t.Cert, t.Key, t.CertPEM, t.KeyPEM = pair.Cert, pair.Key, pair.CertPEM, pair.KeyPEM
	}
}

// serverName: what is verified must be known before DNS is asked. The host of an srv target is an answer of DNS, which an attacker may give.
func (c checker) serverName(s *Service, t *UpstreamTLS, path string) {
	at := joinKey(joinKey(path, "tls"), "server_name")
	if c.pos.has(at) {
		if c.bad(at) {
			return
		}
		if _, err := netip.ParseAddr(t.ServerName); err != nil && checkName(t.ServerName) != nil {
			c.value(at, "server_name %s is neither a host name nor an IP address", c.quote(at, t.ServerName))
		}
		return
	}
	for _, g := range s.Groups {
		targets := joinKey(joinKey(joinKey(path, "group"), g.Name), "targets")
		for i, target := range g.Targets {
			switch {
			case t.InsecureSkipVerify:
			case target.SRV != "":
				c.value(joinIndex(targets, i), "a target by srv with protocol %s needs tls.server_name: a name out of DNS proves nothing", s.Protocol)
			case target.Kubernetes != "":
				c.value(joinIndex(targets, i), "a target by kubernetes with protocol %s needs tls.server_name: pods have no names of their own", s.Protocol)
			}
		}
	}
}
