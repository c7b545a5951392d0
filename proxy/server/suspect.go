package server

import (
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
)

// suspected logs, once in a process, that a proxy seems to stand in front that the configuration does not name.
func (s *Server) suspected(ip netip.Addr) {
	s.log.Warn("X-Forwarded-For from a private address while client_ip.trusted_proxies names nobody: if this is a proxy, all its clients count as one",
		zap.String(observe.KeySourceIP, ip.String()))
}

// suspicion is the same for status, as long as it may hold: until a proxy is named.
func (s *Server) suspicion(g *generation) string {
	ip := s.proxy.Suspect()
	if !ip.IsValid() || !g.snapshot.Trust.Empty() {
		return ""
	}
	return fmt.Sprintf("%s sends X-Forwarded-For and client_ip.trusted_proxies names nobody: if it is a proxy, all its clients count as one", ip)
}
