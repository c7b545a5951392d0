package balancer

import (
	"math"
	"math/bits"
	"time"
)

// LatencyBuckets is the size of a histogram of latencies: from 1 µs to 2^27 µs (134 s), sixteen buckets for each doubling, so that a bucket's bound is within 6.25 % of
// all that it holds.
const LatencyBuckets = latencyOctaves * latencySteps

const (
	latencyOctaves = 24
	latencySteps   = 16
)

// LatencyBucket is the bucket of a latency. It is two shifts: requests call it.
func LatencyBucket(d time.Duration) int {
	us := uint64(max(d, 0)) / uint64(time.Microsecond)
	if us < latencySteps {
		return int(us)
	}
	octave := bits.Len64(us) - 5 // what lies below the five leading bits does not count
	return min(octave*latencySteps+int(us>>uint(octave)), LatencyBuckets-1)
}

// LatencyBound is the least latency beyond a bucket.
func LatencyBound(bucket int) time.Duration {
	if bucket < latencySteps {
		return time.Duration(bucket+1) * time.Microsecond
	}
	octave, step := bucket/latencySteps-1, bucket%latencySteps
	return time.Duration(latencySteps+step+1) << uint(octave) * time.Microsecond
}

// LatencyQuantile is the least bound that at least the part q of the counted latencies lie below; 0 without any.
func LatencyQuantile(counts []uint64, q float64) time.Duration {
	var total uint64
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	need := uint64(math.Ceil(q * float64(total)))
	var seen uint64
	for i, n := range counts {
		if seen += n; seen >= need {
			return LatencyBound(i)
		}
	}
	return LatencyBound(len(counts) - 1)
}
