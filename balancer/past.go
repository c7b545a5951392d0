package balancer

import (
	"math"
	"time"
)

// Past is what a Load knows of answers, for another process: what is in flight is not in it. The zero value is that of a peer about which nothing is known.
type Past struct {
	Age     time.Duration // since the last answer; greater than 0 where there was one
	Latency float64       // the estimate, ns; 0: unknown
	Failing float64       // the recent share of failures in [0,1]
}

// Past is what is known at now.
func (l *Load) Past(now int64) Past {
	stamp := l.stamp.Load()
	if stamp == 0 {
		return Past{}
	}
	return Past{Age: max(1, time.Duration(now-stamp)), Latency: l.latencyEstimate(), Failing: math.Float64frombits(l.failing.Load())}
}

// Recall makes a Load that knows nothing know what another did; one that has had an answer knows better. It reports whether it did. Nobody else uses the Load meanwhile.
func (l *Load) Recall(p Past, now int64) bool {
	stamp := now - int64(p.Age)
	if p.Age <= 0 || stamp <= 0 || !(p.Latency >= 0 && p.Latency <= mostLatency) || !(p.Failing >= 0 && p.Failing <= 1) || !l.stamp.CompareAndSwap(0, stamp) {
		return false
	}
	l.latency.Store(math.Float64bits(p.Latency))
	l.failing.Store(math.Float64bits(p.Failing))
	return true
}

// mostLatency is longer than any answer takes: what says more is not a latency.
const mostLatency = float64(24 * time.Hour)
