package balancer_test

import (
	"math/rand/v2"
	"testing"

	"github.com/valor-ivx/weir/balancer"
)

// Equal groups never harm beyond the budget, whatever the rate of errors does; one that fails does so by the budget or what luck cannot explain.
func TestExcess(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		odds, theta float64
		beyond      bool
	}{
		{0.01, 1, false}, {0.05, 1, false}, {1, 1, false}, {9, 1, false}, {0.05, 1.5, false}, {1, 1.5, false}, {9, 1.2, false}, {0.05, 3, true}, {1, 3, true},
	} {
		harmed := 0
		for range 200 {
			var e balancer.Excess
			beyond := false
			for range 500 { // looks
				events := 4 * rng.Float64() // of green in this time, were it equal
				e.Observe(1.5, c.odds, poisson(rng, events*c.theta), poisson(rng, events/c.odds))
				beyond = beyond || e.Beyond(50)
			}
			if beyond {
				harmed++
			}
		}
		if c.beyond && harmed != 200 || !c.beyond && harmed > 0 {
			t.Errorf("odds %v, ratio %v: %d of 200 beyond the budget", c.odds, c.theta, harmed)
		}
	}
	var e balancer.Excess
	e.Observe(1.5, 0.05, 51, 0)
	if !e.Beyond(50) || e.Beyond(51) {
		t.Errorf("51 errors of green alone: %+v", e)
	}
}
