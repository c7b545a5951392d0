package observe

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// GroupKey names the series of one group (colour) of a service.
type GroupKey struct{ Service, Group string }

// Group counts what one group of a service answered and how long its upstreams took. It is safe for concurrent use and stays valid, though no longer
// exported, after Forget.
type Group struct {
	key     GroupKey
	metrics *Metrics

	connect, header, response *series.Duration
	configured, observed      prometheus.Gauge

	kinds kinds
	codes codeCounters              // written under Metrics.mu, read without
	fine  atomic.Pointer[latencies] // nil while nobody watches; written under Metrics.mu, read without

	gone bool // guarded by Metrics.mu
}

type groupVecs struct {
	requests                  *series.Counters
	share                     *prometheus.GaugeVec
	connect, header, response *series.Durations
}

func newGroupVecs() groupVecs {
	labels := []string{"service", "group"}
	histogram := func(name, help string) *series.Durations {
		return series.NewDurations(series.Options{Name: name, Help: help, Labels: labels})
	}
	return groupVecs{
		requests: series.NewCounters(series.Options{
			Name:   "weir_group_requests_total",
			Help:   "Client requests by the group that was answering, each counted once however many attempts it took.",
			Labels: []string{"service", "group", "code"},
		}),
		share: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_group_share",
			Help: "The group's part of its service's requests, 0 to 1: kind configured is the weight in force, observed what was assigned under it, an assignment counting half after 30 s.",
		}, []string{"service", "group", "kind"}),
		connect: histogram("weir_upstream_connect_duration_seconds",
			"Time to open a new upstream connection, TLS included. A reused connection is not counted."),
		header: histogram("weir_upstream_header_duration_seconds",
			"Time from the request sent to the upstream's final response head."),
		response: histogram("weir_upstream_response_duration_seconds",
			"Time from the start of an attempt to the end of the upstream's response body."),
	}
}

func (v *groupVecs) families() []series.Family {
	return []series.Family{v.requests, v.connect, v.header, v.response}
}

// Group returns the handle of a group, the same one for the same names as long as Forget keeps them. Its code 200 series and its shares start at 0.
func (m *Metrics) Group(service, group string) *Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := GroupKey{service, group}
	if g, ok := m.groups[key]; ok {
		return g
	}
	g := &Group{
		key: key, metrics: m,
		connect:    m.group.connect.With(service, group),
		header:     m.group.header.With(service, group),
		response:   m.group.response.With(service, group),
		configured: m.group.share.WithLabelValues(service, group, "configured"),
		observed:   m.group.share.WithLabelValues(service, group, "observed"),
	}
	m.groups[key] = g
	if m.watches > 0 {
		g.fine.Store(new(latencies))
	}
	g.createLocked(200)
	return g
}

// Done counts one client request that this group answered, or failed to, with the status the client got.
func (g *Group) Done(code int) {
	if c := g.codes.find(code); c != nil {
		c.Inc()
		return
	}
	c := g.kinds.beyond(&g.metrics.overflow, g.metrics.overflow.groups)
	if c == nil {
		c = g.create(code)
	}
	c.Inc()
}

// Connect observes the opening of one new upstream connection.
func (g *Group) Connect(d time.Duration) { g.connect.Observe(d) }

// Header observes how long one attempt waited for the response head.
func (g *Group) Header(d time.Duration) {
	g.header.Observe(d)
	g.observe(d)
}

// Response observes one whole attempt, body included.
func (g *Group) Response(d time.Duration) { g.response.Observe(d) }

// SetConfiguredShare states the weight in force as a fraction, 0 to 1.
func (g *Group) SetConfiguredShare(fraction float64) { g.configured.Set(fraction) }

// SetObservedShare states what part of the service's recent requests the group got, 0 to 1.
func (g *Group) SetObservedShare(fraction float64) { g.observed.Set(fraction) }

// create makes the series of a request that is the first with its code, or finds the one for those that get none.
func (g *Group) create(code int) *series.Counter {
	m := g.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := g.codes.find(code); c != nil {
		return c // another request was first
	}
	if !g.gone && g.kinds.full(&m.overflow) {
		c := m.group.requests.With(g.key.Service, g.key.Group, oddCode)
		g.kinds.rest.Store(c)
		m.overflow.groups.Inc()
		return c
	}
	if !g.gone {
		g.kinds.addLocked(&m.overflow)
	}
	return g.createLocked(code)
}

// createLocked makes a series that there is none of yet.
func (g *Group) createLocked(code int) *series.Counter {
	c := new(series.Counter) // that nobody exports, for requests that end after their group has left the configuration
	if !g.gone {
		c = g.metrics.group.requests.With(g.key.Service, g.key.Group, codeLabel(code))
	}
	g.codes.put(code, c)
	return c
}

func (g *Group) forgetLocked() {
	g.gone = true
	v, service, group := &g.metrics.group, g.key.Service, g.key.Group
	g.kinds.forgetLocked(&g.metrics.overflow)
	if g.kinds.rest.Load() != nil {
		v.requests.Delete(service, group, oddCode)
	}
	g.codes.read(func(code int, _ *series.Counter) { v.requests.Delete(service, group, codeLabel(code)) })
	v.share.DeleteLabelValues(service, group, "configured")
	v.share.DeleteLabelValues(service, group, "observed")
	v.connect.Delete(service, group)
	v.header.Delete(service, group)
	v.response.Delete(service, group)
}
