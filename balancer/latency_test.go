package balancer_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

func TestLatencyBucketsAreNarrowAndOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(-1, int64(100*time.Second)).Draw(t, "latency"))
		i := balancer.LatencyBucket(d)
		if bound := balancer.LatencyBound(i); d >= bound || i > 0 && d < balancer.LatencyBound(i-1) {
			t.Fatalf("%v lies in bucket %d, below %v", d, i, bound)
		}
		if d >= 16*time.Microsecond {
			if bound := balancer.LatencyBound(i); float64(bound-d) > 0.0625*float64(d)+1000 {
				t.Fatalf("%v lies in a bucket up to %v", d, bound)
			}
		}
	})
	if i := balancer.LatencyBucket(time.Hour); i != balancer.LatencyBuckets-1 {
		t.Errorf("an hour lies in bucket %d", i)
	}
}

func TestLatencyQuantile(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	counts := make([]uint64, balancer.LatencyBuckets)
	if q := balancer.LatencyQuantile(counts, 0.5); q != 0 {
		t.Errorf("of nothing: %v", q)
	}
	var all []time.Duration
	for range 10000 {
		d := time.Duration(rng.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		counts[balancer.LatencyBucket(d)]++
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.95, 0.99} {
		exact, got := all[int(q*10000)-1], balancer.LatencyQuantile(counts, q)
		if got < exact || float64(got) > 1.07*float64(exact) {
			t.Errorf("quantile %v: %v, exact %v", q, got, exact)
		}
	}
}
