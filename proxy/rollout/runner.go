package rollout

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Edge is the server as a rollout sees it.
type Edge interface {
	// Sample is what has happened since the last call.
	Sample() Sample
	// Freeze makes answers that take as long as limits say count as slow from now on.
	Freeze(limits Limits)
	// Settle takes the lock that orders writes and calls decide. If that says so, it stores the state, puts its weights in force and calls accept, all under the
	// lock. A state that is over is put in force even if it cannot be stored. decide and accept do not wait.
	Settle(decide func() (State, bool), accept func()) error
}

const (
	// tick is the time between two looks.
	tick = 50 * time.Millisecond

	// keepEvery is how old a stored state gets: what a kill costs is evidence, not safety.
	keepEvery = 5 * time.Second
)

// Runner is a rollout under way. Its goroutine ends with the rollout or with Close.
type Runner struct {
	edge   Edge
	now    func() int64 // ns, monotonic
	failed func(error)  // told of what could not be stored, once for each row of failures

	// mu guards machine: the goroutine and the admin API look at it. It is held for arithmetic only, and never while Settle is waited for.
	mu      sync.Mutex
	machine *Machine
	term    uint64 // of machine; guarded by mu

	stop chan struct{}
	once sync.Once // of closing stop
	done chan struct{}

	// The goroutine's own.
	kept    int64
	failing bool
}

// RunnerOptions is what a Runner works with.
type RunnerOptions struct {
	Edge Edge
	// Now is the time in ns on a monotonic clock.
	Now func() int64
	// Failed is told when a state cannot be stored.
	Failed func(error)
}

// Start goes on with a machine until its rollout is over.
func Start(m *Machine, o RunnerOptions) *Runner {
	r := &Runner{edge: o.Edge, now: o.Now, failed: o.Failed, machine: m, stop: make(chan struct{}), done: make(chan struct{}), kept: o.Now()}
	go r.run()
	return r
}

// Close ends the goroutine and waits for it. The rollout stays as it is. It must not be called under the lock that Settle takes.
func (r *Runner) Close() {
	r.Stop()
	<-r.done
}

// Stop lets the goroutine end without waiting for it.
func (r *Runner) Stop() { r.once.Do(func() { close(r.stop) }) }

// Over reports that the rollout has ended.
func (r *Runner) Over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.state.Phase.Over()
}

// View is the rollout now.
func (r *Runner) View() View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.View()
}

// State is what to store of it now.
func (r *Runner) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.State()
}

// Accept says that a progress is in force. Who calls it holds the lock that Settle takes.
func (r *Runner) Accept(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine.Accept(p)
	r.machine.state.Timeline = r.machine.state.noted(time.Now())
}

// Resume goes on with a state of the same rollout that another edge has stored, in a term of its own: samples of earlier terms are not taken in. Who calls it holds the lock that
// Settle takes.
func (r *Runner) Resume(s State, term uint64) error {
	m, err := NewMachine(s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m.now, m.green, m.rest = r.machine.now, r.machine.green, r.machine.rest
	r.machine, r.term = m, term
	return nil
}

func (r *Runner) run() {
	defer close(r.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !r.look() {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
		}
	}
}

// look takes in what happened and has carried out what is due. It reports the end of the rollout.
func (r *Runner) look() (over bool) {
	now := r.now()
	sample := r.edge.Sample()
	r.mu.Lock()
	if sample.Term != r.term { // taken for a machine that is no more: whoever put this one in its place knows what became of them
		sample.Lots, sample.Heard = nil, 0
	}
	before := r.machine.state.Tally.Limits
	next, due := r.machine.Step(now, sample)
	limits := r.machine.state.Tally.Limits
	r.machine.trace(time.Now(), due && next.Phase.Over())
	if due && !moves(r.machine.state.Progress, next) {
		r.machine.Accept(next)
		due = false
	}
	due = due && sample.Part.may(next)
	over = r.machine.state.Phase.Over()
	r.mu.Unlock()
	if limits != before {
		r.edge.Freeze(limits)
	}
	switch {
	case over:
		return true
	case due:
		r.settle(now, r.due)
	case sample.Part == Leads && now-r.kept >= int64(keepEvery):
		r.settle(now, func() (State, bool) { s := r.State(); return s, !s.Phase.Over() })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.state.Phase.Over()
}

// moves reports a change that has to be stored: the others are another word for the same weights.
func moves(from, to Progress) bool { return from.Step != to.Step || to.Phase.Over() }

// due is what is due now. It asks the machine again: an operator may have been faster to the lock.
func (r *Runner) due() (State, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, changed := r.machine.Due()
	s := r.machine.State()
	if !changed || !moves(s.Progress, next) {
		return s, false
	}
	if next.Phase.Over() {
		next.Ended = time.Now().UTC()
	}
	s.enter(next)
	s.Timeline = s.noted(time.Now())
	return s, true
}

func (r *Runner) settle(now int64, decide func() (State, bool)) {
	var agreed Progress
	err := r.edge.Settle(func() (State, bool) {
		s, ok := decide()
		agreed = s.Progress
		return s, ok
	}, func() { r.Accept(agreed) })
	r.kept = now
	if err != nil && !r.failing {
		r.failed(err)
	}
	r.failing = err != nil
}

// Command is what an operator can say of a rollout under way.
type Command string

// The commands. Promote gives green everything at once, Abort restores the weights from before; both end the rollout.
const (
	Pause   Command = "pause"
	Resume  Command = "resume"
	Promote Command = "promote"
	Abort   Command = "abort"
)

// ErrOver is returned for a command to a rollout that has ended.
var ErrOver = errors.New("the rollout is over")

// Told is the state that a command by somebody leads to. It is in force after Accept. Who calls it holds the lock that Settle takes.
func (r *Runner) Told(c Command, by string) (State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.machine.State()
	if s.Phase.Over() {
		return s, fmt.Errorf("%w: %s", ErrOver, s.Phase)
	}
	switch c {
	case Pause:
		s.Paused = by
		s.Phase, s.Reason = Holding, "paused by "+by
	case Resume:
		s.Paused = ""
		s.Phase, s.Reason = Running, ""
	case Promote:
		s.Step, s.Weight = len(s.Options.Steps), 0
		s.Phase, s.Reason = Promoted, "promoted by "+by
	case Abort:
		s.Phase, s.Reason = Aborted, "aborted by "+by
	default:
		return s, fmt.Errorf("rollout command %q is unknown", c)
	}
	if s.Phase.Over() {
		s.Ended = time.Now().UTC()
	}
	s.Timeline = s.noted(time.Now())
	return s, nil
}

// Dropped is the state of a rollout whose weights somebody else has changed.
func (r *Runner) Dropped(reason string) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.machine.State()
	if !s.Phase.Over() {
		s.Phase, s.Reason, s.Ended = Aborted, reason, time.Now().UTC()
		s.Timeline = s.noted(time.Now())
	}
	return s
}
