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
	Share float64 `json:"share"`
	// Step is the step that it was assigned in.
	Step   int   `json:"step"`
	Green  Count `json:"green"`
	Others Count `json:"others"`
}

// Gather adds a lot to a list of them, to the one of the same step and share if there is one: what is learnt from their sum is what is learnt from both.
func Gather(list []Lot, l Lot) []Lot {
	for i := range list {
		if at := &list[i]; at.Step == l.Step && at.Share == l.Share {
			at.Green.add(l.Green)
			at.Others.add(l.Others)
			return list
		}
	}
	return append(list, l)
}

// Part is what an edge has to say in a rollout that several edges carry out.
type Part int

// The parts. One edge leads: it takes in what all have counted, and decides. The others follow: they hand on what they count. One that cannot reach the rest may still go back
// by what it knows, because that is the safe direction, and nothing else.
const (
	Leads Part = iota
	Follows
	GoesBack
)

// may reports whether a part carries a progress out.
func (p Part) may(next Progress) bool { return p == Leads || p == GoesBack && next.Phase == RolledBack }

// Sample is what an Edge has counted since the last one.
type Sample struct {
	Lots []Lot
	// Part is that of the edge; Follows and GoesBack only where there are several.
	Part Part
	// Term is the one that the lots were taken in, of Runner.Resume, and Heard how many reports of other edges are among them.
	Term  uint64
	Heard uint64
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
