package balancer_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// Whatever keys come, and however skewed: no peer takes more than factor times
// its share of what is in flight, rounded up.
func TestHashBoundsLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.1, 10), 1, 10).Draw(t, "weights")
		factor := rapid.SampledFrom([]float64{0, 1.01, 1.25, 2}).Draw(t, "factor")
		v := balancer.View{Peers: peersOf(weights...)}
		p := balancer.New(balancer.Hash, v.Peers, balancer.Options{LoadFactor: factor})
		if factor == 0 {
			factor = balancer.DefaultLoadFactor
		}
		total := 0.0
		for _, w := range weights {
			total += w
		}
		keys := rapid.Uint64Range(1, 20).Draw(t, "keys")
		for n := 1; n <= 200; n++ {
			i := p.Pick(&v, uint64(n)%keys)
			v.Peers[i].Load.Begin()
			limit := math.Ceil(factor*float64(n)*weights[i]/total + 1e-9)
			if got := float64(v.Peers[i].Load.InFlight()); got > limit {
				t.Fatalf("request %d: peer %d of %v has %v in flight, limit %v", n, i, weights, got, limit)
			}
			if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
				// One ends on the same peer: the bound was met by all that follow anyway.
				v.Peers[i].Load.Abandon()
				v.Peers[i].Load.Begin()
			}
		}
	})
}

// Keys keep their peer; when a peer leaves, its keys alone move.
func TestHashDisruptsNoMoreThanItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(0.1, 10)), 2, 10).Draw(t, "weights")
		peers := peersOf(weights...)
		gone := rapid.IntRange(0, len(peers)-1).Draw(t, "gone")
		left := slices.Delete(slices.Clone(peers), gone, gone+1)
		before := balancer.View{Peers: peers}
		after := balancer.View{Peers: left}
		tried := balancer.View{Peers: peers}
		tried.Tried.Add(gone)
		p := balancer.New(balancer.Hash, peers, balancer.Options{})
		q := balancer.New(balancer.Hash, left, balancer.Options{})
		for key := range uint64(200) {
			was, is := p.Pick(&before, key), q.Pick(&after, key)
			if before.Ticket++; p.Pick(&before, key) != was {
				t.Fatalf("key %d left its peer", key)
			}
			if was != gone && left[is].Hash != peers[was].Hash {
				t.Fatalf("key %d moved although its peer stayed", key)
			}
			if retry := p.Pick(&tried, key); peers[retry].Hash != left[is].Hash {
				t.Fatalf("key %d is retried on %d, and goes elsewhere when the peer leaves", key, retry)
			}
		}
	})
}

// A hot key overflows to the same second peer, not to everyone.
func TestHashOverflowsInOrder(t *testing.T) {
	v := balancer.View{Peers: peersOf(1, 1, 1, 1, 1, 1, 1, 1)}
	p := balancer.New(balancer.Hash, v.Peers, balancer.Options{})
	// 64 in flight all over: a peer may have ceil(1.25 · 65 / 8) = 11.
	for i := range v.Peers {
		for range 8 {
			v.Peers[i].Load.Begin()
		}
	}
	seen := make(map[int]int)
	for range 4 {
		i := p.Pick(&v, 42)
		seen[i]++
		v.Peers[i].Load.Begin()
	}
	if len(seen) != 2 || slices.Max([]int{seen[0], seen[1], seen[2], seen[3], seen[4], seen[5], seen[6], seen[7]}) != 3 {
		t.Fatalf("four requests for one key: %v, want three and one", seen)
	}
}
