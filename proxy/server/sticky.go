package server

import (
	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
)

// assign gives a service all that decides which group a request gets, but the breaker: the split, what clients are known by, who tests, what operators have said of groups
// and targets, and the pause. service has its groups and Shares. Under Server.mu.
func (g *generation) assign(s *Server, service *proxy.Service, c *configs.Service) {
	set := g.runtime.Services[c.Name]
	said := set
	if g.voids[c.Name] != "" {
		said = serviceOverlay{}
	}
	split := balancer.NewSplit(s.secret, set.epoch(), service.Shares)
	standings := said.standings(service.Shares)
	service.Split, service.Incumbents = balancer.Deal(split, standings)
	for i, standing := range standings {
		if standing.Evicted {
			service.Evicted = service.Evicted.With(i)
		}
		service.Groups[i].Pool.Withhold(withheld(said.Targets[service.Groups[i].Name]))
	}
	service.Sticky = sticky(s.secret, c, set)
	service.Testers = testers(c)
	s.hold(service, set.Pause)
}

func withheld(targets map[string]mark) map[string]bool {
	set := make(map[string]bool, len(targets))
	for address := range targets {
		set[address] = true
	}
	return set
}

func sticky(secret []byte, c *configs.Service, set serviceOverlay) proxy.Sticky {
	k := proxy.Sticky{Name: c.Sticky.Name}
	switch c.Sticky.Source {
	case configs.StickyOwn:
		k.Source, k.Cookie = proxy.StickyOwn, proxy.NewStickyCookie(secret, c.Name, set.epoch(), set.Round)
	case configs.StickyHeader:
		k.Source = proxy.StickyHeader
	case configs.StickyCookie:
		k.Source = proxy.StickyCookieOf
	case configs.StickyClientIP:
		k.Source = proxy.StickyClientIP
	}
	return k
}

func testers(c *configs.Service) (list []proxy.Tester) {
	for i := range c.Groups {
		if m := c.Groups[i].Match; m != nil {
			t := proxy.Tester{Group: i}
			t.HeaderName, t.HeaderValue = m.HeaderPair()
			t.CookieName, t.CookieContent = m.CookiePair()
			list = append(list, t)
		}
	}
	return list
}

// hold makes a service's requests wait, or those that wait go on with it. Under Server.mu.
func (s *Server) hold(service *proxy.Service, p *pause) {
	counters := s.counters[service.Name]
	switch {
	case p == nil && counters.hold != nil:
		counters.hold.Open(service)
	case p != nil:
		if counters.hold == nil {
			counters.hold = proxy.NewHold()
		}
		counters.hold.Close(service, p.MaxWaiting, p.Timeout)
		service.Hold = counters.hold
	}
}

// letGo ends the wait for services that the file no longer has: what waits goes on as requests do that were under way.
func (s *Server) letGo(g *generation) {
	for name, counters := range s.counters {
		if g.services[name] == nil && counters.hold != nil {
			counters.hold.Release()
		}
	}
}

// pauseStats is what scrapes ask for.
func (s *Server) pauseStats() (list []observe.PauseStat) {
	g := s.current.Load()
	if g == nil {
		return nil
	}
	for name, service := range g.services {
		st := observe.PauseStat{Service: name}
		if service.Hold != nil {
			st.Paused, st.Waiting = true, service.Hold.Waiting()
		}
		list = append(list, st)
	}
	return list
}
