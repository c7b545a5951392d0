package server

import (
	"bytes"
	"encoding/json"
	"errors"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// adopt puts in force what other replicas have changed. Under Server.mu; before the first generation it is only remembered.
func (s *Server) adopt(next overlay) {
	before := s.runtime
	s.runtime = next
	defer func() { s.put(s.runtime) }() // last: who reads its revision, without the lock, finds it in force
	g := s.current.Load()
	if g == nil {
		return
	}
	changed := false
	for name := range g.services {
		was, is := before.Services[name], next.Services[name]
		if !was.likeBut(is) {
			changed = true
			s.log.Info("overlay of another replica in force", zap.String(observe.KeyService, name), zap.String("weir.by", is.By), zap.Uint64("weir.revision", next.Revision.Number))
		}
		changed = s.align(name) || changed
	}
	if changed {
		s.republish()
	}
}

// likeBut reports that two overlays of a service differ in what is known of a rollout only.
func (s serviceOverlay) likeBut(o serviceOverlay) bool {
	s.Rollout, s.Owner, s.Alone = nil, "", false
	o.Rollout, o.Owner, o.Alone = nil, "", false
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(o)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// align makes this process carry out the rollout that the overlay says is under way, and no other. It reports whether the snapshot has to be built anew. Under Server.mu.
func (s *Server) align(name string) (changed bool) {
	set, r := s.runtime.Services[name], s.rollouts.get(name)
	state := set.Rollout
	live := r != nil && !r.runner.Over()
	same := r != nil && state != nil && r.started.Equal(state.Started)
	switch {
	case state == nil && live:
		ended := r.runner.Dropped("its weights were reset to the file's")
		s.drop(r, &ended)
		return true
	case state == nil || state.Phase.Over() && !live:
		if r != nil && !same {
			s.rollouts.remove(name) // what is stored is newer
		}
		return false
	case state.Phase.Over() && same:
		s.endHere(r, state)
		return true
	case live && same && s.unresumable(name) == "":
		return s.heed(r, set)
	}
	if live {
		s.abandon(r)
		changed = true
	}
	if state.Phase.Over() || s.unresumable(name) != "" {
		s.rollouts.remove(name)
		return changed
	}
	return s.join(name, state) || changed
}

// endHere is the end of a rollout that another replica has decided.
func (s *Server) endHere(r *rolling, state *rollout.State) {
	s.sit(r, *state, false)
	s.drop(r, state)
	switch state.Phase {
	case rollout.Promoted:
		s.incidents.good(r.service, s.current.Load().plan.config)
	case rollout.RolledBack:
		s.rolledBack(r)
	}
}

// abandon lets go of a rollout that is not this process's business any more, whatever becomes of it.
func (s *Server) abandon(r *rolling) {
	r.cool()
	r.runner.Stop()
	s.counters[r.service].trial = nil
	s.rollouts.remove(r.service)
}

// join begins to take part in a rollout that another replica has begun, or that this one left when it was restarted.
func (s *Server) join(name string, state *rollout.State) bool {
	m, err := rollout.NewMachine(*state)
	if err != nil {
		s.log.Error("rollout of the other replicas not understood: its weights are in force here, and nothing is counted", zap.String(observe.KeyService, name), observe.Err(err))
		return false
	}
	r := s.begin(name, m, false)
	if state.Step > 0 {
		s.counters[name].trial = r.open(s.current.Load().services[name], state)
	}
	s.log.Info("rollout joined", zap.String(observe.KeyService, name), zap.String(observe.KeyGroup, state.To), zap.Int("weir.step", state.Step))
	return true
}

// heed takes in how far a rollout has come by what is stored of it. The one that leads knows more of the evidence, and learns only what others have told it to do.
func (s *Server) heed(r *rolling, set serviceOverlay) (changed bool) {
	state := set.Rollout
	if l := s.cluster.Load(); l != nil && r.seat.leading() && set.Owner == l.Replica() {
		if p := r.runner.State().Progress; p.Step != state.Step || p.Paused != state.Paused {
			r.runner.Accept(state.Progress)
		}
	} else {
		s.sit(r, *state, false)
		if l := state.Tally.Limits; l != (rollout.Limits{}) && state.Options.Latency {
			r.Freeze(l)
		}
	}
	if state.Step == r.step || state.Step == 0 {
		return false
	}
	s.counters[r.service].trial = r.open(s.current.Load().services[r.service], state)
	s.tellRollout(r.service, state)
	return true
}

// sit goes on with a stored state, as the one that leads or as one that follows.
func (s *Server) sit(r *rolling, state rollout.State, leads bool) {
	if err := r.runner.Resume(state, r.seat.take(leads, state.Heard)); err != nil && !errors.Is(err, rollout.ErrOver) {
		s.log.Error("rollout of the other replicas not understood", zap.String(observe.KeyService, r.service), observe.Err(err))
	}
}
