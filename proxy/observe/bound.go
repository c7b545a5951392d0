package observe

import (
	"sync/atomic"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Requests make series: the first of its kind, which is a method, a protocol and a status, on its route. Clients choose the first two and upstreams the third among 500, so that
// what all of them together could make is 25,000 on each route and listener. These are what they get. Real traffic has a dozen or two.
const (
	mostKinds    = 250     // of a route on a listener, or of a group
	mostKindsAll = 200_000 // of all of them: some 100 MB with all that belongs to them, and 20 ms of a scrape
	// mostSubjects bounds certificates, of which TLS on demand gets one for each name that clients ask for and may have.
	mostSubjects = 10_000
)

// overflow counts what has no series of its own, by family.
type overflow struct {
	total                          *series.Counters
	requests, groups, certificates *series.Counter

	kinds atomic.Int64 // series that requests have made; written under Metrics.mu
}

func newOverflow() overflow {
	v := series.NewCounters(series.Options{
		Name: "weir_metrics_overflow_total",
		Help: "What has no series of its own because a family is at its bound: requests, which are counted under the code 000 instead (of a route, under the method OTHER), and " +
			"certificates, of which those that expire last are left out.",
		Labels: []string{"family"},
	})
	return overflow{
		total: v, requests: v.With("weir_http_requests_total"), groups: v.With("weir_group_requests_total"),
		certificates: v.With("weir_tls_certificate_not_after_timestamp_seconds"),
	}
}

// kinds are the series of one route or group that requests have made.
type kinds struct {
	n    atomic.Int64                   // written under Metrics.mu
	rest atomic.Pointer[series.Counter] // of those beyond the bound; nil until there is one; written under Metrics.mu
}

// beyond is the counter of a request whose kind has no series and may not have one, nil when it may. It takes no lock: a flood of new kinds would wait in line for it.
func (k *kinds) beyond(all *overflow, folded *series.Counter) *series.Counter {
	c := k.rest.Load()
	if c == nil || !k.full(all) {
		return nil
	}
	folded.Inc()
	return c
}

func (k *kinds) full(all *overflow) bool {
	return k.n.Load() >= mostKinds || all.kinds.Load() >= mostKindsAll
}

// addLocked counts a new series. Caller holds Metrics.mu.
func (k *kinds) addLocked(all *overflow) {
	k.n.Add(1)
	all.kinds.Add(1)
}

// forgetLocked takes all of them out of the count. Caller holds Metrics.mu.
func (k *kinds) forgetLocked(all *overflow) { all.kinds.Add(-k.n.Load()) }
