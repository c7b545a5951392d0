package server

import (
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
)

// onDemandOptions are those of a configuration; nil when it has none.
func (s *Server) onDemandOptions(o *configs.OnDemand) *edgetls.OnDemandOptions {
	if o == nil {
		return nil
	}
	names := edgetls.OnDemandResults()
	return &edgetls.OnDemandOptions{
		Ask: o.Ask, Timeout: o.Timeout, Limit: edgetls.Rate{Count: o.Limit.Count, Per: o.Limit.Unit}, Names: o.MaxNames,
		Serves:  s.takes,
		Counted: func(r edgetls.OnDemandResult) { s.metrics.OnDemand(names[r]) },
	}
}

// takes reports whether a route of the configuration in force takes requests for a host. Handshakes that come before there is one find none.
func (s *Server) takes(host string) bool {
	g := s.current.Load()
	return g != nil && g.plan.table.Match([]byte(host), []byte("/")) != route.UnknownHost
}
