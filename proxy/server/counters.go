package server

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/rollout"
	"github.com/valor-ivx/weir/upstream"
)

// serviceCounters is what a service counts across generations, so that exact shares and retry budgets do not start anew with a reload. Owned by Server
// (under mu); the atomics are written by requests.
type serviceCounters struct {
	ticket atomic.Uint64
	groups map[string]*groupCounters
	budget *upstream.RetryBudget
	ratio  float64 // of budget

	recent *proxy.Recent // what was asked for lately, to warm groups by; nil until the service has two groups

	hold  *proxy.Hold  // nil until the service is paused; then it stays, for those that wait in it
	trial *proxy.Trial // of the requests that are assigned now; nil while no group is on trial; under mu

	breaker *upstream.Breaker // nil until the service has one; then it stays, for the requests that it has counted

	mu       sync.Mutex     // guards followed, and orders what follow does; taken after Server.mu and the registry's
	followed *proxy.Service // whose targets' limits the breaker follows; nil: none's
}

type groupCounters struct {
	assigned atomic.Uint64
	baseline uint64 // assigned when the weights were last set or changed; under Server.mu
}

// remembers is the service's memory of what was asked for.
func (c *serviceCounters) remembers() *proxy.Recent {
	if c.recent == nil {
		c.recent = proxy.NewRecent(rememberEvery)
	}
	return c.recent
}

// minRetries is the floor of every retry budget, in retries per second: a service too quiet to earn any may still lose a connection.
const minRetries = upstream.DefaultRetriesPerSecond

// countersOf returns the counters of a service, making what is missing.
func (s *Server) countersOf(service string, ratio float64, groups []string) *serviceCounters {
	c := s.counters[service]
	if c == nil {
		c = &serviceCounters{groups: map[string]*groupCounters{}}
		s.counters[service] = c
	}
	if c.budget == nil || c.ratio != ratio {
		c.budget, c.ratio = upstream.NewRetryBudget(ratio, floor(ratio)), ratio
	}
	for _, g := range groups {
		if c.groups[g] == nil {
			c.groups[g] = &groupCounters{}
		}
	}
	return c
}

// floor is none where the file says that nothing may be retried.
func floor(ratio float64) int {
	if ratio == 0 {
		return 0
	}
	return minRetries
}

// ticketBlock is how many tickets balancer.Split deals whole weights exactly over.
const ticketBlock = 100

// rebase makes observed shares count from now: they describe the weights in force. The tickets go on at a new block, so that new weights are exact from
// the first request on and not only after the rest of a block that began under the old ones.
func (c *serviceCounters) rebase() {
	for {
		t := c.ticket.Load()
		if c.ticket.CompareAndSwap(t, (t+ticketBlock-1)/ticketBlock*ticketBlock) {
			break
		}
	}
	for _, g := range c.groups {
		g.baseline = g.assigned.Load()
	}
}

// exportShares sets the gauges of observed shares. The housekeeper's.
func (s *Server) exportShares() {
	s.windows.look(time.Now(), s.current.Load().services, func(g *proxy.Group, share float64) { g.Metrics.SetObservedShare(share) })
}

// exportStats says where scrapes find what is asked for at a scrape.
func (s *Server) exportStats() {
	s.metrics.SetLimitStats(s.limitStats)
	s.metrics.SetQueueStats(priorityNames(), s.queueStats)
	s.metrics.SetPauseStats(s.pauseStats)
	s.metrics.SetClusterStat(s.clusterStat)
	s.metrics.SetDiscoveryStats(s.discoveryStats)
	s.metrics.SetConcurrencyStats(s.concurrencyStats)
	s.metrics.SetShadowStats(s.shadowStats)
	s.metrics.SetRolloutStats(rollout.Phases(), s.rolloutStats)
	s.metrics.SetTraceStats(s.traceStats)
	s.countStreams()
}
