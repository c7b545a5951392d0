package series

import "math"

// bounds are the upper bounds of the classic buckets in nanoseconds: OpenTelemetry's for HTTP durations, with 1 ms and 2.5 ms below for an edge, whose
// own share is under a millisecond.
var bounds = [...]int64{1e6, 2.5e6, 5e6, 10e6, 25e6, 50e6, 75e6, 100e6, 250e6, 500e6, 750e6, 1e9, 2.5e9, 5e9, 7.5e9, 10e9}

// Native buckets are exponential: eight to a doubling, so that each is 9 % wide (schema 3 of Prometheus, what a factor of 1.1 asks for). Bucket k ends
// at 2^(k/8) seconds, the end included. What is not longer than zeroThreshold is in the zero bucket.
const (
	schema        = 3
	perDoubling   = 1 << schema
	zeroThreshold = 1.0 / (1 << 20) // seconds: about a microsecond, below which nothing here is worth telling apart
	lowest        = -20*perDoubling + 1
	pageSize      = 64 // eight doublings: what one route's answers mostly fall into
	pages         = 6  // up to 2^28 s, which is eight years
)

// steps are 2^(i/8)/2: the ends of an octave's buckets as math.Frexp has them.
var steps = [perDoubling]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048, 0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// classicBucket is the index of the classic bucket of a duration in ns, len(bounds) for one that is longer than all.
func classicBucket(ns int64) int {
	for i, b := range bounds {
		if ns <= b {
			return i
		}
	}
	return len(bounds)
}

// nativeBucket is the key of the native bucket of a duration in seconds; below lowest it is the zero bucket's.
func nativeBucket(seconds float64) int {
	fraction, exponent := math.Frexp(seconds)
	i := 0
	for i < len(steps) && steps[i] < fraction {
		i++
	}
	return i + (exponent-1)*perDoubling
}
