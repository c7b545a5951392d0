package balancer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// poisson draws a count with the given mean.
func poisson(rng *rand.Rand, mean float64) (n uint64) {
	for at := rng.ExpFloat64(); at < mean; at += rng.ExpFloat64() {
		n++
	}
	return n
}

// A green that is as bad as the requirement says not to miss is found by the time it has served what is required, in 95 of 100 rollouts.
func TestRequirementHasItsPower(t *testing.T) {
	runs := fewer(1000)
	rng := rand.New(rand.NewPCG(4, 4))
	for _, rate := range []float64{0, 0.0001, 0.001, 0.01, 0.05, 0.2} {
		for _, share := range []float64{0.01, 0.05, 0.25, 0.5, 0.9} {
			r := balancer.Requirement{Share: share, Rate: rate, Effect: 0.01, Tolerated: 1.5, Threshold: math.Log(1000 / 0.8)}
			need, ok := r.Green()
			if !ok {
				t.Errorf("rate %v, share %v: no number will do", rate, share)
				continue
			}
			bad := max(rate+0.01, 2*1.5*rate)
			found := 0
			for range runs {
				e := balancer.NewEvidence(1.5)
				e.Observe(share, poisson(rng, need*bad), poisson(rng, need/share*(1-share)*rate))
				if e.Log() >= r.Threshold {
					found++
				}
			}
			t.Logf("others fail %v %%, share %v %%: %.0f requests, found %.1f %%", 100*rate, 100*share, need, 100*float64(found)/float64(runs))
			if found < runs*91/100 {
				t.Errorf("others fail %v %%, share %v %%: %.0f requests, found %d of %d", 100*rate, 100*share, need, found, runs)
			}
		}
	}
}

func TestRequirementGrowsAsTheEffectShrinks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := balancer.Requirement{
			Share: rapid.Float64Range(0.001, 0.95).Draw(t, "share"), Rate: rapid.Float64Range(0, 0.2).Draw(t, "rate"),
			Effect: rapid.Float64Range(0.001, 0.5).Draw(t, "effect"), Tolerated: rapid.Float64Range(1, 2).Draw(t, "tolerated"), Threshold: 7,
		}
		large, ok := r.Green()
		if !ok || large < 1 || math.IsNaN(large) || math.IsInf(large, 0) {
			t.Fatalf("%+v: %v %v", r, large, ok)
		}
		r.Effect /= 2
		if small, ok := r.Green(); !ok || small < large {
			t.Fatalf("%+v: %v, at twice the effect %v", r, small, large)
		}
	})
}

func TestRequirementAtTheEnds(t *testing.T) {
	if n, ok := (balancer.Requirement{Share: 1, Effect: 0.01, Tolerated: 1.5, Threshold: 7}).Green(); !ok || n != 299 {
		t.Errorf("nobody to compare with: %v %v, want 299", n, ok)
	}
	if n, ok := (balancer.Requirement{Share: 0, Effect: 0.01, Tolerated: 1.5, Threshold: 7}).Green(); ok {
		t.Errorf("no share: %v", n)
	}
	if n, ok := (balancer.Requirement{Share: 0.5, Rate: 0.7, Effect: 0.01, Tolerated: 1.5, Threshold: 7}).Green(); ok {
		t.Errorf("others that fail 70 %% of the time: %v", n)
	}
}
