package observe

import "github.com/prometheus/client_golang/prometheus"

// Limit counts the decisions of one rate limit. It is safe for concurrent use and stays valid, though no longer exported, after Forget.
type Limit struct {
	allowed, limited, dryRun prometheus.Counter
}

// LimitStat is the memory of one rate limit at the time of a scrape.
type LimitStat struct {
	Name    string
	Keys    int
	Evicted uint64

	Shared   bool  // counted across replicas
	Degraded bool  // and just now not: each replica gives its share
	Running  int64 // requests under way that it counts
}

type limitVecs struct {
	decisions *prometheus.CounterVec
	memory    *limitCollector
}

func newLimitVecs() limitVecs {
	return limitVecs{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_limit_decisions_total",
			Help: "Requests by what a rate limit decided: allowed, limited (429), dry_run (would have been limited). Where several limits apply and one refuses, the others decide nothing.",
		}, []string{"limit", "decision"}),
		memory: &limitCollector{
			keys: prometheus.NewDesc("weir_limit_keys", "Keys (clients, header values) that a rate limit remembers now.", []string{"limit"}, nil),
			evicted: prometheus.NewDesc("weir_limit_evictions_total",
				"Keys that a rate limit forgot because its memory was full; a key that comes back begins with a full burst.", []string{"limit"}, nil),
			degraded: prometheus.NewDesc("weir_limit_shared_degraded",
				"1 while a shared limit cannot be counted across replicas and each of them gives its share. Absent for limits that are not shared.", []string{"limit"}, nil),
			running: prometheus.NewDesc("weir_limit_requests_in_flight", "Requests under way now that a limit with concurrency counts.", []string{"limit"}, nil),
		},
	}
}

func (v *limitVecs) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.decisions, v.memory}
}

// limitCollector asks at each scrape, so that requests count nothing for it.
type limitCollector struct {
	keys, evicted, running, degraded *prometheus.Desc
	stats                            func() []LimitStat // set once, before the first scrape; nil: no limits
}

// Describe implements prometheus.Collector.
func (c *limitCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.keys
	out <- c.evicted
	out <- c.degraded
	out <- c.running
}

// Collect implements prometheus.Collector.
func (c *limitCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		out <- gauge(c.keys, s.Keys, s.Name)
		out <- counter(c.evicted, s.Evicted, s.Name)
		out <- gauge(c.running, s.Running, s.Name)
		if s.Shared {
			out <- flag(c.degraded, s.Degraded, s.Name)
		}
	}
}

// SetLimitStats says where scrapes find the memory of rate limits. It is called once, before the first scrape.
func (m *Metrics) SetLimitStats(stats func() []LimitStat) { m.limit.memory.stats = stats }

// Limit returns the handle of a rate limit, the same one for the same name as long as Forget keeps it, with its series at 0.
func (m *Metrics) Limit(name string) *Limit {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.limits[name]; ok {
		return l
	}
	l := &Limit{
		allowed: m.limit.decisions.WithLabelValues(name, "allowed"),
		limited: m.limit.decisions.WithLabelValues(name, "limited"),
		dryRun:  m.limit.decisions.WithLabelValues(name, "dry_run"),
	}
	m.limits[name] = l
	return l
}

// Allowed counts a request that the limit let pass.
func (l *Limit) Allowed() { l.allowed.Inc() }

// Limited counts a request that the limit refused.
func (l *Limit) Limited() { l.limited.Inc() }

// DryRun counts a request that the limit would have refused.
func (l *Limit) DryRun() { l.dryRun.Inc() }
