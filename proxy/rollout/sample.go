package rollout

import "time"

// Count is what became of client requests that were assigned to one side. A request is counted once, whatever its attempts; clients that left, requests that were sent
// to another group from the start, and refusals before any group was chosen are not counted at all.
type Count struct {
	Requests uint64 `json:"requests"`
	// Errors are requests that their group failed, Slow95 and Slow99 answers beyond the others' frozen quantiles: at most one of each per client and second.
	Errors uint64 `json:"errors"`
	Slow95 uint64 `json:"slow_p95"`
	Slow99 uint64 `json:"slow_p99"`
	// Failed is Errors without the bound per client: harm is harm, whoever asks.
	Failed uint64 `json:"failed"`
}

func (c *Count) add(o Count) {
	c.Requests += o.Requests
	c.Errors += o.Errors
	c.Slow95 += o.Slow95
	c.Slow99 += o.Slow99
	c.Failed += o.Failed
}

// failing is the part of the requests that failed; 0 without any.
func (c *Count) failing() float64 {
	if c.Requests == 0 {
		return 0
	}
	return float64(c.Failed) / float64(c.Requests)
}

// Lot is what was counted of requests that were assigned under one set of weights.
type Lot struct {
	// Share is green's part of the weights, 0 to 1.
	Share float64
	// Step is the step that it was assigned in.
	Step          int
	Green, Others Count
}

// Sample is what an Edge has counted since the last one.
type Sample struct {
	Lots []Lot
	// GreenLive and OthersLive say that the group, and one of the others, have a healthy target.
	GreenLive, OthersLive bool
	// Warmth is how green was warmed, once that is over; looked at before the first step only.
	Warmth *Warmth
	// Latencies is the histogram (balancer.LatencyBucket) of the others' answers since the trial began; nil once the limits are frozen.
	Latencies []uint64
}

// Limits are the latencies from which an answer is slow: frozen once, so that a green which drags everybody along does not move them. Zero: not frozen yet.
type Limits struct {
	P95 time.Duration `json:"p95"`
	P99 time.Duration `json:"p99"`
}
