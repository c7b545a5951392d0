package series

import (
	"sync/atomic"
	"time"
)

// exemplarAge is how old a bucket's exemplar has to be before another takes its place: scrapes are seconds apart, and a flood of traced requests
// allocates 17 a second.
const exemplarAge = time.Second

// traceLabel is the name under which Grafana and others look for a trace.
const traceLabel = "trace_id"

// exemplars are the last traced times of a histogram, one to each classic bucket, where there was one.
type exemplars [len(bounds) + 1]atomic.Pointer[exemplar]

// exemplar is one of them. Immutable.
type exemplar struct {
	trace [32]byte // hexadecimal
	took  time.Duration
	at    time.Time
}

// Exemplar names the trace of a time that was just observed, in lower case hexadecimal digits, and when it ended.
func (d *Duration) Exemplar(t time.Duration, trace [32]byte, at time.Time) {
	all := d.exemplars.Load()
	if all == nil {
		d.exemplars.CompareAndSwap(nil, new(exemplars))
		all = d.exemplars.Load()
	}
	slot := &all[classicBucket(int64(max(t, 0)))]
	if old := slot.Load(); old == nil || at.Sub(old.at) >= exemplarAge || at.Before(old.at) { // before: the clock was set back
		slot.Store(&exemplar{trace, max(t, 0), at})
	}
}

// exemplar is the last of a classic bucket, nil without one.
func (d *Duration) exemplar(bucket int) *exemplar {
	if all := d.exemplars.Load(); all != nil {
		return all[bucket].Load()
	}
	return nil
}
