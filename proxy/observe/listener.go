package observe

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Listener counts the connections of one listener and the requests on them. A connection that carries one request at a time (HTTP/1) calls
// Accepted, then RequestBegin and RequestEnd around each exchange, then Closed: two atomic adds a request, from which active, idle and
// in-flight all follow. It is safe for concurrent use.
type Listener struct {
	name string

	accepted atomic.Uint64              // connections ever, written by Accepted
	open     atomic.Int64               // connections now, written by Accepted and Closed
	refused  [refusals]atomic.Uint64    // written by Refused
	retried  atomic.Uint64              // written by Retried
	evicted  atomic.Uint64              // written by Evicted
	ended    [mostReasons]atomic.Uint64 // written by Ended
	_        [64]byte                   // keeps what every request writes off the cache line that every accept writes
	busy     atomic.Int64               // requests now, written by RequestBegin and RequestEnd

	tls handshakes

	leaving bool // guarded by listenerCollector.mu: out of the configuration, still has connections
}

// Listener returns the handle of a listener, the same one for the same name.
func (m *Metrics) Listener(name string) *Listener { return m.listeners.get(name) }

// Accepted counts a new connection.
func (l *Listener) Accepted() {
	l.accepted.Add(1)
	l.open.Add(1)
}

// Closed counts the end of a connection; every Accepted has one.
func (l *Listener) Closed() { l.open.Add(-1) }

// Retried counts a client that was asked to prove its address before it could become a connection.
func (l *Listener) Retried() { l.retried.Add(1) }

// RequestBegin marks the connection active: its request head is complete.
func (l *Listener) RequestBegin() { l.busy.Add(1) }

// RequestEnd marks the connection idle again; every RequestBegin has one, before Closed.
func (l *Listener) RequestEnd() { l.busy.Add(-1) }

// listenerCollector turns the listeners' atomics into metrics when they are scraped, so that a request pays for an integer add and not for a
// gauge's compare-and-swap loop on a float.
type listenerCollector struct {
	connections, accepted, refused, retried, evicted, ended, inFlight *prometheus.Desc
	handshakes                                                        handshakeDescs
	reasons                                                           []string // set once, before the first scrape

	// mu guards the list and the leaving flags. Held by scrapes and configuration changes, never by a request.
	mu     sync.Mutex
	byName map[string]*Listener
}

func newListenerCollector() *listenerCollector {
	return &listenerCollector{
		connections: prometheus.NewDesc("weir_connections",
			"Client connections now: active has a request in flight, idle waits for one.", []string{"listener", "state"}, nil),
		accepted: prometheus.NewDesc("weir_connections_accepted_total",
			"Client connections accepted.", []string{"listener"}, nil),
		refused: prometheus.NewDesc("weir_connections_refused_total",
			"Client connections closed before they could carry a request, by reason: proxy_protocol (a sender of PROXY headers began without a valid one), max_connections, max_connections_per_ip.",
			[]string{"listener", "reason"}, nil),
		retried: prometheus.NewDesc("weir_quic_retries_total",
			"HTTP/3 clients asked to prove their address before the handshake, because too many without a proof came at once.", []string{"listener"}, nil),
		evicted: prometheus.NewDesc("weir_connections_evicted_total",
			"Idle client connections that were closed to make room for new ones.", []string{"listener"}, nil),
		ended: prometheus.NewDesc("weir_http_errors_total",
			"Requests that weir ended other than by passing an answer on, by the reason that the access log has as weir.reason.", []string{"listener", "reason"}, nil),
		inFlight: prometheus.NewDesc("weir_http_requests_in_flight",
			"Requests being served now, on all listeners.", nil, nil),
		handshakes: newHandshakeDescs(),
		byName:     map[string]*Listener{},
	}
}

func (c *listenerCollector) get(name string) *Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.byName[name]
	if !ok {
		l = &Listener{name: name}
		c.byName[name] = l
	}
	l.leaving = false
	return l
}

// retain marks every listener that keep does not name as leaving.
func (c *listenerCollector) retain(keep []string) {
	kept := setOf(keep)
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, l := range c.byName {
		l.leaving = !kept[name]
	}
	c.sweepLocked()
}

// sweepLocked drops the listeners that left and whose last connection has ended: until then their requests are still in flight.
func (c *listenerCollector) sweepLocked() {
	for name, l := range c.byName {
		if l.leaving && l.open.Load() == 0 {
			delete(c.byName, name)
		}
	}
}

// Describe implements prometheus.Collector.
func (c *listenerCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.connections
	out <- c.accepted
	out <- c.refused
	out <- c.retried
	out <- c.evicted
	out <- c.ended
	out <- c.inFlight
	c.handshakes.describe(out)
}

// Collect implements prometheus.Collector.
func (c *listenerCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweepLocked()
	var total int64
	for name, l := range c.byName {
		busy := l.busy.Load()
		active := min(busy, l.open.Load()) // an HTTP/2 connection may have many
		idle := l.open.Load() - active
		total += busy
		out <- gauge(c.connections, active, name, "active")
		out <- gauge(c.connections, idle, name, "idle")
		out <- counter(c.accepted, l.accepted.Load(), name)
		out <- counter(c.retried, l.retried.Load(), name)
		c.handshakes.collect(out, l)
		for why := range l.refused {
			out <- counter(c.refused, l.refused[why].Load(), name, refusalNames[why])
		}
		out <- counter(c.evicted, l.evicted.Load(), name)
		for i, reason := range c.reasons {
			if reason != "" {
				out <- counter(c.ended, l.ended[i].Load(), name, reason)
			}
		}
	}
	out <- gauge(c.inFlight, total)
}
