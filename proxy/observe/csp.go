package observe

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// cspReports counts what browsers report of policies.
type cspReports struct {
	total *prometheus.CounterVec

	// mu guards policies and the creation and removal of children, so that a report that comes late does not bring series back.
	mu       sync.Mutex
	policies map[string]map[string]prometheus.Counter // by directive
}

func newCSPReports() *cspReports {
	return &cspReports{policies: map[string]map[string]prometheus.Counter{}, total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_csp_reports_total",
		Help: "Reports of browsers on the Content-Security-Policy of a [headers.NAME], by the directive that kept something out, or would.",
	}, []string{"headers", "directive"})}
}

// SetCSPPolicies makes the series of these policies and directives, at 0 where they are new, and removes those of all others.
func (m *Metrics) SetCSPPolicies(policies, directives []string) {
	c := m.csp
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.policies {
		if !slices.Contains(policies, name) {
			c.total.DeletePartialMatch(prometheus.Labels{"headers": name})
			delete(c.policies, name)
		}
	}
	for _, name := range policies {
		if c.policies[name] != nil {
			continue
		}
		counters := map[string]prometheus.Counter{}
		for _, d := range directives {
			counters[d] = c.total.WithLabelValues(name, d)
		}
		c.policies[name] = counters
	}
}

// CSPReport counts a report on a policy by one of the directives that SetCSPPolicies was given.
func (m *Metrics) CSPReport(policy, directive string) {
	m.csp.mu.Lock()
	defer m.csp.mu.Unlock()
	if counter := m.csp.policies[policy][directive]; counter != nil {
		counter.Inc()
	}
}
