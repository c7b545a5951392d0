package server

import (
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
)

// hedged gives a service the second attempts that its file wants.
func (s *Server) hedged(service *proxy.Service, c *configs.Service) {
	if c.Hedge == nil {
		return
	}
	service.HedgeDelay = c.Hedge.Delay
	s.metrics.CountHedges(service.Metrics, c.Name, proxy.HedgeResults()...)
}

// hedge tells when a request like this one is sent twice.
func (e *explanation) hedge() {
	s := e.route.Service
	if s.HedgeDelay > 0 {
		e.step("forward", "a second try after "+s.HedgeDelay.String(), "GET, HEAD and OPTIONS without a body that have no response head by then, within the retry budget")
	}
}
