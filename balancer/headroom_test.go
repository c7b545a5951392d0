package balancer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
)

// More harm that is allowed, fewer failures, more failures of the others and more tolerance never make the share smaller; more traffic never larger. More requests served
// at the same rate of failures never make it smaller either. It is a share.
func TestHeadroomIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := balancer.Headroom{
			GreenRequests: rapid.Uint64Range(0, 1e6).Draw(t, "green"), OthersRequests: rapid.Uint64Range(0, 1e6).Draw(t, "others"),
			Tolerated: rapid.Float64Range(1, 5).Draw(t, "tolerated"), Budget: rapid.Float64Range(-10, 1000).Draw(t, "budget"), Coming: rapid.Float64Range(0, 1e7).Draw(t, "coming"),
		}
		h.GreenFailed = rapid.Uint64Range(0, h.GreenRequests).Draw(t, "green failed")
		h.OthersFailed = rapid.Uint64Range(0, h.OthersRequests).Draw(t, "others failed")
		share := h.Share()
		if !(share >= 0 && share <= 1) {
			t.Fatalf("share %v", share)
		}
		if (h.GreenRequests == 0 || h.OthersRequests == 0 || h.Budget <= 0) && share != 0 {
			t.Fatalf("share %v for nothing", share)
		}
		for name, c := range map[string]struct {
			change func(*balancer.Headroom)
			sign   float64 // of the change of the share, or none
		}{
			"budget":        {func(h *balancer.Headroom) { h.Budget += 5 }, 1},
			"tolerance":     {func(h *balancer.Headroom) { h.Tolerated += 0.5 }, 1},
			"traffic":       {func(h *balancer.Headroom) { h.Coming *= 3 }, -1},
			"others failed": {func(h *balancer.Headroom) { h.OthersFailed = min(h.OthersRequests, h.OthersFailed+7) }, 1},
			"green failed":  {func(h *balancer.Headroom) { h.GreenFailed = min(h.GreenRequests, h.GreenFailed+7) }, -1},
			"green served":  {func(h *balancer.Headroom) { h.GreenRequests *= 4; h.GreenFailed *= 4 }, 1},
		} {
			changed := h
			c.change(&changed)
			if d := changed.Share() - share; d*c.sign < -1e-12 {
				t.Fatalf("%s: %v after %v, %+v", name, share+d, share, h)
			}
		}
	})
}

// By hand: 600 requests without a failure hide 3.32 of them, 0.55 %; 60,000 to come and 50 to lose are 15 %.
func TestHeadroomByHand(t *testing.T) {
	for _, c := range []struct {
		h    balancer.Headroom
		want float64
	}{
		{balancer.Headroom{GreenRequests: 600, OthersRequests: 59400, Tolerated: 1.5, Budget: 50, Coming: 60000}, 0.1505},
		{balancer.Headroom{GreenRequests: 9000, OthersRequests: 51000, Tolerated: 1.5, Budget: 50, Coming: 60000}, 1},
		{balancer.Headroom{GreenRequests: 9000, OthersRequests: 51000, Tolerated: 1.5, Budget: 5, Coming: 60000}, 0.2258},
		{balancer.Headroom{GreenRequests: 600, GreenFailed: 30, OthersRequests: 59400, Tolerated: 1.5, Budget: 50, Coming: 60000}, 0.0123},
		{balancer.Headroom{GreenRequests: 600, GreenFailed: 30, OthersRequests: 59400, OthersFailed: 3000, Tolerated: 1.5, Budget: 50, Coming: 60000}, 1},
	} {
		if got := c.h.Share(); math.Abs(got-c.want) > 0.0005 {
			t.Errorf("%+v: %.4f, want %.4f", c.h, got, c.want)
		}
	}
}

// Whatever green's rate really is: at the share that is allowed it fails, in the mean, more than the budget in 5 % of all trials at most. No evidence helps here.
func TestHeadroomKeepsTheBudget(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	draw := func(mean float64) uint64 { // a Poisson count
		if mean > 40 {
			return uint64(max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
		}
		n := uint64(0)
		for at := rng.ExpFloat64(); at < mean; at += rng.ExpFloat64() {
			n++
		}
		return n
	}
	for _, c := range []struct{ green, blue, share float64 }{
		{0.002, 0.001, 0.01}, {0.01, 0.001, 0.01}, {0.01, 0.005, 0.05}, {0.05, 0.0001, 0.01}, {0.3, 0.01, 0.01}, {0.0031, 0.002, 0.2},
	} {
		const trials, total, budget, tolerated = 4000, 60000.0, 50.0, 1.5
		over := 0
		for range trials {
			h := balancer.Headroom{GreenRequests: uint64(total * c.share), OthersRequests: uint64(total * (1 - c.share)), Tolerated: tolerated, Budget: budget, Coming: total}
			h.GreenFailed, h.OthersFailed = draw(total*c.share*c.green), draw(total*(1-c.share)*c.blue)
			if total*h.Share()*(c.green-tolerated*c.blue) > budget+1e-9 {
				over++
			}
		}
		t.Logf("%+v: %.1f %%", c, float64(over)*100/trials)
		// Three standard deviations of a part of 5 % of 4000 are 1.03 %.
		if part := float64(over) / trials; part > 0.0604 {
			t.Errorf("%+v: over the budget in %.1f %% of the trials", c, part*100)
		}
	}
}
