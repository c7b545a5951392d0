package server

import (
	"slices"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// build makes the snapshot of a generation from its plan, its pools and the runtime overlay. Under Server.mu.
func (g *generation) build(s *Server, old *generation) {
	g.runtime, g.voids, g.services = s.runtime, map[string]string{}, map[string]*proxy.Service{}
	cfg := g.plan.config
	for i := range cfg.Services {
		g.services[cfg.Services[i].Name] = g.service(s, &cfg.Services[i], old)
	}
	s.letGo(g)
	s.closeShadows(cfg)
	snap := &proxy.Snapshot{Generation: g.number, Table: g.plan.table}
	if g.logs = s.logs.Load(); g.logs != nil {
		snap.Access = g.logs.access
	}
	if cfg.ClientIP != nil {
		snap.Trust = trustedProxies(cfg.ClientIP.TrustedProxies)
	}
	snap.ClientAuth, snap.Recorder = g.plan.auths, s.recorderOf(cfg.Recorder)
	policies, shields, compressions := s.policies(cfg), s.shields(g.wafs), s.compressions(cfg)
	for _, r := range cfg.Routes {
		snap.Routes = append(snap.Routes, proxy.Route{
			Name: r.Name, Pattern: r.Path.String(), Service: g.services[r.Service], Files: g.trees.siteOf(&r), MaxBody: int64(r.MaxBody), Timeout: r.Timeout, Metrics: s.routeMetrics(r.Name),
			Access: g.guards.listsOf(&r), Guard: g.guards.guardOf(&r), Limits: s.limitsOf(&r, cfg.Limits, false), UserLimits: s.limitsOf(&r, cfg.Limits, true), Headers: policies.forRoute(r.Headers), Priority: priority(r.Priority),
			Shield: shields[r.WAF], Compress: compressions[r.Name],
		})
	}
	snap.Unrouted = proxy.Route{Name: unrouted, MaxBody: -1, Metrics: s.routeMetrics(unrouted), Headers: policies.forRoute("")}
	snap.Reports, snap.Tracing = s.reports(g.plan), s.tracingOf(cfg.Tracing)
	g.snapshot = snap
}

// unrouted is the route label of requests that no route matched; a route cannot have this name.
const unrouted = "-"

func (s *Server) routeMetrics(route string) []*observe.Route {
	list := make([]*observe.Route, len(s.names))
	for i, name := range s.names {
		list[i] = s.metrics.Route(name, route)
	}
	return list
}

// service is one service's generation: the file's settings, the weights in force, the counters that go on.
func (g *generation) service(s *Server, c *configs.Service, old *generation) *proxy.Service {
	shares, void := g.runtime.shares(c.Name, fileShares(c))
	if void != "" {
		g.voids[c.Name] = void
	}
	names := make([]string, len(c.Groups))
	for i := range c.Groups {
		names[i] = c.Groups[i].Name
	}
	counters := s.countersOf(c.Name, c.Retry.Budget, names)
	if old == nil || !slices.Equal(old.sharesOf(c.Name), shares) {
		counters.rebase()
	}
	service := &proxy.Service{
		Name: c.Name, WhenEmpty: whenEmpty(c.WhenEmpty),
		Ticket: &counters.ticket, Tries: c.Retry.Attempts, Budget: counters.budget,
		ConnectTimeout: c.ConnectTimeout, ResponseTimeout: orUnlimited(c.ResponseTimeout), IdleTimeout: c.IdleTimeout,
		HashKey: hashKey(c.Balance), Metrics: s.metrics.Service(c.Name, proxy.RetryReasons()...), Shares: shares, Introduces: transport(c).ProxyProtocol != 0, Secure: c.Secure(),
	}
	s.bound(service, g.plan.config, c)
	s.hedged(service, c)
	service.Mirror = s.mirrorOf(c)
	_ = s.metrics.Rollout(c.Name, rollout.Causes()...) // at 0 from the first scrape
	if void == "" {
		service.Trial = counters.trial
	}
	for i, name := range names {
		m := s.metrics.Group(c.Name, name)
		m.SetConfiguredShare(float64(shares[i].Weight) / balancer.WeightSum)
		service.Groups = append(service.Groups, proxy.Group{
			Name: name, Pool: g.pools[poolKey{c.Name, name}], Metrics: m, Assigned: &counters.groups[name].assigned,
			Baseline: counters.groups[name].baseline,
		})
	}
	if len(names) > 1 && c.Rollout.Prewarm > 0 {
		service.Recent = counters.remembers()
	}
	g.assign(s, service, c)
	return service
}

// sharesOf are the weights in force for a service, nil when it has none.
func (g *generation) sharesOf(service string) []balancer.Share {
	if s := g.services[service]; s != nil {
		return s.Shares
	}
	return nil
}

// inventory is everything of a generation that has metric series.
func (s *Server) inventory(g *generation) observe.Inventory {
	inv := observe.Inventory{Listeners: s.names, Limits: limitNames(g.plan.config), Queues: bounded(g.plan.config)}
	routes := []string{unrouted}
	for _, r := range g.plan.config.Routes {
		routes = append(routes, r.Name)
	}
	for _, l := range s.names {
		for _, r := range routes {
			inv.Routes = append(inv.Routes, observe.RouteKey{Listener: l, Route: r})
		}
	}
	for _, c := range g.plan.config.Services {
		inv.Services = append(inv.Services, c.Name)
		for _, group := range c.Groups {
			inv.Groups = append(inv.Groups, observe.GroupKey{Service: c.Name, Group: group.Name})
			for _, peer := range g.pools[poolKey{c.Name, group.Name}].Snapshot() {
				inv.Targets = append(inv.Targets, observe.TargetKey{Service: c.Name, Group: group.Name, Target: peer.Address})
			}
		}
	}
	return inv
}
