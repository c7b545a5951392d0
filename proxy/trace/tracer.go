package trace

import "sync/atomic"

// Tracer hands requests to the exporter in force. It outlives exporters: a request that began under one configuration and ends under another, as an event stream may, goes to the collector
// of the second. It is safe for concurrent use.
type Tracer struct {
	Counters Counters
	current  atomic.Pointer[Exporter]
}

// Use makes e, which may be nil, the exporter in force and returns the one before it, for the caller to close.
func (t *Tracer) Use(e *Exporter) (before *Exporter) { return t.current.Swap(e) }

// Exporter is the one in force; nil: none.
func (t *Tracer) Exporter() *Exporter { return t.current.Load() }

// Add hands over a finished request.
func (t *Tracer) Add(r *Request) {
	for e := t.current.Load(); e != nil; {
		if e.Add(r) {
			return
		}
		again := t.current.Load()
		if again == e { // closed, and nobody in its place
			break
		}
		e = again
	}
	t.Counters.drop(dropOff, 1)
}
