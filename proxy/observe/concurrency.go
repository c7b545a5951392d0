package observe

import "github.com/prometheus/client_golang/prometheus"

// ConcurrencyStat is up to how many requests a target is given to work on at the time of a scrape.
type ConcurrencyStat struct {
	Key   TargetKey
	Limit int64
}

// concurrencyCollector asks at each scrape, so that requests count nothing for it.
type concurrencyCollector struct {
	limit *prometheus.Desc
	stats func() []ConcurrencyStat // set once, before the first scrape; nil: no limits
}

func newConcurrencyCollector() *concurrencyCollector {
	return &concurrencyCollector{limit: prometheus.NewDesc("weir_upstream_concurrency_limit",
		"Requests that the target may work on at a time now, as found by its answers. Only for services with adaptive_concurrency.", []string{"service", "group", "target"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *concurrencyCollector) Describe(out chan<- *prometheus.Desc) { out <- c.limit }

// Collect implements prometheus.Collector.
func (c *concurrencyCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		out <- gauge(c.limit, s.Limit, s.Key.Service, s.Key.Group, s.Key.Target)
	}
}

// SetConcurrencyStats says where scrapes find the limits of targets. It is called once, before the first scrape.
func (m *Metrics) SetConcurrencyStats(stats func() []ConcurrencyStat) { m.concurrency.stats = stats }
