package observe

import (
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe/series"
)

const (
	methods = int(message.PATCH) + 1
	protos  = 5 // unknown, 1.0, 1.1, 2, 3
)

// RouteKey names the series of one route on one listener.
type RouteKey struct{ Listener, Route string }

// Route counts what one route answered on one listener. It is safe for concurrent use and stays valid, though no longer exported, after Forget.
type Route struct {
	key      RouteKey
	metrics  *Metrics
	duration *series.Duration // shared by the listeners of a route

	// Written once per entry under Metrics.mu, read without.
	counters [methods * protos]atomic.Pointer[codeCounters]
	kinds    kinds

	gone bool // guarded by Metrics.mu
}

// Route returns the handle for a route on a listener, the same one for the same names as long as Forget keeps them. Its GET, 200, HTTP/1.1 series
// starts at 0. Requests that no route matched need a name of their own, such as "-": it must not be one that a configuration can give.
func (m *Metrics) Route(listener, route string) *Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := RouteKey{listener, route}
	if r, ok := m.routes[key]; ok {
		return r
	}
	r := &Route{key: key, metrics: m, duration: m.duration.With(route)}
	m.routes[key] = r
	r.createLocked(slot(message.GET, message.HTTP11), 200)
	return r
}

// Done counts one finished exchange: its method, protocol, status sent and duration. Zero allocations and no lock, except for the first exchange of
// its kind.
func (r *Route) Done(method message.Method, proto message.Proto, code int, d time.Duration) {
	r.duration.Observe(d)
	at := slot(method, proto)
	if set := r.counters[at].Load(); set != nil {
		if c := set.find(code); c != nil {
			c.Inc()
			return
		}
	}
	c := r.kinds.beyond(&r.metrics.overflow, r.metrics.overflow.requests)
	if c == nil {
		c = r.create(at, code)
	}
	c.Inc()
}

// Traced names the trace of an exchange that was Done with this duration and ended at the time given: it becomes the exemplar of its bucket, unless there is one not a second old.
func (r *Route) Traced(d time.Duration, trace [16]byte, at time.Time) {
	var digits [32]byte
	hex.Encode(digits[:], trace[:])
	r.duration.Exemplar(d, digits, at)
}

// create makes the series of a request that is the first of its kind, or finds the one for those that get none.
func (r *Route) create(at, code int) *series.Counter {
	m := r.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	if set := r.counters[at].Load(); set != nil {
		if c := set.find(code); c != nil {
			return c // another request was first
		}
	}
	if !r.gone && r.kinds.full(&m.overflow) {
		c := m.requests.With(r.key.Listener, r.key.Route, message.MethodOther.String(), oddCode, message.Proto(0).String())
		r.kinds.rest.Store(c)
		m.overflow.requests.Inc()
		return c
	}
	if !r.gone {
		r.kinds.addLocked(&m.overflow)
	}
	return r.createLocked(at, code)
}

// createLocked makes a series that there is none of yet.
func (r *Route) createLocked(at, code int) *series.Counter {
	c := new(series.Counter) // that nobody exports, for requests that end after their route has left the configuration
	if !r.gone {
		method, proto := labelsOf(at)
		c = r.metrics.requests.With(r.key.Listener, r.key.Route, method, codeLabel(code), proto)
	}
	made(&r.counters[at]).put(code, c)
	return c
}

// forgetLocked removes the route's counters from the export. The duration stays: another listener may share it.
func (r *Route) forgetLocked() {
	r.gone = true
	r.kinds.forgetLocked(&r.metrics.overflow)
	if r.kinds.rest.Load() != nil {
		r.metrics.requests.Delete(r.key.Listener, r.key.Route, message.MethodOther.String(), oddCode, message.Proto(0).String())
	}
	for i := range r.counters {
		set := r.counters[i].Load()
		if set == nil {
			continue
		}
		method, proto := labelsOf(i)
		set.read(func(code int, _ *series.Counter) {
			r.metrics.requests.Delete(r.key.Listener, r.key.Route, method, codeLabel(code), proto)
		})
	}
}

// slot is the index of a method and protocol in Route.counters. What is not in the lists shares the slots of the unknown.
func slot(method message.Method, proto message.Proto) int {
	p := 0
	switch proto {
	case message.HTTP10:
		p = 1
	case message.HTTP11:
		p = 2
	case message.HTTP2:
		p = 3
	case message.HTTP3:
		p = 4
	}
	if int(method) >= methods {
		method = message.MethodOther
	}
	return int(method)*protos + p
}

// labelsOf undoes slot. The zero Proto, of a request whose version could not be read, prints as "-".
func labelsOf(at int) (method, proto string) {
	p := [protos]message.Proto{0, message.HTTP10, message.HTTP11, message.HTTP2, message.HTTP3}[at%protos]
	return message.Method(at / protos).String(), p.String()
}
