package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// Phase is where a rollout is.
type Phase string

// The phases. Holding is running with something missing that time alone does not bring.
const (
	Running    Phase = "running"
	Holding    Phase = "holding"
	Promoted   Phase = "promoted"
	RolledBack Phase = "rolled_back"
	Aborted    Phase = "aborted"
)

// Phases are all of them, for metrics that want them ahead.
func Phases() []string {
	return []string{string(Running), string(Holding), string(Promoted), string(RolledBack), string(Aborted)}
}

// Over reports a phase that nothing follows.
func (p Phase) Over() bool { return p == Promoted || p == RolledBack || p == Aborted }

// Cause is why a rollout was rolled back: a metric label.
type Cause string

// The causes.
const (
	CauseEvidence  Cause = "evidence"
	CauseHarm      Cause = "harm"
	CauseErrors    Cause = "errors"
	CauseUnhealthy Cause = "unhealthy"
)

// Causes are all of them, for metrics that want them ahead.
func Causes() []string {
	return []string{string(CauseEvidence), string(CauseHarm), string(CauseErrors), string(CauseUnhealthy)}
}

// Progress is how far a rollout has come: what decisions change.
type Progress struct {
	Phase Phase `json:"phase"`
	// Step is the number of the step in force, from 1; 0 is the wait for green to be live.
	Step int `json:"step"`
	// Weight is that of the step in force where it was found on the way (PaceEvidence), in hundredths of a percent; 0 where the list of steps says it.
	Weight uint32 `json:"weight,omitempty"`
	// Paused is who paused it; "" for nobody.
	Paused string `json:"paused,omitempty"`
	// Cause and Reason say why it ended or is holding; Cause only of a rollback.
	Cause  Cause     `json:"cause,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
}

// Tally is what a rollout has learnt.
type Tally struct {
	// Errors, Slow95 and Slow99 are balancer.Evidence's states; nil: none yet.
	Errors []float64 `json:"errors"`
	Slow95 []float64 `json:"slow_p95"`
	Slow99 []float64 `json:"slow_p99"`
	Limits Limits    `json:"limits"`
	// Harm is that of the time when both sides served.
	Harm balancer.Excess `json:"harm"`
	// Green and Others are all that was counted, InStep what was under the step in force.
	Green  Count `json:"green"`
	Others Count `json:"others"`
	InStep Pair  `json:"in_step"`
	// Judged is how many of green's requests in the step were not of the warm-up.
	Judged uint64 `json:"judged"`
	// Held is the time in the step, Served that since the first step began: both of the monotonic clock, restarts left out.
	Held   time.Duration `json:"held"`
	Served time.Duration `json:"served"`
	// Lost is for how long green has been without a live target.
	Lost time.Duration `json:"lost"`
}

// Pair is both sides' counts.
type Pair struct {
	Green  Count `json:"green"`
	Others Count `json:"others"`
}

// State is a whole rollout: what is stored, and resumed after a restart.
type State struct {
	To      string    `json:"to"`
	By      string    `json:"by"`
	Started time.Time `json:"started"`
	Options Options   `json:"options"`
	// Base are the weights before it began, in hundredths of a percent.
	Base map[string]uint32 `json:"base"`
	Progress
	Tally Tally `json:"tally"`
	// Heard is how many reports of other edges are in the tally.
	Heard uint64 `json:"heard,omitempty"`
	// Warmth is how green was warmed; nil: it was not, or not yet.
	Warmth *Warmth `json:"warmth,omitempty"`
	// Timeline and Curve tell afterwards how it went: nothing is decided by them.
	Timeline []Moment `json:"timeline,omitempty"`
	Curve    []Point  `json:"curve,omitempty"`
}

// Warmth is what asking green for what the others were asked for came to. It is no evidence: no client was there.
type Warmth struct {
	// Pages is how many were known, Requests how many answers there were, from all targets, Failed how many of those were errors.
	Pages    int           `json:"pages"`
	Requests int           `json:"requests"`
	Failed   int           `json:"failed"`
	Took     time.Duration `json:"took"`
}

// cold reports a green that is still to be warmed: one that has clients already needs none of that.
func (s *State) cold() bool {
	return s.Step == 0 && s.Options.Prewarm > 0 && s.Warmth == nil && s.Base[s.To] == 0
}

// Check refuses a stored state that cannot be gone on with.
func (s *State) Check() error {
	if err := s.Options.Check(); err != nil {
		return fmt.Errorf("rollout: %w", err)
	}
	switch s.Phase {
	case Running, Holding, Promoted, RolledBack, Aborted:
	default:
		return fmt.Errorf("rollout: phase %q is unknown", s.Phase)
	}
	if s.Step < 0 || s.Step > len(s.Options.Steps) {
		return fmt.Errorf("rollout: step %d of %d", s.Step, len(s.Options.Steps))
	}
	sum := uint64(0)
	for _, w := range s.Base {
		sum += uint64(w)
	}
	if base, named := s.Base[s.To]; !named || sum != balancer.WeightSum || base == balancer.WeightSum {
		return fmt.Errorf("rollout: weights %v before it, to %s", s.Base, s.To)
	}
	_, err := restore(s.Options, s.Tally)
	return err
}

// Share is green's weight now, in hundredths of a percent.
func (s *State) Share() uint32 {
	switch {
	case s.Phase == Promoted:
		return balancer.WeightSum
	case s.Phase == RolledBack:
		return 0
	case s.Phase == Aborted || s.Step == 0:
		return s.Base[s.To]
	}
	return s.Options.Steps[s.Step-1]
}

// enter puts a progress in the place of the state's own. A step whose weight was found on the way becomes one of the list.
func (s *State) enter(p Progress) {
	if at := p.Step - 1; p.Step > s.Step && p.Weight > 0 && s.Options.Steps[at] != p.Weight {
		s.Options.Steps = slices.Insert(slices.Clone(s.Options.Steps), at, p.Weight)
	}
	s.Progress = p
}

// Weights are those that the state wants in force: green's share, and the rest for the others as they shared it before. They sum to the whole exactly.
func (s *State) Weights() map[string]uint32 {
	share := s.Share()
	if share == s.Base[s.To] {
		return s.Base
	}
	weights := map[string]uint32{}
	rest, of := balancer.WeightSum-share, balancer.WeightSum-s.Base[s.To]
	left, largest := rest, ""
	for name, w := range s.Base {
		if name == s.To {
			continue
		}
		weights[name] = uint32(uint64(rest) * uint64(w) / uint64(of))
		left -= weights[name]
		if largest == "" || w > s.Base[largest] || w == s.Base[largest] && name < largest {
			largest = name
		}
	}
	weights[largest] += left // what rounding down left over
	weights[s.To] = share
	return weights
}

// warm reports whether what ends now is of the warm-up.
func (s *State) warm() bool { return s.Step > 0 && s.Tally.Served < s.Options.WarmUp }
