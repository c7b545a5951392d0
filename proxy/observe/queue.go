package observe

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Queue counts what a service's breaker made of requests that it could not let through at once. It is safe for concurrent use and stays valid, though no longer
// exported, after Forget.
type Queue struct {
	wait *series.Duration
	shed []reasonCounters // by priority
}

// QueueStat is a service's breaker at the time of a scrape.
type QueueStat struct {
	Service  string
	InFlight int64
	Waiting  []int // by priority, as given to Metrics.Queue
}

// QueueOptions names what a service's breaker counts by: closed sets, pre-created at 0.
type QueueOptions struct {
	Service    string
	Priorities []string
	Reasons    []string
}

type queueVecs struct {
	wait  *series.Durations
	shed  *prometheus.CounterVec
	state *queueCollector
}

func newQueueVecs() queueVecs {
	return queueVecs{
		wait: series.NewDurations(series.Options{
			Name:   "weir_queue_wait_seconds",
			Help:   "Time that a request spent in the queue of its service's breaker, however it ended. Requests that found a slot at once are not counted.",
			Labels: []string{"service"},
		}),
		shed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_shed_total",
			Help: "Requests refused with 503 by a service's breaker: queue_full, queue_timeout, overloaded (a newer or more important one was given the place).",
		}, []string{"service", "reason", "priority"}),
		state: &queueCollector{
			inFlight: prometheus.NewDesc("weir_service_requests_in_flight", "Requests that hold a slot of the service's breaker now. Only for services with one.", []string{"service"}, nil),
			length:   prometheus.NewDesc("weir_queue_length", "Requests that wait for a slot of the service's breaker now.", []string{"service", "priority"}, nil),
		},
	}
}

func (v *queueVecs) collectors() []prometheus.Collector {
	return []prometheus.Collector{v.shed, v.state}
}

// queueCollector asks at each scrape, so that requests count nothing for it.
type queueCollector struct {
	inFlight, length *prometheus.Desc
	priorities       []string
	stats            func() []QueueStat // set once, before the first scrape; nil: no breakers
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.inFlight
	out <- c.length
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(out chan<- prometheus.Metric) {
	if c.stats == nil {
		return
	}
	for _, s := range c.stats() {
		out <- gauge(c.inFlight, s.InFlight, s.Service)
		for i, n := range s.Waiting {
			out <- gauge(c.length, n, s.Service, c.priorities[i])
		}
	}
}

// SetQueueStats says where scrapes find the state of breakers, whose Waiting is by these priorities. It is called once, before the first scrape.
func (m *Metrics) SetQueueStats(priorities []string, stats func() []QueueStat) {
	m.queue.state.priorities, m.queue.state.stats = priorities, stats
}

// Queue returns the handle of a service's breaker, the same one for the same service as long as Forget keeps it, with its series at 0.
func (m *Metrics) Queue(o QueueOptions) *Queue {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q, ok := m.queues[o.Service]; ok {
		return q
	}
	q := &Queue{wait: m.queue.wait.With(o.Service)}
	for _, p := range o.Priorities {
		vec := m.queue.shed.MustCurryWith(prometheus.Labels{"priority": p})
		q.shed = append(q.shed, newReasonCounters(vec, []string{o.Service}, o.Reasons))
	}
	m.queues[o.Service] = q
	return q
}

// Waited observes the end of one wait.
func (q *Queue) Waited(d time.Duration) { q.wait.Observe(d) }

// Shed counts one refusal of a request of that priority, an index into QueueOptions.Priorities. A reason outside the set counts as "other".
func (q *Queue) Shed(priority int, reason string) { q.shed[priority].inc(reason) }

// forgetQueuesLocked removes the series of breakers that are not kept. Caller holds Metrics.mu.
func (m *Metrics) forgetQueuesLocked(keep []string) {
	for service := range retired(m.queues, setOf(keep)) {
		m.queue.wait.Delete(service)
		m.queue.shed.DeletePartialMatch(prometheus.Labels{"service": service})
		delete(m.queues, service)
	}
}
