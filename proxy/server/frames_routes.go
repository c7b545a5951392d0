package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	// busiestRoutes is how many routes a frame tells of for their requests: more than a terminal has lines for, and 4 KiB of each frame where there are 10,000.
	busiestRoutes = 20
	// failingRoutes is how many more it tells of for their failures: a route that few ask for can be the one that is broken.
	failingRoutes = 5
)

// routeTimes are the times of each route that the last frame told of, at that frame and up to latencyFrames before it, oldest first.
type routeTimes map[string][]observe.Times

// routes fills in the routes that are worth a look. The first frame has no rates, and tells of those that were busiest until then: they are what the second most likely tells of.
func (m *meter) routes(f *admin.Frame, totals map[string]observe.RouteTotals) {
	all, per := make([]admin.RouteRates, 0, len(totals)), perSecond(f.Seconds)
	if m.at.IsZero() {
		per = func(now, _ uint64) float64 { return float64(now) }
	}
	for name, a := range totals {
		b := m.before.Routes[name]
		all = append(all, admin.RouteRates{
			Route: name, Requests: per(a.Requests, b.Requests), ClientErrors: per(a.ClientErrors, b.ClientErrors),
			ServerErrors: per(a.ServerErrors, b.ServerErrors), Left: per(a.Left, b.Left),
		})
	}
	f.Routes = worthALook(all)
	f.RoutesOmitted = len(all) - len(f.Routes)
	times := make(routeTimes, len(f.Routes))
	for i := range f.Routes {
		r := &f.Routes[i]
		past := m.times[r.Route]
		if past == nil && !m.at.IsZero() && m.before.Routes[r.Route].Requests == 0 {
			past = []observe.Times{{}} // all that there is has come since the frame before
		}
		past = append(past, totals[r.Route].Times())
		if len(past) > latencyFrames+1 {
			past = slices.Delete(past, 0, 1)
		}
		r.Latency, times[r.Route] = timesOf(past), past
		if m.at.IsZero() {
			*r = admin.RouteRates{Route: r.Route}
		}
	}
	m.times = times
}

// worthALook picks the busiest and, of the others, those that fail most. It reorders list.
func worthALook(list []admin.RouteRates) []admin.RouteRates {
	slices.SortFunc(list, func(a, b admin.RouteRates) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Route, b.Route))
	})
	busiest := slices.Clone(list[:min(len(list), busiestRoutes)])
	others := list[len(busiest):]
	slices.SortStableFunc(others, func(a, b admin.RouteRates) int { return cmp.Compare(b.ServerErrors, a.ServerErrors) })
	for _, r := range others[:min(len(others), failingRoutes)] {
		if r.ServerErrors > 0 {
			busiest = append(busiest, r)
		}
	}
	return busiest
}

// timesOf are the quantiles of what came between the first and the last; nil when nothing did.
func timesOf(past []observe.Times) *admin.Quantiles {
	came := past[len(past)-1].Since(&past[0])
	ms := func(q float64) float64 { return float64(came.Quantile(q)) / float64(time.Millisecond) }
	if came == (observe.Times{}) {
		return nil
	}
	return &admin.Quantiles{P50: ms(0.5), P95: ms(0.95), P99: ms(0.99)}
}
