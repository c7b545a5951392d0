package observe

import "github.com/prometheus/client_golang/prometheus"

// TargetKey names the series of one upstream address in one group.
type TargetKey struct{ Service, Group, Target string }

// Upstream is the state of one target of a group. It is safe for concurrent use and stays valid, though no longer exported, after Forget.
type Upstream struct {
	up        prometheus.Gauge
	ejections reasonCounters
}

// Service counts what belongs to a service as a whole. It is safe for concurrent use and stays valid, though no longer exported, after Forget.
type Service struct {
	retries, hedges reasonCounters
}

type upstreamVecs struct {
	up        *prometheus.GaugeVec
	ejections *prometheus.CounterVec
	retries   *prometheus.CounterVec
	hedges    *prometheus.CounterVec
}

func newUpstreamVecs() upstreamVecs {
	return upstreamVecs{
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_upstream_up",
			Help: "1 when the target is known to be healthy, 0 when it is unhealthy, draining or not yet known.",
		}, []string{"service", "group", "target"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_upstream_ejections_total",
			Help: "Times a target was taken out because of the answers it gave, by reason.",
		}, []string{"service", "group", "target", "reason"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_upstream_retries_total",
			Help: "Attempts after the first, by the reason that the one before failed.",
		}, []string{"service", "reason"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_upstream_hedges_total",
			Help: "Requests that were not answered within the service's hedge.delay, by what came of the second attempt: won (its answer was used), lost (it was not), " +
				"no_peer, no_slot, no_budget (it was not made: no other target, breaker full, retry budget spent).",
		}, []string{"service", "result"}),
	}
}

func (v *upstreamVecs) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.up, v.ejections, v.retries, v.hedges}
}

// Upstream returns the handle of a target, the same one for the same names as long as Forget keeps them. reasons is the closed set that Ejected
// will be called with, each pre-created at 0; later calls for the same target ignore it.
func (m *Metrics) Upstream(service, group, target string, reasons ...string) *Upstream {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := TargetKey{service, group, target}
	if u, ok := m.targets[key]; ok {
		return u
	}
	u := &Upstream{
		up:        m.upstream.up.WithLabelValues(service, group, target),
		ejections: newReasonCounters(m.upstream.ejections, []string{service, group, target}, reasons),
	}
	m.targets[key] = u
	return u
}

// SetUp states whether the target is known to be healthy.
func (u *Upstream) SetUp(healthy bool) {
	if healthy {
		u.up.Set(1)
	} else {
		u.up.Set(0)
	}
}

// Ejected counts one ejection. A reason outside the set given to Upstream counts as "other".
func (u *Upstream) Ejected(reason string) { u.ejections.inc(reason) }

// Service returns the handle of a service, the same one for the same name as long as Forget keeps it. reasons is the closed set that Retried will be
// called with, each pre-created at 0; later calls for the same service ignore it.
func (m *Metrics) Service(service string, reasons ...string) *Service {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.services[service]; ok {
		return s
	}
	s := &Service{retries: newReasonCounters(m.upstream.retries, []string{service}, reasons)}
	m.services[service] = s
	return s
}

// Retried counts one attempt after the first. A reason outside the set given to Service counts as "other".
func (s *Service) Retried(reason string) { s.retries.inc(reason) }

// CountHedges readies the service for Hedged, with the closed set of results, each pre-created at 0. It is called before the first Hedged; later calls do nothing.
func (m *Metrics) CountHedges(s *Service, service string, results ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.hedges.counters == nil {
		s.hedges = newReasonCounters(m.upstream.hedges, []string{service}, results)
	}
}

// Hedged counts what came of a request that was not answered within its service's delay, if anything did: "" is nothing yet.
func (s *Service) Hedged(result string) {
	if result != "" {
		s.hedges.inc(result)
	}
}

// forgetLocked removes the target's series. Caller holds Metrics.mu.
func (u *Upstream) forgetLocked(m *Metrics, key TargetKey) {
	m.upstream.up.DeleteLabelValues(key.Service, key.Group, key.Target)
	u.ejections.forget(m.upstream.ejections)
}

// reasonCounters is a small closed set of counters, searched in order: a handful of short strings is found faster than hashed.
type reasonCounters struct {
	labels   []string // the labels before reason
	reasons  []string // reasons[0] is "other"
	counters []prometheus.Counter
}

func newReasonCounters(vec *prometheus.CounterVec, labels, reasons []string) reasonCounters {
	r := reasonCounters{labels: labels, reasons: append([]string{"other"}, reasons...)}
	for _, reason := range r.reasons {
		r.counters = append(r.counters, vec.WithLabelValues(r.with(reason)...))
	}
	return r
}

func (r *reasonCounters) inc(reason string) {
	for i, name := range r.reasons {
		if name == reason {
			r.counters[i].Inc()
			return
		}
	}
	r.counters[0].Inc()
}

func (r *reasonCounters) forget(vec *prometheus.CounterVec) {
	for _, reason := range r.reasons {
		vec.DeleteLabelValues(r.with(reason)...)
	}
}

func (r *reasonCounters) with(reason string) []string {
	return append(append([]string(nil), r.labels...), reason)
}
