package observe

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Build names the running binary for weir_build_info.
type Build struct {
	Version   string // as `weir version` prints it
	Revision  string // commit
	GoVersion string // runtime.Version()
}

// Result is the outcome of one attempt to reload the configuration, and the value of the label of weir_config_reloads_total.
type Result string

// The outcomes. Unchanged is a good file with the digest of the one in force.
const (
	ReloadSuccess   Result = "success"
	ReloadFailure   Result = "failure"
	ReloadUnchanged Result = "unchanged"
)

// Certificate is one served certificate, for the metrics of its lifetime.
type Certificate struct {
	Subject             string // first DNS name, else the common name
	NotBefore, NotAfter time.Time
}

// Metrics owns the registry and every series of the edge. There is one per process; it outlives reloads and starts no goroutine.
type Metrics struct {
	registry   *prometheus.Registry // of what is small: see package series
	exposition *series.Exposition

	requests    *series.Counters
	duration    *series.Durations
	group       groupVecs
	upstream    upstreamVecs
	limit       limitVecs
	guards      *guardCollector
	concurrency *concurrencyCollector
	queue       queueVecs
	pauses      *pauseCollector
	rollout     rolloutVecs
	shadow      *shadowCollector
	onDemand    *prometheus.CounterVec
	csp         *cspReports
	waf         *wafVecs
	compression *compressionVecs
	http2       *http2Collector
	http3       *http3Collector
	reloads     map[Result]prometheus.Counter // read-only after NewMetrics
	reverts     [2]prometheus.Counter         // success, failure
	incidents   [2]prometheus.Counter         // kept, failed
	lastGood    prometheus.Gauge
	notBefore   *prometheus.GaugeVec
	notAfter    *prometheus.GaugeVec
	logs        logCounters
	cluster     *clusterVecs
	discovery   *discoveryCollector
	overflow    overflow
	traces      *traceCollector
	upgrades    *upgrades
	listeners   *listenerCollector

	// mu guards the maps and the list below, the gone flag of every handle in them, and the creation and removal of children, so that a request that
	// still holds a forgotten handle cannot bring its series back. Taken when the configuration changes and when a request is the first of its
	// kind (a new method, protocol or status on a route); held for map work only, never for I/O.
	mu       sync.Mutex
	routes   map[RouteKey]*Route
	groups   map[GroupKey]*Group
	targets  map[TargetKey]*Upstream
	services map[string]*Service
	limits   map[string]*Limit
	queues   map[string]*Queue
	rollouts map[string]*Rollout
	subjects []string // of the certificates exported
	leftOut  int      // and how many are not
	watches  int      // calls of Watch that have not ended
}

// NewMetrics makes the registry with every series that needs no configuration, at 0, and the Go and process collectors.
func NewMetrics(b Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: series.NewCounters(series.Options{
			Name:   "weir_http_requests_total",
			Help:   "Requests answered. The code is what the client got; 499 is a client that left, 000 an exchange without a status between 100 and 599.",
			Labels: []string{"listener", "route", "method", "code", "proto"},
		}),
		duration: series.NewDurations(series.Options{
			Name:   "weir_http_request_duration_seconds",
			Help:   "Time from a complete request head to the end of the response.",
			Labels: []string{"route"},
		}),
		group:       newGroupVecs(),
		upstream:    newUpstreamVecs(),
		limit:       newLimitVecs(),
		guards:      newGuardCollector(),
		concurrency: newConcurrencyCollector(),
		queue:       newQueueVecs(),
		pauses:      newPauseCollector(),
		rollout:     newRolloutVecs(),
		shadow:      newShadowCollector(),
		onDemand:    newOnDemand(),
		csp:         newCSPReports(),
		waf:         newWAFVecs(),
		compression: newCompressionVecs(),
		http2:       newHTTP2Collector(),
		http3:       newHTTP3Collector(),
		lastGood: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_config_last_reload_successful",
			Help: "1 when the last reload took the file, 0 when it was refused, or taken back unconfirmed: the configuration before it is in force.",
		}),
		notBefore: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_tls_certificate_not_before_timestamp_seconds",
			Help: "When the certificate of which not_after tells began to be valid, in Unix time: how much of a lifetime is left says more than how many days, where lifetimes are 6 days or 90.",
		}, []string{"subject"}),
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_tls_certificate_not_after_timestamp_seconds",
			Help: "When the certificate expires, in Unix time; of several with one subject the earliest.",
		}, []string{"subject"}),
		logs:      newLogCounters(),
		listeners: newListenerCollector(),
		cluster:   newClusterVecs(),
		discovery: newDiscoveryCollector(),
		overflow:  newOverflow(),
		traces:    newTraceCollector(),
		upgrades:  newUpgrades(),
		routes:    map[RouteKey]*Route{},
		groups:    map[GroupKey]*Group{},
		targets:   map[TargetKey]*Upstream{},
		services:  map[string]*Service{},
		limits:    map[string]*Limit{},
		queues:    map[string]*Queue{},
		rollouts:  map[string]*Rollout{},
	}
	m.lastGood.Set(1) // a process that runs was started with a good file
	m.register(b)
	return m
}

