package observe

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Totals are counters at one moment, for whoever makes rates of them. A counter falls only when what it counts has left the configuration.
type Totals struct {
	Groups map[GroupKey]GroupTotals
	Routes map[string]RouteTotals
	Limits map[string]LimitTotals
	// Ended is by reason, over all listeners.
	Ended             map[string]uint64
	Accepted, Refused uint64 // connections
}

// Answers are requests by the class of what was answered.
type Answers struct {
	Requests, ClientErrors, ServerErrors uint64
	Left                                 uint64 // 499: the client did not wait for the answer
}

// GroupTotals are the answers of one group.
type GroupTotals struct {
	Answers
	// Latencies is a histogram (balancer.LatencyBucket) of the times to the response head since the watch began; nil without one.
	Latencies []uint64
}

// LimitTotals are the decisions of one rate limit.
type LimitTotals struct{ Allowed, Limited, DryRun uint64 }

// latencies is finer than what is exported: a quantile of it is true to 6 %.
type latencies [balancer.LatencyBuckets]atomic.Uint64

// Watch begins to count latencies finely, and returns what ends it. While nobody watches a request pays for one load.
func (m *Metrics) Watch() (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches++
	if m.watches == 1 {
		for _, g := range m.groups {
			g.fine.Store(new(latencies))
		}
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watches--
		if m.watches == 0 {
			for _, g := range m.groups {
				g.fine.Store(nil)
			}
		}
	}
}

// Totals reads the counters.
func (m *Metrics) Totals() Totals {
	t := Totals{Groups: map[GroupKey]GroupTotals{}, Routes: m.routeTotals(), Limits: map[string]LimitTotals{}, Ended: map[string]uint64{}}
	m.listeners.total(&t)
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, g := range m.groups {
		t.Groups[key] = g.totals()
	}
	for name, l := range m.limits {
		t.Limits[name] = LimitTotals{Allowed: count(l.allowed), Limited: count(l.limited), DryRun: count(l.dryRun)}
	}
	return t
}

// add adds up codes by what they mean for whoever looks after a group or a route.
func (a *Answers) add(code int, c *series.Counter) {
	n := c.Value()
	a.Requests += n
	switch {
	case code == 499:
		a.Left += n
	case code >= 500:
		a.ServerErrors += n
	case code >= 400:
		a.ClientErrors += n
	}
}

// addRest adds those beyond the bound, whose counter is that of the odd codes where there are such.
func (a *Answers) addRest(k *kinds, odd *series.Counter) {
	if c := k.rest.Load(); c != nil && c != odd {
		a.add(0, c)
	}
}

// totals is what the group's answers add up to. Caller holds Metrics.mu.
func (g *Group) totals() (t GroupTotals) {
	g.codes.read(t.add)
	t.addRest(&g.kinds, g.codes.find(0))
	if fine := g.fine.Load(); fine != nil {
		t.Latencies = make([]uint64, len(fine))
		for i := range fine {
			t.Latencies[i] = fine[i].Load()
		}
	}
	return t
}

// observe counts one latency where somebody watches.
func (g *Group) observe(d time.Duration) {
	if fine := g.fine.Load(); fine != nil {
		fine[balancer.LatencyBucket(d)].Add(1)
	}
}

// count is a counter's value, which is a number of events.
func count(c prometheus.Metric) uint64 {
	var m dto.Metric
	if c.Write(&m) != nil {
		return 0 // a counter without exemplars always writes
	}
	return uint64(m.GetCounter().GetValue())
}

// total adds the listeners' part.
func (c *listenerCollector) total(t *Totals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.byName {
		t.Accepted += l.accepted.Load()
		for why := range l.refused {
			t.Refused += l.refused[why].Load()
		}
		for i, reason := range c.reasons {
			if n := l.ended[i].Load(); reason != "" && n > 0 {
				t.Ended[reason] += n
			}
		}
	}
}
