// Package metrics is what the API service tells Prometheus: its own registry, every series present
// at zero from the first scrape, and no label value that a client chooses.
package metrics

import (
	"database/sql"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Pool is the state of one database connection pool.
type Pool struct {
	Name  string
	Stats sql.DBStats
}

// Options names the process, and says where to read the pools at every scrape.
type Options struct {
	Version, Color string
	Pools          func() []Pool
	Sessions       func() float64 // nil: there is no such series
	Cache          func() Cache   // nil: there are no such series
}

// Logins are the results of attempts to log in.
type Logins struct{ OK, Refused prometheus.Counter }

// Metrics holds the registry and the children that handlers count on. It has nothing to close.
type Metrics struct {
	RunsCreated prometheus.Counter
	DCFValid    prometheus.Counter
	DCFInvalid  prometheus.Counter

	Logins Logins

	Sockets *Sockets
	Market  *Market

	computations *prometheus.CounterVec

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

// New builds the registry. It panics on a duplicate name, which only a change of this file can cause.
func New(o Options) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{registry: r, Sockets: newSockets(r), Market: newMarket(r)}
	r.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), poolCollector(o.Pools))

	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "valor_build_info",
		Help: "Always 1; the labels say which build and colour this is."}, []string{"version", "color"})
	build.WithLabelValues(o.Version, o.Color).Set(1)

	m.RunsCreated = prometheus.NewCounter(prometheus.CounterOpts{Name: "valor_runs_created_total",
		Help: "Runs saved and acknowledged."})
	valuations := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_dcf_valuations_total",
		Help: "DCF requests by result: ok, or invalid inputs."}, []string{"result"})
	m.DCFValid, m.DCFInvalid = valuations.WithLabelValues("ok"), valuations.WithLabelValues("invalid")

	logins := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_logins_total",
		Help: "Attempts to log in by result: ok, or refused for a wrong name or password."}, []string{"result"})
	m.Logins = Logins{logins.WithLabelValues("ok"), logins.WithLabelValues("refused")}
	r.MustRegister(logins)
	if o.Sessions != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "valor_sessions_active",
			Help: "Logins whose refresh token is still good, of all instances on this database; NaN while it does not answer."}, o.Sessions))
	}

	if o.Cache != nil {
		r.MustRegister(cacheCollector(o.Cache))
	}

	m.computations = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_computations_total",
		Help: "Computations by engine and result: ok, invalid inputs, or canceled by the client. DCF has its own series."}, []string{"engine", "result"})

	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "valor_http_requests_total",
		Help: "Requests answered, by route pattern and class of status code."},
		[]string{"method", "route", "code"})
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "valor_http_request_duration_seconds",
		Help: "Time from the request head to the end of the answer, by route pattern.",
		// A valuation takes tens of microseconds, a page of runs a few milliseconds.
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"method", "route"})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{Name: "valor_http_requests_in_flight",
		Help: "Requests being answered."})
	r.MustRegister(build, m.RunsCreated, valuations, m.computations, m.requests, m.duration, m.inFlight)
	return m
}

// Handler serves the registry.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Computation is the resolved children of one engine.
type Computation struct {
	OK, Invalid, Canceled prometheus.Counter
}

// Computation resolves, and thereby creates at zero, the series of one engine.
func (m *Metrics) Computation(engine string) Computation {
	of := func(result string) prometheus.Counter { return m.computations.WithLabelValues(engine, result) }
	return Computation{of("ok"), of("invalid"), of("canceled")}
}

// Began counts a request in flight until the returned Route observes it.
func (m *Metrics) Began() { m.inFlight.Inc() }

// Route is the resolved children of one route.
type Route struct {
	classes  [6]prometheus.Counter // index 2 is 2xx; 0 stays nil
	duration prometheus.Observer
	inFlight prometheus.Gauge
}

// Route resolves, and thereby creates at zero, the series of one route.
func (m *Metrics) Route(method, pattern string) *Route {
	r := &Route{duration: m.duration.WithLabelValues(method, pattern), inFlight: m.inFlight}
	for class, name := range [6]string{1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"} {
		if name != "" {
			r.classes[class] = m.requests.WithLabelValues(method, pattern, name)
		}
	}
	return r
}

// Done counts one finished request. A code outside 200..599 counts as 5xx: it is our mistake, but for 101, the life of a connection, which says nothing about
// how long answers take.
func (r *Route) Done(code int, took time.Duration) {
	r.inFlight.Dec()
	if code == http.StatusSwitchingProtocols {
		r.classes[1].Inc()
		return
	}
	class := code / 100
	if class < 2 || class > 5 {
		class = 5
	}
	r.classes[class].Inc()
	r.duration.Observe(took.Seconds())
}
