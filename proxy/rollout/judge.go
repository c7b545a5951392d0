package rollout

import (
	"fmt"
	"math"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// judge holds the evidence of a rollout by metric.
type judge struct {
	errors, slow95, slow99 balancer.Evidence
	latency                bool
}

// The metrics' parts in the mean. Errors have most of it, because they must decide on a handful of events; slow answers come by the hundred when they come, so
// the 2.3 that a tenth costs of the logarithm is some events more.
const (
	partErrors = 0.8
	partSlow95 = 0.1
	partSlow99 = 0.1
)

// restore is the judge that had learnt what a tally says.
func restore(o Options, t Tally) (j judge, err error) {
	j.latency = o.Latency
	for _, e := range []struct {
		to    *balancer.Evidence
		state []float64
	}{{&j.errors, t.Errors}, {&j.slow95, t.Slow95}, {&j.slow99, t.Slow99}} {
		if *e.to = balancer.NewEvidence(o.Tolerance); e.state == nil {
			continue
		}
		if *e.to, err = balancer.RestoreEvidence(o.Tolerance, e.state); err != nil {
			return j, fmt.Errorf("rollout: %w", err)
		}
	}
	return j, nil
}

func (j *judge) observe(l *Lot) {
	j.errors.Observe(l.Share, l.Green.Errors, l.Others.Errors)
	j.slow95.Observe(l.Share, l.Green.Slow95, l.Others.Slow95)
	j.slow99.Observe(l.Share, l.Green.Slow99, l.Others.Slow99)
}

// log is the logarithm of the evidence of all metrics together.
func (j *judge) log() float64 {
	if !j.latency {
		return j.errors.Log()
	}
	return balancer.MeanLog([]float64{partErrors, partSlow95, partSlow99}, []float64{j.errors.Log(), j.slow95.Log(), j.slow99.Log()})
}

// part is what of α the metric errors has to itself.
func (j *judge) part() float64 {
	if j.latency {
		return partErrors
	}
	return 1
}

// leading is the metric that weighs most, in words.
func (j *judge) leading() string {
	e, s95, s99 := j.errors.Log()+math.Log(partErrors), j.slow95.Log()+math.Log(partSlow95), j.slow99.Log()+math.Log(partSlow99)
	switch {
	case !j.latency || e >= s95 && e >= s99:
		return "errors"
	case s95 >= s99:
		return "answers slower than the others' 95th percentile"
	}
	return "answers slower than the others' 99th percentile"
}

const (
	// frozenAt is how many answers of the others freeze the limits: ten of them lie beyond the 99th percentile.
	frozenAt = 1000

	// slowFloor is what no answer below is slow: on loopback and in one data centre percentiles lie close together, and a group with few requests pays for more
	// connections of its own, which is a difference that nobody feels.
	slowFloor = 10 * time.Millisecond
)

// freeze is the limits by the others' answers so far; false while there are too few.
func freeze(latencies []uint64) (Limits, bool) {
	var total uint64
	for _, n := range latencies {
		total += n
	}
	if total < frozenAt {
		return Limits{}, false
	}
	return Limits{
		P95: max(slowFloor, balancer.LatencyQuantile(latencies, 0.95)),
		P99: max(slowFloor, balancer.LatencyQuantile(latencies, 0.99)),
	}, true
}
