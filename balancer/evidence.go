package balancer

import (
	"fmt"
	"math"
)

// evidenceRates is how many rate ratios an Evidence mixes. They lie one third above the tolerated one up to a thousand times it, each about twice the one before:
// between two neighbours the best of them loses a tenth of the growth that the true ratio would have, and ten cost 2.3 of the logarithm once.
const evidenceRates = 10

// evidenceFirst is the first ratio over the tolerated one, evidenceStep each next over its predecessor: 4/3 · 2.1^9 = 1060.
const (
	evidenceFirst = 4.0 / 3
	evidenceStep  = 2.1
)

// Evidence is what the bad events of a service (errors, say) say against the group that is on trial, "green", as an e-value: a likelihood ratio of "green's rate of bad events
// is θ times that of the others", mixed over ten θ above the tolerated ratio, against "it is at most the tolerated ratio times theirs".
//
// Only bad events are looked at. Requests are dealt to groups at random, so a bad event of a service whose groups are equal is green's with probability w, green's share
// when it was assigned, whatever the traffic and the rate of errors do meanwhile; with a ratio θ it is p(θ, w) = wθ/(wθ+1−w). Each factor p(θ)/p(tolerated), or
// (1−p(θ))/(1−p(tolerated)), has a mean of at most 1 for every true ratio up to the tolerated one, because it rises with the chance of green and is 1 at the tolerated
// ratio. The product is thus a nonnegative supermartingale, and by Ville's inequality it ever reaches 1/α with probability α at most: it may be looked at
// after every event (arXiv 2205.14762, 2011.03567). Shares that are dealt exactly per block (Split.ByTicket) only help: draws without replacement spread less.
//
// It is a value of fixed size. The evidence of several edges that deal by the same shares adds up, see Add.
type Evidence struct {
	tolerated float64
	logs      [evidenceRates]float64 // logarithms of the likelihood ratios
}

// NewEvidence is no evidence, 1, against a group whose bad events may be tolerated times as frequent as the others'; tolerated ≥ 1.
func NewEvidence(tolerated float64) Evidence {
	if !(tolerated >= 1) {
		panic(fmt.Sprintf("balancer: tolerated ratio %v", tolerated))
	}
	return Evidence{tolerated: tolerated}
}

// rate is the k-th ratio of the mixture over the tolerated one.
func rate(k int) float64 { return evidenceFirst * math.Pow(evidenceStep, float64(k)) }

// Observe takes in bad events that were assigned while green's share was w: how many fell on green and how many on the others. Their order does not matter. At a share
// of 0 or 1 there is nobody to compare with, and nothing is learnt.
func (e *Evidence) Observe(w float64, green, others uint64) {
	if w <= 0 || w >= 1 || green+others == 0 {
		return
	}
	null := w*e.tolerated + 1 - w
	for k := range e.logs {
		r := rate(k)
		e.logs[k] += float64(green)*math.Log(r) - float64(green+others)*math.Log((w*e.tolerated*r+1-w)/null)
	}
}

// Add takes in what another edge has seen of the same trial.
func (e *Evidence) Add(o Evidence) {
	for k := range e.logs {
		e.logs[k] += o.logs[k]
	}
}

// Log is the natural logarithm of the e-value.
func (e *Evidence) Log() float64 {
	most := math.Inf(-1)
	for _, l := range e.logs {
		most = max(most, l)
	}
	sum := 0.0
	for _, l := range e.logs {
		sum += math.Exp(l - most)
	}
	return most + math.Log(sum/evidenceRates)
}

// State is what RestoreEvidence makes it from again.
func (e *Evidence) State() []float64 { return append([]float64(nil), e.logs[:]...) }

// RestoreEvidence is the Evidence that had the state.
func RestoreEvidence(tolerated float64, state []float64) (Evidence, error) {
	if !(tolerated >= 1) || len(state) != evidenceRates {
		return Evidence{}, fmt.Errorf("restore evidence: %d numbers at a tolerated ratio of %v, not %d at 1 or more", len(state), tolerated, evidenceRates)
	}
	e := Evidence{tolerated: tolerated}
	for k, l := range state {
		if math.IsNaN(l) || math.IsInf(l, 0) {
			return Evidence{}, fmt.Errorf("restore evidence: %v is no logarithm", l)
		}
		e.logs[k] = l
	}
	return e, nil
}

// MeanLog is the logarithm of the weighted mean of e-values that are given by their logarithms; the weights sum to 1. A mean of e-values is one, however they depend on each
// other, so several metrics share one α.
func MeanLog(weights, logs []float64) float64 {
	most := math.Inf(-1)
	for _, l := range logs {
		most = max(most, l)
	}
	sum := 0.0
	for i, l := range logs {
		sum += weights[i] * math.Exp(l-most)
	}
	return most + math.Log(sum)
}
