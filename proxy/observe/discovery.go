package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DiscoveryStat is a name or a Service that targets are found by, at the time of a scrape.
type DiscoveryStat struct {
	Source            string // a label's value, out of the configuration
	Up                bool
	Answered          time.Time // the zero time: never
	Targets, Draining int
	Failures, Changes uint64
}

// discoveryCollector is the families of discovery. They are asked at each scrape, and are there only where targets are found by names or Services.
type discoveryCollector struct {
	up, answered, targets, failures, changes *prometheus.Desc
	stats                                    func() []DiscoveryStat // set once, before the first scrape
}

func newDiscoveryCollector() *discoveryCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"source"}, labels...), nil)
	}
	return &discoveryCollector{
		up:       desc("weir_discovery_up", "1 when the last answer about a name (dns:, srv:) or Service (kubernetes:) that targets are found by was a good one; 0: the targets of the last good one stay. Absent without such targets."),
		answered: desc("weir_discovery_last_answer_timestamp_seconds", "When the last good answer came, in Unix time; 0: none has. Of a Service that is also when the API server last showed that nothing has changed."),
		targets:  desc("weir_discovery_targets", "Addresses of the last good answer, by state: ready, or draining for pods that end and get nothing new.", "state"),
		failures: desc("weir_discovery_failures_total", "Look-ups, lists and watches that failed. Absent without such targets, and from 0 again when nothing in force named the source in between."),
		changes:  desc("weir_discovery_changes_total", "Answers that changed the targets."),
	}
}

// Describe implements prometheus.Collector.
func (c *discoveryCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.answered, c.targets, c.failures, c.changes} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *discoveryCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		answered := 0.0
		if !s.Answered.IsZero() {
			answered = float64(s.Answered.UnixMilli()) / 1000
		}
		out <- flag(c.up, s.Up, s.Source)
		out <- gauge(c.answered, answered, s.Source)
		out <- gauge(c.targets, s.Targets, s.Source, "ready")
		out <- gauge(c.targets, s.Draining, s.Source, "draining")
		out <- counter(c.failures, s.Failures, s.Source)
		out <- counter(c.changes, s.Changes, s.Source)
	}
}

// SetDiscoveryStats says where scrapes find what is known of names and Services. It is called once, before the first scrape.
func (m *Metrics) SetDiscoveryStats(stats func() []DiscoveryStat) { m.discovery.stats = stats }
