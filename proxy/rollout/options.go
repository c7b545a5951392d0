package rollout

import (
	"errors"
	"fmt"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// Options are how a rollout goes. A running one keeps those it was started with.
type Options struct {
	// Steps are green's weights in hundredths of a percent, rising, the last one the whole.
	Steps []uint32 `json:"steps"`
	// Pace is what decides on the next weight: "" or PaceSteps for the next of Steps, PaceEvidence for the largest that the harm budget allows, in which case Steps are
	// those gone so far and the whole.
	Pace Pace `json:"pace,omitempty"`
	// Hold is the least time at each step but the last, Bake that at the last. Both are of the monotonic clock.
	Hold time.Duration `json:"hold"`
	Bake time.Duration `json:"bake"`
	// Prewarm is how long green is asked at most for what the others were asked for, before the first step; 0: it is not.
	Prewarm time.Duration `json:"prewarm,omitempty"`
	// WarmUp is how long after the first step began requests are no evidence yet; they do count as harm.
	WarmUp time.Duration `json:"warm_up"`
	// Tolerance is how many times as often as the others green may fail.
	Tolerance float64 `json:"tolerance"`
	// Alpha bounds the probability that a green within the tolerance is ever rolled back by evidence.
	Alpha float64 `json:"alpha"`
	// MaxHarm is how many failed requests beyond the tolerated ones are too many.
	MaxHarm int `json:"max_harm"`
	// MinEffect is the rise of the rate of bad events that a step must have been able to show.
	MinEffect float64 `json:"min_effect"`
	// Latency says that slow answers are bad events of their own.
	Latency bool `json:"latency"`
}

// Pace is how steps follow each other.
type Pace string

// The paces.
const (
	PaceSteps    Pace = "steps"
	PaceEvidence Pace = "evidence"
)

// MaxSteps bounds a list of steps.
const MaxSteps = 100

// Check refuses what no checked configuration holds; state that was stored is checked again.
func (o *Options) Check() error {
	if len(o.Steps) == 0 || len(o.Steps) > MaxSteps || o.Steps[len(o.Steps)-1] != balancer.WeightSum {
		return fmt.Errorf("steps must be 1 to %d weights, the last one 100", MaxSteps)
	}
	before := uint32(0)
	for _, w := range o.Steps {
		if w <= before {
			return errors.New("steps must rise, from above 0")
		}
		before = w
	}
	switch {
	case o.Pace != "" && o.Pace != PaceSteps && o.Pace != PaceEvidence:
		return fmt.Errorf("pace %q is neither %s nor %s", o.Pace, PaceSteps, PaceEvidence)
	case o.Hold < 0 || o.Bake < 0 || o.WarmUp < 0 || o.Prewarm < 0:
		return errors.New("hold, bake, prewarm and warm_up must not be negative")
	case !(o.Tolerance >= 1 && o.Tolerance <= 100):
		return errors.New("tolerance must be 1 to 100")
	case !(o.Alpha >= 1e-9 && o.Alpha <= 0.5):
		return errors.New("alpha must be 1e-9 to 0.5")
	case o.MaxHarm < 1:
		return errors.New("max_harm must be at least 1")
	case !(o.MinEffect >= 0.0001 && o.MinEffect <= 1):
		return errors.New("min_effect must be 0.0001 to 1")
	}
	return nil
}
