package server

import (
	"math"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// adapt has breakers follow the limits of their services' targets: what the targets cannot be given waits in the queue. Pools that are no more limit nobody by now, so
// who has waited for them can be let in. Under Server.mu.
func (s *Server) adapt(g *generation) {
	for i := range g.plan.config.Services {
		c := &g.plan.config.Services[i]
		s.adaptOne(g.services[c.Name], c)
	}
}

func (s *Server) adaptOne(service *proxy.Service, c *configs.Service) {
	counters := s.counters[c.Name]
	if service.Breaker == nil || c.AdaptiveConcurrency == nil {
		counters.follow(nil, 0, s.registry.Now())
		return
	}
	follow := func() { counters.follow(service, capacity(service), s.registry.Now()) }
	counters.follow(service, 0, s.registry.Now())
	for i := range service.Groups {
		service.Groups[i].Pool.WhenLimited(follow)
	}
	follow()
}

// follow caps the breaker for the service that it follows. With 0 it follows that one from now on, with nil none any more: limits that a generation before it
// still finds are not heeded.
func (c *serviceCounters) follow(service *proxy.Service, n int, now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 {
		c.followed = service
	}
	if c.breaker != nil && service == c.followed && (n > 0 || service == nil) {
		c.breaker.Cap(n, now)
	}
}

// capacity is how many requests at a time leave no group of a service with more than its targets may be given, as they are split by weight; at least 1.
func capacity(service *proxy.Service) int {
	most := math.Inf(1)
	for i := range service.Groups {
		weight, of := service.Shares[i].Weight, service.Groups[i].Pool.Capacity()
		if weight > 0 && of > 0 { // the share of a group without live targets goes to the others, or is refused
			most = min(most, float64(of)*balancer.WeightSum/float64(weight))
		}
	}
	return int(max(1, min(most, math.MaxInt32)))
}

// concurrencyStats is what scrapes ask for.
func (s *Server) concurrencyStats() (list []observe.ConcurrencyStat) {
	g := s.current.Load()
	if g == nil {
		return nil
	}
	for _, c := range g.plan.config.Services {
		if c.AdaptiveConcurrency == nil {
			continue
		}
		for _, group := range c.Groups {
			for _, peer := range g.pools[poolKey{c.Name, group.Name}].Snapshot() {
				if peer.State != upstream.Draining { // it may have come back, and be there twice
					list = append(list, observe.ConcurrencyStat{Key: observe.TargetKey{Service: c.Name, Group: group.Name, Target: peer.Address}, Limit: peer.Limit})
				}
			}
		}
	}
	return list
}
