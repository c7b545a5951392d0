package observe

import "github.com/prometheus/client_golang/prometheus"

// Inventory is everything in the configuration that has series of its own.
type Inventory struct {
	Listeners []string
	Routes    []RouteKey
	Services  []string
	Groups    []GroupKey
	Targets   []TargetKey
	Limits    []string
	Queues    []string // services with a breaker
}

// Forget removes the series of everything that keep does not name: after a reload with what is now in force, after a failed one with what stayed.
// Handles that requests still hold keep working and are exported no more. A listener stays until its last connection has ended.
func (m *Metrics) Forget(keep Inventory) {
	m.listeners.retain(keep.Listeners)

	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetRoutesLocked(setOf(keep.Routes))
	m.forgetQueuesLocked(keep.Queues)
	m.forgetRolloutsLocked(keep.Services)
	for key, g := range retired(m.groups, setOf(keep.Groups)) {
		g.forgetLocked()
		delete(m.groups, key)
	}
	for key, u := range retired(m.targets, setOf(keep.Targets)) {
		u.forgetLocked(m, key)
		delete(m.targets, key)
	}
	for name := range retired(m.limits, setOf(keep.Limits)) {
		m.limit.decisions.DeletePartialMatch(prometheus.Labels{"limit": name})
		delete(m.limits, name)
	}
	for name, s := range retired(m.services, setOf(keep.Services)) {
		s.retries.forget(m.upstream.retries)
		s.hedges.forget(m.upstream.hedges)
		delete(m.services, name)
	}
}

// forgetRoutesLocked removes a route's durations only with the last listener that has it: the histogram carries no listener label.
func (m *Metrics) forgetRoutesLocked(keep map[RouteKey]bool) {
	gone := retired(m.routes, keep)
	for key, r := range gone {
		r.forgetLocked()
		delete(m.routes, key)
	}
	shared := make(map[string]bool, len(m.routes))
	for key := range m.routes {
		shared[key.Route] = true
	}
	for key := range gone {
		if !shared[key.Route] {
			m.duration.Delete(key.Route)
		}
	}
}

func setOf[K comparable](list []K) map[K]bool {
	set := make(map[K]bool, len(list))
	for _, k := range list {
		set[k] = true
	}
	return set
}

// retired returns the entries of have whose keys are not in keep.
func retired[K comparable, V any](have map[K]V, keep map[K]bool) map[K]V {
	out := map[K]V{}
	for k, v := range have {
		if !keep[k] {
			out[k] = v
		}
	}
	return out
}
