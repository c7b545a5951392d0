package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	// framePeriod is fast enough to see what one's own hand does and slow enough that a frame costs nothing that matters.
	framePeriod = time.Second
	// latencyFrames is how many frames quantiles are over. A 99th percentile of one second at 50 requests per second would be its slowest request.
	latencyFrames = 10
	// firstCertificates is how many certificates a frame shows.
	firstCertificates = 10
)

// meter makes rates of counters for one watch. Owned by the goroutine that Frames is called on.
type meter struct {
	s      *Server
	at     time.Time // of before; monotonic
	before observe.Totals
	recent []observe.Totals // whose latencies quantiles are measured from, oldest first
	times  routeTimes       // the same of the routes that were told of
	failed uint64           // number of the last failure told
}

// Frames implements admin.Control.
func (c control) Frames(ctx context.Context, emit func(admin.Frame)) {
	defer c.s.metrics.Watch()()
	tick := time.NewTicker(framePeriod)
	defer tick.Stop()
	m := &meter{s: c.s}
	for ctx.Err() == nil {
		emit(m.frame(time.Now()))
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Errors implements admin.Control.
func (c control) Errors() admin.RequestErrors {
	list, passed := c.s.failures.Since(0)
	return admin.RequestErrors{Passed: passed, Errors: describeFailures(list)}
}

// frame is what happened since the one before.
func (m *meter) frame(now time.Time) admin.Frame {
	totals := m.s.metrics.Totals()
	first := m.at.IsZero()
	if first {
		m.before = totals
		list, _ := m.s.failures.Since(0)
		if n := len(list); n > 0 { // those of the time before the watch are asked for by GET /v1/errors
			m.failed = list[n-1].Number
		}
	}
	f := admin.Frame{At: now.UTC(), Status: m.s.status()}
	if !first {
		f.Seconds = now.Sub(m.at).Seconds()
	}
	m.recent = append(m.recent, observe.Totals{Groups: totals.Groups})
	if len(m.recent) > latencyFrames+1 {
		m.recent = slices.Delete(m.recent, 0, 1)
	}
	m.rates(&f, totals)
	m.routes(&f, totals.Routes)
	f.Certificates = summary(control{m.s}.Certificates())
	list, _ := m.s.failures.Since(m.failed)
	if n := len(list); n > 0 {
		m.failed = list[n-1].Number
	}
	f.Errors = describeFailures(list)
	m.at, m.before = now, totals
	return f
}

// rates fills in what is counted per second.
func (m *meter) rates(f *admin.Frame, totals observe.Totals) {
	per := perSecond(f.Seconds)
	f.Groups, f.Ended, f.Limits = []admin.GroupRates{}, []admin.ReasonRate{}, []admin.LimitRates{} // never null
	for _, service := range f.Status.Services {
		for _, group := range service.Groups {
			key := observe.GroupKey{Service: service.Name, Group: group.Name}
			a, b := totals.Groups[key], m.before.Groups[key]
			g := admin.GroupRates{
				Service: service.Name, Group: group.Name, Requests: per(a.Requests, b.Requests),
				ClientErrors: per(a.ClientErrors, b.ClientErrors), ServerErrors: per(a.ServerErrors, b.ServerErrors), Left: per(a.Left, b.Left),
				Latency: quantiles(a.Latencies, m.recent[0].Groups[key].Latencies),
			}
			for _, t := range group.Targets {
				g.InFlight += t.InFlight
			}
			f.Groups = append(f.Groups, g)
		}
	}
	for _, l := range f.Status.Listeners {
		f.Connections.Open += l.Connections
	}
	f.Connections.Accepted, f.Connections.Refused = per(totals.Accepted, m.before.Accepted), per(totals.Refused, m.before.Refused)
	for reason, n := range totals.Ended {
		if rate := per(n, m.before.Ended[reason]); rate > 0 {
			f.Ended = append(f.Ended, admin.ReasonRate{Reason: reason, PerSecond: rate})
		}
	}
	slices.SortFunc(f.Ended, func(a, b admin.ReasonRate) int {
		return cmp.Or(cmp.Compare(b.PerSecond, a.PerSecond), cmp.Compare(a.Reason, b.Reason))
	})
	for name, l := range totals.Limits {
		b := m.before.Limits[name]
		f.Limits = append(f.Limits, admin.LimitRates{Name: name, Allowed: per(l.Allowed, b.Allowed), Limited: per(l.Limited, b.Limited), DryRun: per(l.DryRun, b.DryRun)})
	}
	slices.SortFunc(f.Limits, func(a, b admin.LimitRates) int { return cmp.Compare(a.Name, b.Name) })
}

// perSecond makes rates of counters over that many seconds.
func perSecond(seconds float64) func(now, before uint64) float64 {
	return func(now, before uint64) float64 {
		if seconds <= 0 || now < before { // what it counts has left the configuration and come again
			return 0
		}
		return float64(now-before) / seconds
	}
}

// quantiles are those of what came to a histogram; nil when nothing did.
func quantiles(now, before []uint64) *admin.Quantiles {
	if now == nil {
		return nil
	}
	came, some := make([]uint64, len(now)), false
	for i, n := range now {
		if came[i] = n; before != nil {
			came[i] -= min(n, before[i]) // fewer: the group has left the configuration and come again
		}
		some = some || came[i] > 0
	}
	if !some {
		return nil
	}
	ms := func(q float64) float64 {
		return float64(balancer.LatencyQuantile(came, q).Microseconds()) / 1000
	}
	return &admin.Quantiles{P50: ms(0.5), P95: ms(0.95), P99: ms(0.99)}
}

// summary picks what needs a look first.
func summary(list []admin.Certificate) admin.CertificateSummary {
	s := admin.CertificateSummary{Total: len(list)}
	well := func(c admin.Certificate) int {
		if c.State == "valid" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(list, func(a, b admin.Certificate) int {
		return cmp.Or(cmp.Compare(well(a), well(b)), a.NotAfter.Compare(b.NotAfter))
	})
	s.First = list[:min(len(list), firstCertificates)]
	return s
}

func describeFailures(list []observe.Failure) []admin.RequestError {
	errs := make([]admin.RequestError, len(list))
	for i, f := range list {
		errs[i] = admin.RequestError{
			Number: f.Number, At: f.Time.UTC(), Client: f.Client.String(), Method: f.Method, Host: f.Host, Path: f.Path, Status: f.Status,
			Route: f.Route, Service: f.Service, Group: f.Group, Target: f.Peer, Reason: f.Reason, Error: f.Error, RequestID: f.RequestID,
		}
	}
	return errs
}
