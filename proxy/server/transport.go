package server

import (
	"fmt"

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

// transportWarnings are what works and should not stay.
func transportWarnings(cfg *configs.Config) (list []string) {
	for i := range cfg.Services {
		if s := &cfg.Services[i]; transport(s).Insecure {
			list = append(list, fmt.Sprintf("service %s: insecure_skip_verify takes any certificate: whoever is on the way to its targets can pose as them", s.Name))
		}
	}
	return list
}
