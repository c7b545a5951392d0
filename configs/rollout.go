package configs

import "time"

// Rollout says how the service's traffic is moved to a new group (weir rollout SERVICE start), and what moves it back. What is given at the start wins over it.
type Rollout struct {
	// The new group's weights in percent, rising, the last one 100.
	Steps []Weight `toml:"steps" default:"1,5,25,50,100"`
	// What the next weight is: "steps" takes the next of the list. "evidence" begins with the first and then takes the largest at which the new group,
	// were it as bad as what it has served so far can hide, would not exceed max_harm within hold: ten times the one before at most, up to half of the traffic; then 100, when the same holds for bake.
	Pace string `toml:"pace" default:"steps" enum:"steps|evidence"`
	// Least time at each step but the last. A step ends when this has passed and the new group has served enough requests to have shown what
	// is wrong with it (min_effect); until then the rollout is holding.
	Hold time.Duration `toml:"hold" default:"1m" min:"0s" max:"720h"`
	// Least time at 100 % before the rollout is over. Until then the others are kept and everything can go back.
	Bake time.Duration `toml:"bake" default:"5m" min:"0s" max:"720h"`
	// Longest time before the first step in which the new group is asked for pages that the others were asked for lately, so that its caches are warm when clients come: 50
	// requests a second at most. Pages are kept of GETs without query, cookie and credentials only. "0s" keeps none and asks for none.
	Prewarm time.Duration `toml:"prewarm" default:"10s" min:"0s" max:"10m"`
	// Time from the first step on in which requests are no evidence, for groups that start cold. They count for max_harm.
	WarmUp time.Duration `toml:"warm_up" default:"0s" min:"0s" max:"24h"`
	// How many times as often as the others' requests those of the new group may fail.
	Tolerance float64 `toml:"tolerance" default:"1.5" min:"1" max:"100"`
	// Chance at most, over the whole rollout, that a new group within the tolerance is rolled back by evidence.
	Alpha float64 `toml:"alpha" default:"0.001" min:"0.000000001" max:"0.5"`
	// Rolled back at the latest when so many requests more than tolerated have failed.
	MaxHarm int `toml:"max_harm" default:"50" min:"1" max:"1000000"`
	// A rate of failures higher by this than the others' must not go unseen at any step: each needs so many requests that it would have
	// been seen with 95 % probability.
	MinEffect float64 `toml:"min_effect" default:"0.01" min:"0.0001" max:"1"`
	// Answers slower than the others' 95th and 99th percentile, and than 10 ms, count against the new group as failures do.
	Latency bool `toml:"latency" default:"true"`
}

// mostSteps bounds what a rollout goes through; as rollout.MaxSteps.
const mostSteps = 100

func (c checker) rollout(o *Rollout, path string) {
	steps := joinKey(path, "steps")
	if c.bad(steps) || c.bad(path) {
		return
	}
	if n := len(o.Steps); n == 0 || n > mostSteps {
		c.value(steps, "steps must be 1 to %d weights", mostSteps)
		return
	}
	before := Weight(0)
	for i, w := range o.Steps {
		at := joinIndex(steps, i)
		switch {
		case c.bad(at):
			return
		case w <= before && i == 0:
			c.value(at, "the first step must be above 0")
			return
		case w <= before:
			c.value(at, "step %s is not above the one before, %s", w, before)
			return
		}
		before = w
	}
	if before != WeightFull {
		c.value(joinIndex(steps, len(o.Steps)-1), "the last step must be 100, not %s", before)
	}
}
