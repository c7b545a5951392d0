package rollout

import (
	"math"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// View is a rollout as an operator sees it.
type View struct {
	State
	// Evidence is the e-value against green, at most 1e12, and Threshold that which rolls back.
	Evidence, Threshold float64
	// Harm is how many requests green has failed beyond the tolerated ones; less than 0 where it does better.
	Harm float64
	// Hold is the least time in the step, of which State.Tally.Held has passed.
	Hold time.Duration
	// Next is the weight of the next step, as it would be now; 0 where there is none, or where the harm budget allows none yet.
	Next uint32
	// Needs is how many requests green has yet to serve at this step, -1 when no number will do, and NeedsTime how long that takes as fast as they have come at this
	// step; 0 while that is not known.
	Needs     float64
	NeedsTime time.Duration
}

// mostEvidence is what evidence is shown as at most: a JSON number that every reader can hold.
const mostEvidence = 1e12

// View is the machine at its last Step.
func (m *Machine) View() View {
	harm := m.harm()
	v := View{
		State: m.State(), Evidence: math.Min(mostEvidence, math.Exp(m.judge.log())), Threshold: 1 / m.state.Options.Alpha,
		Harm: harm.Events, Hold: m.hold(), Next: m.next(),
	}
	if m.state.Phase.Over() {
		return v
	}
	missing, _ := m.missing()
	if v.Needs = missing; math.IsInf(missing, 1) {
		v.Needs = -1
		return v
	}
	if t := &m.state.Tally; missing > 0 && t.Judged > 0 {
		seconds := missing / float64(t.Judged) * t.Held.Seconds()
		v.NeedsTime = time.Duration(min(seconds, float64(math.MaxInt64/int64(time.Second)-1)) * float64(time.Second))
	}
	return v
}

// Served is the part of all weights that green has, 0 to 1.
func (v *View) Served() float64 { return float64(v.Share()) / balancer.WeightSum }
