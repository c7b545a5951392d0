// Package risk measures what a series of returns may lose, and mixes assets for the least variance or the best return for it.
//
// It is pure. Returns are decimals of one period; a loss is negative. Confidence is a decimal: 0.95 asks for what is undercut in one period of twenty.
package risk

import (
	"fmt"
	"math"
	"slices"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Bounds of what is computed.
const (
	MinReturns = 2
	MaxReturns = 10_000
	MaxAssets  = 50
)

// Loss is what may be lost.
type Loss struct {
	Mean, StandardDeviation float64 // of the sample
	// Historical is the quantile of the returns themselves, Parametric that of a normal distribution with their mean and deviation.
	Historical, Parametric float64
	// Expected is the mean of the returns at Historical or worse (CVaR, expected shortfall).
	Expected float64
}

// ValueAtRisk measures a series over horizon periods: means grow with it, deviations with its root. The error is an *dcf.InvalidError.
func ValueAtRisk(returns []float64, confidence float64, horizon int) (Loss, error) {
	v := series("returns", returns)
	if !(confidence >= .5 && confidence <= .9999) {
		v = append(v, dcf.Violation{Field: "confidence", Message: "must be from 0.5 to 0.9999"})
	}
	if horizon < 1 || horizon > 1000 {
		v = append(v, dcf.Violation{Field: "horizon", Message: "must be from 1 to 1000"})
	}
	if len(v) > 0 {
		return Loss{}, &dcf.InvalidError{Violations: v}
	}
	var l Loss
	l.Mean, l.StandardDeviation = moments(returns)
	sorted := slices.Sorted(slices.Values(returns))
	l.Historical = quantile(sorted, 1-confidence)
	n := 0
	for _, r := range sorted {
		if r <= l.Historical {
			l.Expected += r
			n++
		}
	}
	if n > 0 { // interpolation can put the quantile below all but the first, never below that
		l.Expected /= float64(n)
	} else {
		l.Expected = l.Historical
	}
	root := math.Sqrt(float64(horizon))
	l.Parametric = l.Mean*float64(horizon) + normalQuantile(1-confidence)*l.StandardDeviation*root
	l.Historical *= root
	l.Expected *= root
	return l, nil
}

func series(name string, returns []float64) (v []dcf.Violation) {
	if len(returns) < MinReturns || len(returns) > MaxReturns {
		return append(v, dcf.Violation{Field: name, Message: fmt.Sprintf("must be from %d to %d numbers", MinReturns, MaxReturns)})
	}
	for i, r := range returns {
		if !(r >= -1 && r <= 100) {
			return append(v, dcf.Violation{Field: name, Message: fmt.Sprintf("number %d must be from -1 to 100", i+1)})
		}
	}
	return nil
}

func moments(x []float64) (mean, deviation float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		deviation += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, math.Sqrt(deviation)
}

// quantile interpolates between the two nearest of sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
