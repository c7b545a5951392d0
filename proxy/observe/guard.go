package observe

import "github.com/prometheus/client_golang/prometheus"

// GuardStats tell at a scrape whether the files of access lists and authentications could be read when they last changed.
type GuardStats struct{ Access, Auth []GuardStat }

// GuardStat is one of them.
type GuardStat struct {
	Name string
	Good bool
}

// guardCollector asks at each scrape.
type guardCollector struct {
	access, auth *prometheus.Desc
	stats        func() GuardStats // set once, before the first scrape; nil: none
}

func newGuardCollector() *guardCollector {
	return &guardCollector{
		access: prometheus.NewDesc("weir_access_list_last_reload_successful",
			"1 if the files of an access list were good when they were last read, 0 if they had a mistake and what they said before is in force.", []string{"access"}, nil),
		auth: prometheus.NewDesc("weir_auth_last_reload_successful",
			"1 if the file of an authentication was good when it was last read, and its keys, service or provider answered when last asked; 0 if not: what was known before is in force.", []string{"auth"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *guardCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.access
	out <- c.auth
}

// Collect implements prometheus.Collector.
func (c *guardCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	send := func(desc *prometheus.Desc, list []GuardStat) {
		for _, s := range list {
			out <- flag(desc, s.Good, s.Name)
		}
	}
	stats := c.stats()
	send(c.access, stats.Access)
	send(c.auth, stats.Auth)
}

// SetGuardStats says where scrapes find how files of access lists and authentications were. It is called once, before the first scrape.
func (m *Metrics) SetGuardStats(stats func() GuardStats) { m.guards.stats = stats }
