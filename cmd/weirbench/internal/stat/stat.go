// Package stat is the arithmetic of a side-by-side run: medians, ratios round by round and exact
// quantiles. It refuses to approximate: a bench run holds at most a few hundred thousand samples,
// so they are kept and sorted instead of being folded into buckets.
package stat

import (
	"math"
	"slices"
)

// Median returns the middle value, the mean of the two middle ones for an even count, and NaN for
// none. NaN values are dropped first: they stand for rounds that gave no figure. The input is left
// as it is.
func Median(values []float64) float64 {
	sorted := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) {
			sorted = append(sorted, v)
		}
	}
	if len(sorted) == 0 {
		return math.NaN()
	}
	slices.Sort(sorted)
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return sorted[mid-1]/2 + sorted[mid]/2
}

// Ratios divides subject by reference round by round, over the rounds both have. A ratio inside one
// round cancels what disturbed the machine in that round; a ratio of medians does not. A round
// without a figure on either side, or with a reference of zero, gives NaN, which Median drops.
func Ratios(subject, reference []float64) []float64 {
	ratios := make([]float64, min(len(subject), len(reference)))
	for i := range ratios {
		ratios[i] = math.NaN()
		if reference[i] != 0 {
			ratios[i] = subject[i] / reference[i]
		}
	}
	return ratios
}

// Quantile returns the smallest sample that at least the fraction q (0 to 1) of all samples do not
// exceed (the nearest-rank definition, always a value that was seen), or zero for no samples.
// The samples must be sorted in ascending order.
func Quantile(sorted []int64, q float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Mean returns the arithmetic mean, or zero for no samples.
func Mean(samples []int64) float64 {
	if len(samples) == 0 {
		return 0
	}
	var sum float64
	for _, s := range samples {
		sum += float64(s)
	}
	return sum / float64(len(samples))
}