// register puts every family into the registry. MustRegister panics only on a name used twice, which the first test of this package meets.
func (m *Metrics) register(b Build) {
	incidents := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_incidents_total",
		Help: "Rollbacks by evidence, harm or tripwire whose circumstances were kept on disk (kept) or could not be (failed).",
	}, []string{"result"})
	m.incidents = [2]prometheus.Counter{incidents.WithLabelValues("kept"), incidents.WithLabelValues("failed")}
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_config_reloads_total",
		Help: "Attempts to reload the configuration, by result: success, failure, unchanged.",
	}, []string{"result"})
	m.reloads = map[Result]prometheus.Counter{}
	for _, r := range []Result{ReloadSuccess, ReloadFailure, ReloadUnchanged} {
		m.reloads[r] = reloads.WithLabelValues(string(r))
	}
	reverts := newReverts()
	m.reverts = [2]prometheus.Counter{reverts.WithLabelValues("success"), reverts.WithLabelValues("failure")}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_build_info",
		Help: "Always 1; the labels name the running binary.",
	}, []string{"version", "revision", "goversion"})
	info.WithLabelValues(b.Version, b.Revision, b.GoVersion).Set(1)

	m.registry.MustRegister(m.group.share, m.lastGood, m.notBefore, m.notAfter, m.listeners, m.http2, m.http3, reloads, reverts, incidents, info)
	m.registry.MustRegister(m.logs.collectors()...)
	m.registry.MustRegister(m.cluster.collectors()...)
	m.registry.MustRegister(m.discovery)
	m.registry.MustRegister(m.upstream.collectors()...)
	m.registry.MustRegister(m.limit.collectors()...)
	m.registry.MustRegister(m.guards, m.concurrency)
	m.registry.MustRegister(m.queue.collectors()...)
	m.registry.MustRegister(m.rollout.collectors()...)
	m.registry.MustRegister(m.onDemand, m.csp.total, m.waf, m.compression.responses, m.compression.in, m.compression.out, m.pauses, m.shadow, m.traces, m.upgrades)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	families := []series.Family{m.requests, m.duration, m.queue.wait, m.cluster.duration, m.overflow.total}
	m.exposition = series.New(m.registry, append(families, m.group.families()...)...)
}

// Registry is where further collectors register themselves.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Gather implements prometheus.Gatherer: every series there is.
func (m *Metrics) Gather() ([]*dto.MetricFamily, error) { return m.exposition.Gather() }

// Handler serves every series as text, as OpenMetrics with exemplars, and as protobuf with native histograms.
func (m *Metrics) Handler() http.Handler { return m.exposition }

// Reload counts one attempt. Unchanged leaves the last-reload gauge at 1: the file on disk is good and in force.
func (m *Metrics) Reload(r Result) error {
	c, ok := m.reloads[r]
	if !ok {
		return fmt.Errorf("count reload: unknown result %q", r)
	}
	c.Inc()
	good := 1.0
	if r == ReloadFailure {
		good = 0
	}
	m.lastGood.Set(good)
	return nil
}

// SetCertificates replaces the whole set of certificate lifetimes.
func (m *Metrics) SetCertificates(certs []Certificate) {
	earliest := make(map[string]Certificate, len(certs))
	for _, c := range certs {
		if e, ok := earliest[c.Subject]; !ok || c.NotAfter.Before(e.NotAfter) {
			earliest[c.Subject] = c
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaveOutLocked(earliest)
	for subject, c := range earliest {
		m.notBefore.WithLabelValues(subject).Set(float64(c.NotBefore.Unix()))
		m.notAfter.WithLabelValues(subject).Set(float64(c.NotAfter.Unix()))
	}
	for _, subject := range m.subjects { // set first, delete after: a scrape in between sees no gap
		if _, ok := earliest[subject]; !ok {
			m.notBefore.DeleteLabelValues(subject)
			m.notAfter.DeleteLabelValues(subject)
		}
	}
	m.subjects = slices.Collect(maps.Keys(earliest))
}

// leaveOutLocked takes those that expire last out of certs where there are more than may be. Caller holds Metrics.mu.
func (m *Metrics) leaveOutLocked(certs map[string]Certificate) {
	out := max(0, len(certs)-mostSubjects)
	for range out - m.leftOut { // as many more as last time
		m.overflow.certificates.Inc()
	}
	m.leftOut = out
	if out == 0 {
		return
	}
	subjects := slices.SortedFunc(maps.Keys(certs), func(a, b string) int {
		return cmp.Or(certs[a].NotAfter.Compare(certs[b].NotAfter), strings.Compare(a, b))
	})
	for _, s := range subjects[mostSubjects:] {
		delete(certs, s)
	}
}
