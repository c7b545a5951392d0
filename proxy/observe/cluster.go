package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// ClusterOperation is what is asked of the replicas' common store, and a label's value.
type ClusterOperation string

// The operations.
const (
	ClusterBeat         ClusterOperation = "heartbeat"
	ClusterLimits       ClusterOperation = "limits"
	ClusterCertificates ClusterOperation = "certificates"
	ClusterTickets      ClusterOperation = "tickets"
	ClusterOverlay      ClusterOperation = "overlay"
	ClusterRollout      ClusterOperation = "rollout"
)

func clusterOperations() []ClusterOperation {
	return []ClusterOperation{ClusterBeat, ClusterLimits, ClusterCertificates, ClusterTickets, ClusterOverlay, ClusterRollout}
}

// ClusterStat is the link to the other replicas at the time of a scrape.
type ClusterStat struct {
	Up        bool
	Replicas  int
	Waiting   int    // keys of limits to be settled
	Revision  uint64 // of the overlay in force; 0: none is shared yet
	Overflows uint64 // times that one had to wait longer because too many did, since the link was made
}

// Cluster counts exchanges with the replicas' common store.
type Cluster struct {
	duration map[ClusterOperation]*series.Duration   // read-only
	failed   map[ClusterOperation]prometheus.Counter // read-only
}

// Done counts an exchange that was answered.
func (c *Cluster) Done(o ClusterOperation, took time.Duration) { c.duration[o].Observe(took) }

// Failed counts one that was not.
func (c *Cluster) Failed(o ClusterOperation) { c.failed[o].Inc() }

// clusterVecs is the cluster's families. The gauges are asked at each scrape and are there only where a cluster is configured, so that an alert on
// weir_cluster_up == 0 is silent without one.
type clusterVecs struct {
	handle       *Cluster
	duration     *series.Durations
	errors       *prometheus.CounterVec
	up, replicas *prometheus.Desc
	revision     *prometheus.Desc
	waiting      *prometheus.Desc
	overflows    *prometheus.Desc
	stat         func() (ClusterStat, bool) // set once, before the first scrape; nil: no cluster
}

func newClusterVecs() *clusterVecs {
	v := &clusterVecs{
		handle: &Cluster{duration: map[ClusterOperation]*series.Duration{}, failed: map[ClusterOperation]prometheus.Counter{}},
		duration: series.NewDurations(series.Options{
			Name:   "weir_cluster_request_duration_seconds",
			Help:   "Time that Redis took to answer, by what it was asked for. No client's request waits for it.",
			Labels: []string{"operation"},
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_cluster_errors_total",
			Help: "Exchanges with Redis that failed or took too long, by what was asked for. What is not tried because Redis is known to be away is not counted.",
		}, []string{"operation"}),
		up:       prometheus.NewDesc("weir_cluster_up", "1 when Redis answers; 0: what replicas share goes on in each alone. Absent without [cluster].", nil, nil),
		replicas: prometheus.NewDesc("weir_cluster_replicas", "Replicas that have signed on at Redis in the last five seconds, this one included, at the last look. Absent without [cluster].", nil, nil),
	}
	v.revision = prometheus.NewDesc("weir_cluster_overlay_revision",
		"Number of the replicas' common overlay (weights, drains, rollouts) that is in force here, at the last look; 0: none is shared yet. Absent without [cluster].", nil, nil)
	v.waiting = prometheus.NewDesc("weir_limit_shared_waiting", "Keys of shared limits that wait to be settled with Redis. Absent without [cluster].", nil, nil)
	v.overflows = prometheus.NewDesc("weir_limit_shared_overflows_total",
		"Times that a key of a shared limit found no room to wait for its settlement and gave its share meanwhile. Absent without [cluster].", nil, nil)
	for _, o := range clusterOperations() {
		v.handle.duration[o] = v.duration.With(string(o))
		v.handle.failed[o] = v.errors.WithLabelValues(string(o))
	}
	return v
}

func (v *clusterVecs) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.errors, v}
}

// Describe implements prometheus.Collector.
func (v *clusterVecs) Describe(out chan<- *prometheus.Desc) {
	out <- v.up
	out <- v.replicas
	out <- v.revision
	out <- v.waiting
	out <- v.overflows
}

// Collect implements prometheus.Collector.
func (v *clusterVecs) Collect(out chan<- prometheus.Metric) {
	if v.stat == nil {
		return
	}
	stat, ok := v.stat()
	if !ok {
		return
	}
	out <- flag(v.up, stat.Up)
	out <- gauge(v.replicas, stat.Replicas)
	out <- gauge(v.revision, stat.Revision)
	out <- gauge(v.waiting, stat.Waiting)
	out <- counter(v.overflows, stat.Overflows)
}

// SetClusterStat says where scrapes find the state of the link; false: there is no cluster. It is called once, before the first scrape.
func (m *Metrics) SetClusterStat(stat func() (ClusterStat, bool)) { m.cluster.stat = stat }

// Cluster is the handle of the exchanges' counts.
func (m *Metrics) Cluster() *Cluster { return m.cluster.handle }
