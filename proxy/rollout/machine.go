package rollout

import (
	"fmt"
	"math"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// Machine is a rollout without clock and lock: Step tells it what happened and returns what is to change, Accept says that the change is in force.
type Machine struct {
	state State
	judge judge

	now         int64 // of the last Step; 0: none yet
	green, rest bool  // live at the last Step
}

// NewMachine goes on with a state, a stored one or one that Begin made.
func NewMachine(s State) (*Machine, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	j, err := restore(s.Options, s.Tally)
	if err != nil {
		return nil, err
	}
	return &Machine{state: s, judge: j}, nil
}

const (
	// longestTick bounds what one Step adds to the time in a step: a process that was suspended has not watched.
	longestTick = time.Second

	// lossGrace is for how long green may be without a live target. Its share fails over meanwhile, or is refused if the service wants that.
	lossGrace = 2 * time.Second

	// tripRequests and tripRatio are the tripwire: of so many requests in a step so large a part failed, and the others' part is less than half of that.
	tripRequests = 20
	tripRatio    = 0.5
)

// Step takes in what happened until now (ns of a monotonic clock) and returns the progress that is due, and whether it is another one than the one in force.
func (m *Machine) Step(now int64, s Sample) (Progress, bool) {
	m.observe(now, &s)
	return m.Due()
}

func (m *Machine) observe(now int64, s *Sample) {
	passed := time.Duration(0)
	if m.now != 0 {
		passed = min(max(0, time.Duration(now-m.now)), longestTick)
	}
	m.now, m.green, m.rest = now, s.GreenLive, s.OthersLive
	if m.state.Phase.Over() {
		return
	}
	if m.state.cold() {
		m.state.Warmth = s.Warmth
	}
	m.state.Heard += s.Heard
	t, warm := &m.state.Tally, m.state.warm()
	if m.state.Step > 0 {
		t.Held += passed
		t.Served += passed
		t.Lost += passed
		if s.GreenLive {
			t.Lost = 0
		}
	}
	for i := range s.Lots {
		m.count(&s.Lots[i], warm)
	}
	if t.Limits == (Limits{}) && m.state.Options.Latency {
		t.Limits, _ = freeze(s.Latencies)
	}
}

func (m *Machine) count(l *Lot, warm bool) {
	t := &m.state.Tally
	t.Green.add(l.Green)
	t.Others.add(l.Others)
	if l.Step == m.state.Step {
		t.InStep.Green.add(l.Green)
		t.InStep.Others.add(l.Others)
	}
	if l.Share < 1 {
		t.Harm.Observe(m.state.Options.Tolerance, l.Share/(1-l.Share), l.Green.Failed, l.Others.Failed)
	}
	if warm {
		return
	}
	if l.Step == m.state.Step {
		t.Judged += l.Green.Requests
	}
	m.judge.observe(l)
}

// Due is the progress that is due by what was seen until now.
func (m *Machine) Due() (Progress, bool) {
	next := m.state.Progress
	if !next.Phase.Over() {
		m.decide(&next)
	}
	return next, next != m.state.Progress
}

func (m *Machine) decide(p *Progress) {
	p.Phase, p.Cause, p.Reason = Running, "", ""
	if m.state.Step > 0 {
		if cause, reason := m.guilty(); cause != "" {
			if !m.rest {
				p.Phase, p.Reason = Holding, reason+"; no other group has a live target to go back to"
				return
			}
			p.Phase, p.Cause, p.Reason = RolledBack, cause, reason
			return
		}
	}
	switch {
	case p.Paused != "":
		p.Phase, p.Reason = Holding, "paused by "+p.Paused
	case !m.green && m.state.Step == 0: // what was healthy before does not count: it may have been restarted since
		p.Phase, p.Reason = Holding, m.state.To+" has no live target by a check since the rollout began"
	case !m.green:
		p.Phase, p.Reason = Holding, m.state.To+" has no live target"
	case m.state.cold():
		p.Reason = m.state.To + " is asked for what the others were asked for lately, to be warm"
	case m.state.Step == 0:
		p.Step = 1
	case m.state.Tally.Held >= m.hold():
		m.advance(p)
	}
}

// advance is what follows a step whose time has passed.
func (m *Machine) advance(p *Progress) {
	switch missing, _ := m.missing(); {
	case math.IsInf(missing, 1):
		p.Phase, p.Reason = Holding, fmt.Sprintf("the other groups fail so often that %s cannot be judged by them", m.state.To)
	case missing > 0:
		p.Phase, p.Reason = Holding, m.state.To+" has not served enough at this step to be judged by"
	case m.state.Step < len(m.state.Options.Steps):
		weight := m.next()
		if weight == 0 {
			p.Phase, p.Reason = Holding, fmt.Sprintf("%s could be so bad, by what it has served, that a larger weight might cost more than max_harm", m.state.To)
			return
		}
		p.Step, p.Weight = p.Step+1, 0
		if weight != m.state.Options.Steps[m.state.Step] {
			p.Weight = weight
		}
	default:
		p.Phase = Promoted
	}
}

// hold is the least time in the step in force.
func (m *Machine) hold() time.Duration {
	if m.state.Step == len(m.state.Options.Steps) {
		return m.state.Options.Bake
	}
	return m.state.Options.Hold
}

// guilty says why green has to go; nothing as long as it may stay.
func (m *Machine) guilty() (Cause, string) {
	t, o := &m.state.Tally, &m.state.Options
	green, others := &t.InStep.Green, &t.InStep.Others
	if others.Requests < tripRequests {
		others = &t.Others
	}
	harm := m.harm()
	switch log := m.judge.log(); {
	case log >= -math.Log(o.Alpha):
		return CauseEvidence, fmt.Sprintf("evidence %s of %s, by %s: %s failed %d of %d requests, the other groups %d of %d", figure(log), figure(-math.Log(o.Alpha)), m.judge.leading(),
			m.state.To, t.Green.Failed, t.Green.Requests, t.Others.Failed, t.Others.Requests)
	case harm.Beyond(float64(o.MaxHarm)):
		return CauseHarm, fmt.Sprintf("%.0f failed requests beyond what is tolerated, more than %d", harm.Events, o.MaxHarm)
	case green.Requests >= tripRequests && green.failing() >= tripRatio && others.failing() < green.failing()/2:
		return CauseErrors, fmt.Sprintf("%s failed %d of its %d requests at this step", m.state.To, green.Failed, green.Requests)
	case t.Lost >= lossGrace:
		return CauseUnhealthy, m.state.To + " has lost its last live target"
	}
	return "", ""
}

// harm is what green has cost. At a share of 1 there is nobody to compare with at the time, so what the others did before is the measure.
func (m *Machine) harm() balancer.Excess {
	t := &m.state.Tally
	h := t.Harm
	if m.state.Share() == balancer.WeightSum {
		odds := 0.0
		if t.Others.Requests > 0 {
			odds = float64(t.InStep.Green.Requests) / float64(t.Others.Requests)
		}
		h.Observe(m.state.Options.Tolerance, odds, t.InStep.Green.Failed, t.Others.Failed)
	}
	return h
}

// missing is how many requests green has yet to serve at the step in force, of all that it has to; infinitely many when no number will do.
func (m *Machine) missing() (missing, of float64) {
	t, o := &m.state.Tally, &m.state.Options
	if m.state.Step == 0 {
		return 0, 0
	}
	need, ok := balancer.Requirement{
		Share: float64(m.state.Share()) / balancer.WeightSum,
		// Half an event more than was seen: no errors in ten requests are not no errors.
		Rate:   (float64(t.Others.Errors) + 0.5) / (float64(t.Others.Requests) + 1),
		Effect: o.MinEffect, Tolerated: o.Tolerance, Threshold: -math.Log(o.Alpha * m.judge.part()),
	}.Green()
	if !ok {
		return math.Inf(1), math.Inf(1)
	}
	return max(0, need-float64(t.Judged)), need
}

// Accept says that a progress is in force. A new step counts from nothing.
func (m *Machine) Accept(p Progress) {
	if p.Step != m.state.Step {
		t := &m.state.Tally
		t.InStep, t.Judged, t.Held, t.Lost = Pair{}, 0, 0, 0
	}
	m.state.enter(p)
}

// State is everything, to be stored.
func (m *Machine) State() State {
	s := m.state
	s.Tally.Errors, s.Tally.Slow95, s.Tally.Slow99 = m.judge.errors.State(), m.judge.slow95.State(), m.judge.slow99.State()
	return s
}

// figure is e to the power of log, as people read it.
func figure(log float64) string {
	switch {
	case log > 13.8:
		return "over 1000000"
	case log > 4.6:
		return fmt.Sprintf("%.0f", math.Exp(log))
	}
	return fmt.Sprintf("%.3g", math.Exp(log))
}
