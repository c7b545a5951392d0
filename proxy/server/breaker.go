package server

import (
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// bound gives a service the breaker that its file wants: the one it has had, with the bounds in force now. Under Server.mu.
func (s *Server) bound(service *proxy.Service, cfg *configs.Config, c *configs.Service) {
	if c.Breaker == nil {
		return
	}
	o := upstream.BreakerOptions{
		MaxRequests: c.Breaker.MaxRequests, MaxQueue: c.Breaker.MaxQueue, QueueTimeout: c.Breaker.QueueTimeout, Used: priorities(cfg, c.Name),
	}
	counters := s.counters[c.Name]
	if counters.breaker == nil {
		counters.breaker = upstream.NewBreaker(o)
	} else {
		counters.breaker.Configure(o, s.registry.Now())
	}
	service.Breaker = counters.breaker
	service.LowAgents = proxy.NewAgents(c.Breaker.LowPriorityUserAgents)
	service.Queue = s.metrics.Queue(observe.QueueOptions{Service: c.Name, Priorities: priorityNames(), Reasons: proxy.ShedReasons()})
}

// priorities are those that routes of a service have.
func priorities(cfg *configs.Config, service string) (used [upstream.Priorities]bool) {
	for i := range cfg.Routes {
		if cfg.Routes[i].Service == service {
			used[priority(cfg.Routes[i].Priority)] = true
		}
	}
	return used
}

func priority(p configs.Priority) upstream.Priority {
	switch p {
	case configs.PriorityCritical:
		return upstream.Critical
	case configs.PriorityHigh:
		return upstream.High
	case configs.PriorityLow:
		return upstream.Low
	}
	return upstream.Normal
}

func priorityNames() []string {
	names := make([]string, upstream.Priorities)
	for p := range names {
		names[p] = upstream.Priority(p).String()
	}
	return names
}

// queueStats is what scrapes ask for.
func (s *Server) queueStats() (list []observe.QueueStat) {
	g := s.current.Load()
	if g == nil {
		return nil
	}
	for name, service := range g.services {
		if service.Breaker == nil {
			continue
		}
		st := service.Breaker.Status(s.registry.Now())
		list = append(list, observe.QueueStat{Service: name, InFlight: st.InFlight, Waiting: st.Queued[:]})
	}
	return list
}

// bounded are the services with a breaker.
func bounded(cfg *configs.Config) (names []string) {
	for i := range cfg.Services {
		if cfg.Services[i].Breaker != nil {
			names = append(names, cfg.Services[i].Name)
		}
	}
	return names
}

// describeBreaker is nil for a service without one.
func describeBreaker(service *proxy.Service, now int64) *admin.Breaker {
	if service.Breaker == nil {
		return nil
	}
	st := service.Breaker.Status(now)
	d := &admin.Breaker{
		State: "free", InFlight: st.InFlight, MaxRequests: st.Options.MaxRequests, MaxQueue: st.Options.MaxQueue, QueueTimeout: st.Options.QueueTimeout.String(),
	}
	for _, n := range st.Queued {
		d.Queued += n
	}
	switch {
	case st.Overloaded:
		d.State = "overloaded"
	case d.Queued > 0 || d.InFlight >= int64(d.MaxRequests):
		d.State = "full"
	}
	return d
}

// queue tells what the service's breaker would do with the request now.
func (e *explanation) queue() {
	b := describeBreaker(e.route.Service, e.now)
	if b == nil {
		return
	}
	p := e.route.PriorityOf(&e.header)
	why := p.String()
	if p != e.route.Priority {
		why += " by User-Agent"
	}
	decision, most := "enters at once", e.route.Service.Breaker.Status(e.now).Most[p]
	if b.Queued > 0 || b.InFlight >= most {
		decision = "waits"
	}
	e.step("queue", decision, "breaker %s: %d of %d requests in flight, %d of %d waiting for up to %s; priority %s enters below %d", b.State, b.InFlight, b.MaxRequests,
		b.Queued, b.MaxQueue, b.QueueTimeout, why, most)
}
