package server

import (
	"fmt"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy"
)

// paused tells of a pause.
func (e *explanation) paused() {
	if p := e.g.runtime.Services[e.route.Service.Name].Pause; p != nil {
		e.step("queue", "waits", "service %s is paused since %s by %s: up to %d requests wait for up to %s, then 503", e.route.Service.Name, p.Since.Format(time.RFC3339), p.By, p.MaxWaiting, p.Timeout)
	}
}

// placed tells which group the request gets where that follows from the request itself: its client is known, or it asks for one. live are the groups with a live target.
func (e *explanation) placed(live balancer.LiveMask) bool {
	s := e.route.Service
	var p proxy.Placement
	s.Place(&p, &e.header, e.client, 0)
	by := map[proxy.StickySource]string{
		proxy.StickyOwn: "cookie weir_" + s.Name, proxy.StickyHeader: "header " + s.Sticky.Name, proxy.StickyCookieOf: "cookie " + s.Sticky.Name, proxy.StickyClientIP: "client address",
	}[s.Sticky.Source]
	switch {
	case p.Forced:
		e.step("choose", "group "+s.Groups[p.Group].Name, "the request asks for it, as match of the group says: whatever the weights, and without failover")
	case s.Sticky.Source == proxy.StickyOff || p.Group < 0:
		return false
	case s.Sticky.Source == proxy.StickyOwn && !p.Known:
		e.step("choose", "a new client", "no valid %s: dealt by weight, and given one with the answer", by)
		return false
	case !p.Known:
		e.step("choose", "group "+s.Groups[p.Group].Name, "the client's address, in place of %s, which the request lacks", by)
	default:
		e.step("choose", "group "+s.Groups[p.Group].Name, "the client is known by %s", by)
	}
	e.placedIn(p, live)
	return true
}

func (e *explanation) placedIn(p proxy.Placement, live balancer.LiveMask) {
	s := e.route.Service
	name := s.Groups[p.Group].Name
	when := s.WhenEmpty
	if p.Forced {
		when = balancer.EmptyFail
	}
	g, failover := s.Split.Choose(p.Group, p.Client, live, when)
	switch {
	case p.Forced && s.Evicted.Has(p.Group):
		e.end("503 %s: group %s is evicted", proxy.GroupEvicted, name)
		return
	case g < 0:
		e.end("503 unless an unhealthy target answers after all: group %s has no live target, and no other may serve the request", name)
		return
	case failover:
		e.step("choose", "group "+s.Groups[g].Name, "failover: group %s has no live target, when_empty = \"other\"", name)
	}
	if !p.Forced {
		e.rollout()
	}
	e.balance()
	e.forwards(fmt.Sprintf("forwarded to %s: %s", s.Name, s.Groups[g].Name))
}

// forwards ends an explanation with the request on its way.
func (e *explanation) forwards(outcome string) {
	e.retries()
	e.timeouts()
	e.hedge()
	e.shadow()
	e.end("%s", outcome)
}

// balance tells how a target is picked of the group's.
func (e *explanation) balance() {
	c := e.g.serviceConfig(e.route.Service.Name)
	e.step("choose", "a target by "+c.Balance.String(), "among the group's that are up, not ejected, not drained and below their limit; none healthy: when_none_healthy = %q", c.WhenNoneHealthy)
}

// retries tells what becomes of a try that fails.
func (e *explanation) retries() {
	s := e.route.Service
	if s.Tries == 1 {
		e.step("forward", "one try", "retry.attempts = 1")
		return
	}
	e.step("forward", fmt.Sprintf("up to %d tries", s.Tries), "only what is safe to repeat is repeated, each on another target, retries up to %g %% of requests", 100*e.g.serviceConfig(s.Name).Retry.Budget)
}

// timeouts tells what ends a wait.
func (e *explanation) timeouts() {
	s := e.route.Service
	none := func(d time.Duration) string {
		if d == 0 {
			return "none"
		}
		return d.String()
	}
	e.step("forward", "timeouts", "connect %s, response head %s, silence of the target %s, the whole by route %s %s",
		s.ConnectTimeout, none(s.ResponseTimeout), none(s.IdleTimeout), e.route.Name, none(e.route.Timeout))
}
