package server

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// conferEvery is the time between two looks at what the replicas share: a change is in force everywhere within it, and an idle replica costs Redis five small reads a second.
const conferEvery = 200 * time.Millisecond

// replicas is what a Server keeps of the others.
type replicas struct {
	known    atomic.Pointer[cluster.Revision] // of Server.runtime; written under Server.mu
	wrong    atomic.Pointer[string]           // why their overlay is not taken over; nil or "": it is
	lone     atomic.Bool                      // Server.runtime has what the others have not heard of; likewise
	uncopied bool                             // the copy on this machine is old; under Server.mu

	generation uint64 // at the last look; the goroutine's own

	// stop ends the goroutine, done is closed when it has ended; nil: there is none. Start, upgrade and shutdown come one after the other.
	stop, done chan struct{}
}

// confers begins the goroutine that looks at what the replicas share. It ends with dissolve.
func (s *Server) confers() {
	if s.replicas.stop != nil {
		return
	}
	stop, done := make(chan struct{}), make(chan struct{})
	s.replicas.stop, s.replicas.done = stop, done
	go func() {
		defer close(done)
		ticker := time.NewTicker(conferEvery)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				s.confer()
			}
		}
	}()
}

// dissolve ends that goroutine. Not under Server.mu.
func (s *Server) dissolve() {
	if s.replicas.stop == nil {
		return
	}
	close(s.replicas.stop)
	<-s.replicas.done
	s.replicas.stop = nil
}

// confer is one look: what the others have changed, and the rollouts under way.
func (s *Server) confer() {
	l := s.cluster.Load()
	if l == nil || !l.State().Up {
		return
	}
	s.catchUp(l)
	for _, r := range s.rollouts.all() {
		if !r.runner.Over() {
			s.tend(l, r)
		}
	}
}

// catchUp takes in what the replicas have, if that is new here.
func (s *Server) catchUp(l *link) {
	known := *s.replicas.known.Load()
	document, at, err := l.Document(known)
	if err != nil {
		return // the link says so
	}
	g := s.current.Load()
	reloaded := g.number != s.replicas.generation // a rollout may have found or lost what it needs
	if at == known && !s.replicas.lone.Load() && !reloaded {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster.Load() != l || s.runtime.Revision != known {
		return // changed meanwhile: the next look is about that
	}
	if err := (sharedStore{s, l}).receive(document, at); err != nil {
		if l.State().Up { // else the link says so
			s.misread(err)
		}
		return
	}
	s.misread(nil)
	if reloaded {
		s.replicas.generation = s.current.Load().number
		if s.alignAll() {
			s.republish()
		}
	}
}

// alignAll is align for every service. Under Server.mu.
func (s *Server) alignAll() (changed bool) {
	for name := range s.current.Load().services {
		changed = s.align(name) || changed
	}
	return changed
}

// misread remembers what is wrong with the replicas' overlay, for status, and says it once.
func (s *Server) misread(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if was := s.replicas.wrong.Swap(&text); err != nil && (was == nil || *was != text) {
		s.log.Error("the replicas' overlay is not taken over: what is in force here stays", observe.Err(err))
	}
}

// trialName is a rollout's name among the replicas.
func trialName(service string, state *rollout.State) string {
	return fmt.Sprintf("%s:%d", service, state.Started.UnixNano())
}

func (r *rolling) trial() string { return trialName(r.service, &rollout.State{Started: r.started}) }

// tend does what a rollout under way wants of the others: reports go to the one that leads, which renews its lease and takes them in. When nobody leads, this replica tries to.
func (s *Server) tend(l *link, r *rolling) {
	if s.stopping.Load() && r.seat.leading() {
		s.resign(r)
	}
	batch, text := r.seat.report()
	holder, arrived, err := l.Report(r.trial(), batch, text)
	if err != nil {
		return
	}
	r.seat.reported(holder, arrived)
	switch {
	case holder == "" && !s.stopping.Load():
		s.takeOver(l, r)
	case holder == l.Replica() && r.seat.leading():
		heard, _ := r.seat.position()
		asked := time.Now() // the lease is renewed later than that
		if holder, reports, err := l.Hold(r.trial(), heard); err == nil && holder == l.Replica() {
			r.seat.hear(reports, asked.Add(cluster.LeaseLife))
		}
	}
}

// takeOver makes this replica the one that leads a rollout that nobody leads. The write that says so is refused if anything has changed, and those of whoever led before are refused
// after it.
func (s *Server) takeOver(l *link, r *rolling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.runtime.Services[r.service]
	if s.cluster.Load() != l || s.rollouts.get(r.service) != r || r.runner.Over() || s.stopping.Load() || set.Rollout == nil || set.Rollout.Phase.Over() || s.unresumable(r.service) != "" {
		return
	}
	state := *set.Rollout
	if r.seat.leading() && set.Owner == l.Replica() { // its own lease has run out, and nobody else has asked for one: it knows more than is stored
		state = r.runner.State()
	}
	before := set.Owner
	set.Owner, set.Rollout = l.Replica(), &state
	stored, err := s.store().save(s.runtime.with(r.service, set), &cluster.Stake{Trial: r.trial(), Heard: state.Heard})
	if err != nil {
		return // another was faster, or Redis is away: the next look tells
	}
	s.put(stored)
	s.sit(r, state, true)
	r.seat.reported(l.Replica(), false)
	s.log.Info("this replica leads the rollout from now on", zap.String(observe.KeyService, r.service), zap.Int("weir.step", state.Step), zap.String("weir.before", before))
}

// resign leaves a rollout to the others, with all that was learnt.
func (s *Server) resign(r *rolling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveUp(r)
}

// giveUp stores what the one that leads has learnt and gives its lease back. If that fails the lease runs out, and what was learnt since the last time is lost. Under Server.mu.
func (s *Server) giveUp(r *rolling) {
	set := s.runtime.Services[r.service]
	state := r.runner.State()
	if set.Rollout == nil || set.Rollout.Phase.Over() || !set.Rollout.Started.Equal(state.Started) {
		return
	}
	s.sit(r, state, false)
	set.Owner, set.Rollout = "", &state
	stored, err := s.store().save(s.runtime.with(r.service, set), &cluster.Stake{Trial: r.trial(), Leave: true, Heard: state.Heard})
	if err != nil {
		s.log.Warn("rollout not handed over: another replica goes on with it when the lease of this one has run out", zap.String(observe.KeyService, r.service), observe.Err(err))
		return
	}
	s.put(stored)
}

// partWith is the end of this process's part in a rollout under way. Under Server.mu, when the rollout's goroutine has ended.
func (s *Server) partWith(l *link, r *rolling) {
	if r.seat.leading() {
		s.giveUp(r)
		return
	}
	r.Sample() // what was counted since the last look
	for range 2 {
		batch, text := r.seat.report()
		if text == "" {
			return
		}
		holder, arrived, err := l.Report(r.trial(), batch, text)
		if err != nil {
			return
		}
		r.seat.reported(holder, arrived)
	}
}

// stake is a rollout's at a write of its state; nil: this process does not lead it.
func (r *rolling) stake(state *rollout.State) *cluster.Stake {
	if !r.seat.leading() {
		return nil
	}
	return &cluster.Stake{Trial: r.trial(), Leave: state.Phase.Over(), Heard: state.Heard}
}

// leader is the replica that leads a service's rollout under way; "" without [cluster], or when nobody does.
func (s *Server) leader(service string) string {
	l, r := s.cluster.Load(), s.rollouts.get(service)
	if l == nil || r == nil || r.runner.Over() {
		return ""
	}
	_, holder := r.seat.position()
	return holder
}
