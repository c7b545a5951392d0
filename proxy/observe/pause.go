package observe

import "github.com/prometheus/client_golang/prometheus"

// PauseStat is a service's pause at the time of a scrape.
type PauseStat struct {
	Service string
	Paused  bool
	Waiting int
}

// pauseCollector asks at each scrape, so that requests count nothing for it.
type pauseCollector struct {
	paused, waiting *prometheus.Desc
	stats           func() []PauseStat // set once, before the first scrape
}

func newPauseCollector() *pauseCollector {
	return &pauseCollector{
		paused:  prometheus.NewDesc("weir_service_paused", "1 while the service is paused: its requests wait for a resume.", []string{"service"}, nil),
		waiting: prometheus.NewDesc("weir_pause_waiting", "Requests that wait for the service to be resumed.", []string{"service"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *pauseCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.paused
	out <- c.waiting
}

// Collect implements prometheus.Collector.
func (c *pauseCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		out <- flag(c.paused, s.Paused, s.Service)
		out <- gauge(c.waiting, s.Waiting, s.Service)
	}
}

// SetPauseStats says where scrapes find which services are paused. It is called once, before the first scrape.
func (m *Metrics) SetPauseStats(stats func() []PauseStat) { m.pauses.stats = stats }
