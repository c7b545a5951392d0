package metrics

import "github.com/prometheus/client_golang/prometheus"

// Cache is the counts of a cache since the start.
type Cache struct {
	Hits, Misses, Errors, Evictions float64
}

// cacheCollector reads the counts at each scrape.
type cacheCollector func() Cache

// cacheDesc are the series of a cache.
type cacheDesc struct {
	hits, misses, errors, evictions, ratio *prometheus.Desc
}

func describeCache() cacheDesc {
	d := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	return cacheDesc{
		hits:      d("valor_cache_hits_total", "Computations answered from the cache."),
		misses:    d("valor_cache_misses_total", "Computations that the cache had no answer for."),
		errors:    d("valor_cache_errors_total", "Lookups and keepings that failed or, while the cache was away, were not tried. What was asked was computed."),
		evictions: d("valor_cache_evictions_total", "Answers that went for others before their time; with Redis, all that its server has counted."),
		ratio:     d("valor_cache_hit_ratio", "Hits among all lookups since the start, 0 before the first."),
	}
}

// Describe implements prometheus.Collector.
func (c cacheCollector) Describe(ch chan<- *prometheus.Desc) {
	d := describeCache()
	for _, desc := range []*prometheus.Desc{d.hits, d.misses, d.errors, d.evictions, d.ratio} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c cacheCollector) Collect(ch chan<- prometheus.Metric) {
	d, s := describeCache(), c()
	send := func(desc *prometheus.Desc, t prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(desc, t, v)
	}
	send(d.hits, prometheus.CounterValue, s.Hits)
	send(d.misses, prometheus.CounterValue, s.Misses)
	send(d.errors, prometheus.CounterValue, s.Errors)
	send(d.evictions, prometheus.CounterValue, s.Evictions)
	ratio := 0.0
	if all := s.Hits + s.Misses; all > 0 {
		ratio = s.Hits / all
	}
	send(d.ratio, prometheus.GaugeValue, ratio)
}
