package rollout

import (
	"time"

	"github.com/valor-ivx/weir/balancer"
)

const (
	// mostCompared is the largest weight that is found on the way: beyond the half there are fewer others than green, an error of green says little, and the next step is all.
	mostCompared = balancer.WeightSum / 2

	// leastGrowth is what a step has to bring, as a part of the weight in force: smaller ones cost a hold each for nothing. At a quarter 39 steps lead from the least
	// weight to the half, fewer than a list may have.
	leastGrowth = 4

	// mostGrowth is how many times the weight in force the next one may be: the budget speaks of what fails at this load, and what fails under ten times of it shows only there.
	mostGrowth = 10

	// leastExposed is for how long a weight is taken to be in force at least: with a hold of nothing a bad green still needs seconds to be found out.
	leastExposed = 10 * time.Second
)

// next is the weight of the step after the one in force, as it would be now; 0 where there is none, or none yet.
func (m *Machine) next() uint32 {
	s := &m.state
	switch {
	case s.Phase.Over() || s.Step == len(s.Options.Steps):
		return 0
	case s.Step == 0 || s.Options.Pace != PaceEvidence:
		return s.Options.Steps[s.Step]
	}
	now := s.Share()
	if mostGrowth*now >= balancer.WeightSum && m.headroom(s.Options.Bake) >= 1 {
		return balancer.WeightSum
	}
	weight := min(mostCompared, mostGrowth*now, uint32(m.headroom(s.Options.Hold)*balancer.WeightSum))
	if weight < now+max(1, now/leastGrowth) {
		return 0
	}
	return weight
}

// headroom is the share that the harm budget allows for a time, at the traffic of the step in force.
func (m *Machine) headroom(exposed time.Duration) float64 {
	t := &m.state.Tally
	if t.Held <= 0 {
		return 0
	}
	rate := float64(t.InStep.Green.Requests+t.InStep.Others.Requests) / t.Held.Seconds()
	harm := m.harm()
	return balancer.Headroom{
		GreenRequests: t.Green.Requests, GreenFailed: t.Green.Failed, OthersRequests: t.Others.Requests, OthersFailed: t.Others.Failed,
		Tolerated: m.state.Options.Tolerance, Budget: float64(m.state.Options.MaxHarm) - max(0, harm.Events), Coming: rate * max(exposed, leastExposed).Seconds(),
	}.Share()
}
