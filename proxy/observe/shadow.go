package observe

import "github.com/prometheus/client_golang/prometheus"

// ShadowStat is what a service's shadow has come to at the time of a scrape.
type ShadowStat struct {
	Service string
	Results map[string]uint64 // of requests that were due
	Asked   map[string]uint64 // requests sent, by group
	Places  int               // in which the group that is tried differs
}

// shadowCollector asks at each scrape: no request counts for it.
type shadowCollector struct {
	requests, asked, places *prometheus.Desc
	stats                   func() []ShadowStat // set once, before the first scrape; nil: none
}

func newShadowCollector() *shadowCollector {
	return &shadowCollector{
		requests: prometheus.NewDesc("weir_shadow_requests_total",
			"Requests that were due for the shadow, by what became of them: same and differs (compared), failed (the group that answers did not), large (its body is not compared), private, "+
				"limited, dropped, busy and unhealthy (not asked).", []string{"service", "result"}, nil),
		asked: prometheus.NewDesc("weir_shadow_upstream_requests_total",
			"Requests that the shadow has sent to a group. They are in no other metric.", []string{"service", "group"}, nil),
		places: prometheus.NewDesc("weir_shadow_differing_places",
			"Places in answers in which the group that is tried differs, and not by chance, since the last reset.", []string{"service"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *shadowCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.requests
	out <- c.asked
	out <- c.places
}

// Collect implements prometheus.Collector.
func (c *shadowCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		for result, n := range s.Results {
			out <- counter(c.requests, n, s.Service, result)
		}
		for group, n := range s.Asked {
			out <- counter(c.asked, n, s.Service, group)
		}
		out <- gauge(c.places, s.Places, s.Service)
	}
}

// SetShadowStats says where scrapes find what shadows have come to. It is called once, before the first scrape.
func (m *Metrics) SetShadowStats(stats func() []ShadowStat) { m.shadow.stats = stats }
