package server

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/upstream"
)

// transport is how a service's targets are spoken to.
func transport(s *configs.Service) upstream.Transport {
	t := upstream.Transport{ProxyProtocol: s.ProxyProtocol.Version(), HTTP2: s.HTTP2()}
	if !s.Secure() {
		return t
	}
	// Named, so that a server which speaks several protocols and picks by itself does not pick another one.
	t.TLS, t.ALPN = true, "http/1.1"
	if c := s.TLS; c != nil {
		t.CA, t.ServerName, t.Insecure = string(c.CAPEM), c.ServerName, c.InsecureSkipVerify
		t.Certificate, t.Key = string(c.CertPEM), c.KeyPEM.Reveal()
	}
	return t
}

// transportWarnings are what works, or may, and should not stay.
func transportWarnings(cfg *configs.Config, now time.Time) (list []string) {
	for i := range cfg.Services {
		s := &cfg.Services[i]
		if s.TLS == nil {
			continue
		}
		if s.TLS.InsecureSkipVerify {
			list = append(list, fmt.Sprintf("service %s: insecure_skip_verify takes any certificate: whoever is on the way to its targets can pose as them", s.Name))
		}
		pair, err := tls.X509KeyPair(s.TLS.CertPEM, []byte(s.TLS.KeyPEM.Reveal()))
		if err == nil && now.After(pair.Leaf.NotAfter) { // an error: there is none, or the check has refused it
			list = append(list, fmt.Sprintf("service %s: its client certificate %s expired on %s", s.Name, s.TLS.Cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return list
}
