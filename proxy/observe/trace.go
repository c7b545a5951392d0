package observe

import "github.com/prometheus/client_golang/prometheus"

// TraceStats is what became of sampled requests by the time of a scrape.
type TraceStats struct {
	Exported uint64
	Dropped  map[string]uint64 // by reason
}

// traceCollector asks at each scrape: no request counts for it.
type traceCollector struct {
	exported, dropped *prometheus.Desc
	stats             func() TraceStats // set once, before the first scrape; nil: none
}

func newTraceCollector() *traceCollector {
	return &traceCollector{
		exported: prometheus.NewDesc("weir_traces_exported_total", "Sampled requests whose spans a collector has taken.", nil, nil),
		dropped: prometheus.NewDesc("weir_traces_dropped_total", "Sampled requests whose spans were lost, by reason: queue_full (the collector does not keep up), failed (it did not answer in time, or not as a "+
			"collector), refused (it would not have them), shutdown (weir ended first), off (tracing was switched off meanwhile). Requests never wait for it.", []string{"reason"}, nil),
	}
}

// SetTraceStats says where scrapes find what became of traces. It is called once, before the first scrape.
func (m *Metrics) SetTraceStats(stats func() TraceStats) { m.traces.stats = stats }

// Describe implements prometheus.Collector.
func (c *traceCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.exported
	out <- c.dropped
}

// Collect implements prometheus.Collector.
func (c *traceCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	s := c.stats()
	out <- counter(c.exported, s.Exported)
	for reason, n := range s.Dropped {
		out <- counter(c.dropped, n, reason)
	}
}
