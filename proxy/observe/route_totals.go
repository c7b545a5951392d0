package observe

import (
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe/series"
)

// RouteTotals are the answers of one route, on all its listeners.
type RouteTotals struct {
	Answers
	duration *series.Duration
}

// Times are what a route's histogram has counted until some moment.
type Times = series.Times

// Times are how long the route's requests took from a complete request head to the end of the response, all there were until now.
func (t RouteTotals) Times() Times { return t.duration.Times() }

// routeTotals adds up every route. Metrics.mu is held for the list alone and not while 10,000 routes are read: a request that is the first of its kind waits for it.
func (m *Metrics) routeTotals() map[string]RouteTotals {
	m.mu.Lock()
	list := make([]*Route, 0, len(m.routes))
	for _, r := range m.routes {
		list = append(list, r)
	}
	m.mu.Unlock()
	totals := make(map[string]RouteTotals, len(list))
	for _, r := range list {
		t := totals[r.key.Route]
		t.duration = r.duration
		for i := range r.counters {
			if set := r.counters[i].Load(); set != nil {
				set.read(t.add)
			}
		}
		var odd *series.Counter
		if set := r.counters[slot(message.MethodOther, 0)].Load(); set != nil {
			odd = set.find(0)
		}
		t.addRest(&r.kinds, odd)
		totals[r.key.Route] = t
	}
	return totals
}
