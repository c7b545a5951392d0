package trace

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// Sampler decides which requests are traced: as their callers did, and of those without a caller a share, but never more than a rate. It is safe for concurrent use.
type Sampler struct {
	below    uint64 // of 2⁶³: a trace whose right half, halved, is below it is in the share
	interval int64  // ns between two at the rate; 0: no bound
	burst    int64  // ns of that which may come at once
	next     atomic.Int64
}

// NewSampler makes one of a share from 0 to 1 and a rate per second, 0 for no bound.
func NewSampler(ratio, rate float64) *Sampler {
	s := &Sampler{below: uint64(ratio * (1 << 63))}
	if rate > 0 {
		s.interval = max(1, int64(float64(time.Second)/rate))
		s.burst = max(s.interval, int64(time.Second))
	}
	return s
}

// Root decides about a trace that begins here. The share is taken of its ID as OpenTelemetry's samplers of a ratio take it: who has the same ratio takes the same traces. now is ns, > 0.
func (s *Sampler) Root(id ID, now int64) bool {
	return binary.BigEndian.Uint64(id[8:])>>1 < s.below && s.allow(now)
}

// Child decides about a trace that a caller has begun.
func (s *Sampler) Child(c *Context, now int64) bool { return c.Sampled() && s.allow(now) }

// allow is a leaky bucket of one number (GCRA): the time at which the next is due at the rate.
func (s *Sampler) allow(now int64) bool {
	if s.interval == 0 {
		return true
	}
	for {
		due := s.next.Load()
		from := max(due, now)
		if from+s.interval-now > s.burst {
			return false
		}
		if s.next.CompareAndSwap(due, from+s.interval) {
			return true
		}
	}
}
