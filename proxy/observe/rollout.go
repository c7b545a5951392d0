package observe

import "github.com/prometheus/client_golang/prometheus"

// Rollout counts how rollouts of a service ended in a rollback. It stays valid, though no longer exported, after Forget.
type Rollout struct{ rollbacks reasonCounters }

// RolloutStat is a service's last rollout at the time of a scrape; the zero value of a service that has had none.
type RolloutStat struct {
	Service string
	// Evidence is the e-value against the group on trial, Threshold that which rolls back.
	Evidence, Threshold float64
	// Harm is how many requests it has failed beyond the tolerated ones, Needs how many it has yet to serve at its step.
	Harm, Needs float64
	Step        int
	// State is one of those given to SetRolloutStats, or "".
	State string
}

type rolloutVecs struct {
	rollbacks *prometheus.CounterVec
	state     *rolloutCollector
}

func newRolloutVecs() rolloutVecs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"service"}, labels...), nil)
	}
	return rolloutVecs{
		rollbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_rollout_rollbacks_total",
			Help: "Rollouts that went back by themselves: evidence, harm (more failed requests than max_harm), errors (half of them failed at a step), unhealthy (no live target).",
		}, []string{"service", "reason"}),
		state: &rolloutCollector{
			evidence:  desc("weir_rollout_evidence", "Evidence against the group on trial, as a likelihood ratio; it is rolled back at the threshold. 0 before the first rollout, the last value after one."),
			threshold: desc("weir_rollout_threshold", "Evidence at which the rollout goes back: 1/alpha. 0 before the first rollout."),
			harm:      desc("weir_rollout_harm", "Failed requests of the group on trial beyond what is tolerated; below 0 where it does better."),
			needs:     desc("weir_rollout_needs_requests", "Requests that the group on trial has yet to serve at its step before the next one; -1 where no number will do."),
			step:      desc("weir_rollout_step", "Number of the rollout's step, from 1; 0 while it waits for the group to be live."),
			phase:     desc("weir_rollout_state", "1 for the state of the service's last rollout, 0 for the others.", "state"),
		},
	}
}

func (v *rolloutVecs) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.rollbacks, v.state}
}

// rolloutCollector asks at each scrape.
type rolloutCollector struct {
	evidence, threshold, harm, needs, step, phase *prometheus.Desc

	states []string
	stats  func() []RolloutStat // set once, before the first scrape; nil: no services
}

// Describe implements prometheus.Collector.
func (c *rolloutCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.evidence, c.threshold, c.harm, c.needs, c.step, c.phase} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *rolloutCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		out <- gauge(c.evidence, s.Evidence, s.Service)
		out <- gauge(c.threshold, s.Threshold, s.Service)
		out <- gauge(c.harm, s.Harm, s.Service)
		out <- gauge(c.needs, s.Needs, s.Service)
		out <- gauge(c.step, s.Step, s.Service)
		for _, state := range c.states {
			out <- flag(c.phase, state == s.State, s.Service, state)
		}
	}
}

// SetRolloutStats says where scrapes find rollouts, and which states there are. It is called once, before the first scrape.
func (m *Metrics) SetRolloutStats(states []string, stats func() []RolloutStat) {
	m.rollout.state.states, m.rollout.state.stats = states, stats
}

// Rollout returns the handle of a service, the same one for the same service as long as Forget keeps it. reasons is the closed set that RolledBack will be called with, each
// pre-created at 0; later calls for the same service ignore it.
func (m *Metrics) Rollout(service string, reasons ...string) *Rollout {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.rollouts[service]; ok {
		return r
	}
	r := &Rollout{rollbacks: newReasonCounters(m.rollout.rollbacks, []string{service}, reasons)}
	m.rollouts[service] = r
	return r
}

// RolledBack counts one rollback. A reason outside the set given to Metrics.Rollout counts as "other".
func (r *Rollout) RolledBack(reason string) { r.rollbacks.inc(reason) }

// forgetRolloutsLocked removes the series of services that are not kept. Caller holds Metrics.mu.
func (m *Metrics) forgetRolloutsLocked(keep []string) {
	for service, r := range retired(m.rollouts, setOf(keep)) {
		r.rollbacks.forget(m.rollout.rollbacks)
		delete(m.rollouts, service)
	}
}
