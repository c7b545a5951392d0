package balancer

import (
	"math"
	"slices"
)

// maxCycle is how long the precomputed order may be. Whole weights whose reduced
// sum fits are exact; others are rounded to parts of max(maxCycle, 4 × peers).
const maxCycle = 4096

// skipLimit bounds how far a pick looks for a peer that may serve. An order has
// long runs only when one peer has nearly all the weight.
const skipLimit = 32

// roundRobin is the smooth weighted order, laid out once and indexed by ticket:
// the same sequence as stepping counters under a lock, without the lock.
type roundRobin struct {
	roster
	order []int32
}

// Pick implements Policy.
func (p *roundRobin) Pick(v *View, _ uint64) int {
	if len(p.order) == 0 {
		return -1
	}
	at := v.Ticket % uint64(len(p.order))
	for range skipLimit {
		i := int(p.order[at])
		if !v.Tried.Has(i) {
			if p.ramping(v) && unit(mix(v.Ticket)) >= ramp(&v.Peers[i], v) {
				// Slow start gives the turn away by a draw and not to the next in order, who
				// would get all of it. The draw includes the peer, and so makes its share
				// exact: r/n + (1-r)/n · r/(n-1+r) = r/(n-1+r).
				break
			}
			return i
		}
		if at++; at == uint64(len(p.order)) {
			at = 0
		}
	}
	return p.draw(v, v.Ticket, -1)
}

// smoothOrder lays out one cycle of smooth weighted round robin: at each step
// every peer gains its weight, the largest goes and pays the sum.
func smoothOrder(peers []Candidate) []int32 {
	weights := wholeWeights(peers)
	sum := int64(0)
	for _, w := range weights {
		sum += w
	}
	order := make([]int32, 0, sum)
	credit := make([]int64, len(weights))
	for range sum {
		best := 0
		for i, w := range weights {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= sum
		order = append(order, int32(best))
	}
	return order
}

// wholeWeights are the smallest whole numbers in the ratio of the weights, or
// the nearest ones whose sum is a bearable cycle.
func wholeWeights(peers []Candidate) []int64 {
	weights := make([]int64, len(peers))
	divisor, sum, total := int64(0), int64(0), 0.0
	whole := true
	for i, c := range peers {
		whole = whole && c.Weight == math.Trunc(c.Weight) && c.Weight <= 1<<32
		weights[i] = int64(c.Weight)
		divisor = gcd(weights[i], divisor)
		sum += weights[i]
		total += c.Weight
	}
	limit := int64(max(maxCycle, 4*len(peers)))
	if whole && divisor > 0 && sum/divisor <= limit {
		for i := range weights {
			weights[i] /= divisor
		}
		return weights
	}
	if len(peers) > 0 && !slices.ContainsFunc(peers, func(c Candidate) bool {
		return c.Weight != peers[0].Weight
	}) {
		for i := range weights {
			weights[i] = 1
		}
		return weights
	}
	for i, c := range peers {
		// At least one slot: a weight is > 0, so the peer must be reachable.
		weights[i] = max(1, int64(math.Round(c.Weight/total*float64(limit))))
	}
	return weights
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
