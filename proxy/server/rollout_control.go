package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// Rollout implements admin.Control.
func (c control) Rollout(name string) (admin.Rollout, error) {
	g := c.s.current.Load()
	if g.services[name] == nil {
		return admin.Rollout{}, admin.ErrNotFound
	}
	if v, ok := c.s.view(g, name); ok {
		r := told(&v)
		r.Leader = c.s.leader(name)
		return r, nil
	}
	return admin.Rollout{}, admin.ErrNoRollout
}

// StartRollout implements admin.Control.
func (c control) StartRollout(_ context.Context, name string, q admin.RolloutRequest, ch admin.Change) (before, after admin.Service, err error) {
	err = c.s.insist(func() (err error) {
		before, after, err = c.s.tryRollout(name, q, ch)
		return err
	})
	return before, after, err
}

// tryRollout is a start as things stand. Under Server.mu.
func (s *Server) tryRollout(name string, q admin.RolloutRequest, ch admin.Change) (before, after admin.Service, err error) {
	g := s.current.Load()
	if before, err = s.writable(g, name, ch); err != nil {
		return before, after, err
	}
	if r := s.rollouts.get(name); r != nil && !r.runner.View().Phase.Over() {
		return before, after, &admin.BusyError{Detail: fmt.Sprintf("a rollout to %s is under way, started by %s: abort or promote it first", r.to, r.runner.View().By)}
	}
	weights := map[string]uint32{}
	for _, share := range g.sharesOf(name) {
		weights[share.Name] = share.Weight
	}
	if len(s.runtime.Services[name].Groups) > 0 {
		return before, after, refusedRollout(errMarked)
	}
	state, err := rollout.Begin(q.To, ch.By, weights, rolloutOptions(g.config(name), q))
	if err != nil {
		return before, after, refusedRollout(err)
	}
	// Stored before anything watches it: what the 200 says survives a kill that follows it.
	set := s.runtime.Services[name].fitting(g.groupNames(name))
	set.Weights, set.Since, set.By, set.Rollout = weights, time.Now().UTC(), "rollout started by "+ch.By, &state
	m, err := rollout.NewMachine(state)
	if err != nil {
		return before, after, refusedRollout(err)
	}
	var stake *cluster.Stake
	if l := s.cluster.Load(); l != nil {
		set.Owner, stake = l.Replica(), &cluster.Stake{Trial: trialName(name, &state)}
	}
	next, err := s.store().save(s.runtime.with(name, set), stake)
	if err != nil {
		return before, after, err
	}
	s.put(next)
	s.republish()
	s.begin(name, m, true)
	s.tellRollout(name, &state)
	return before, s.seen(name), nil
}

var errMarked = errors.New("a group of the service drains or is evicted: weights are then not what clients are dealt by")

// refusedRollout is a start that asks for what cannot be.
func refusedRollout(err error) error {
	return &admin.InvalidError{Title: "rollout not acceptable", Details: []admin.Detail{{Message: err.Error()}}}
}

// writable is a service that a write may change, as it is now. Under Server.mu.
func (s *Server) writable(g *generation, name string, c admin.Change) (before admin.Service, err error) {
	switch {
	case s.stopping.Load() && !s.handed.Load():
		return before, admin.ErrStopping
	case s.upgrading.Load():
		return before, busy()
	case g.services[name] == nil:
		return before, admin.ErrNotFound
	}
	before = s.describe(g, name)
	if !c.Match.Holds(before.Version) {
		return before, admin.ErrConflict
	}
	return before, nil
}

// rolloutOptions are the service's, with what the request says in their place.
func rolloutOptions(c *configs.Rollout, q admin.RolloutRequest) rollout.Options {
	o := rollout.Options{
		Pace: rollout.Pace(c.Pace), Hold: c.Hold, Bake: c.Bake, Prewarm: c.Prewarm, WarmUp: c.WarmUp, Tolerance: c.Tolerance, Alpha: c.Alpha, MaxHarm: c.MaxHarm, MinEffect: c.MinEffect, Latency: c.Latency,
	}
	for _, w := range c.Steps {
		o.Steps = append(o.Steps, uint32(w))
	}
	if q.Steps != nil {
		o.Steps = nil
		for _, w := range q.Steps {
			o.Steps = append(o.Steps, uint32(w))
		}
	}
	replace(&o.Pace, (*rollout.Pace)(q.Pace))
	replace(&o.Hold, (*time.Duration)(q.Hold))
	replace(&o.Bake, (*time.Duration)(q.Bake))
	replace(&o.Prewarm, (*time.Duration)(q.Prewarm))
	replace(&o.WarmUp, (*time.Duration)(q.WarmUp))
	replace(&o.Tolerance, q.Tolerance)
	replace(&o.Alpha, q.Alpha)
	replace(&o.MaxHarm, q.MaxHarm)
	replace(&o.MinEffect, q.MinEffect)
	replace(&o.Latency, q.Latency)
	return o
}

func replace[T any](to, by *T) {
	if by != nil {
		*to = *by
	}
}

// config is a service's rollout in the file.
func (g *generation) config(service string) *configs.Rollout {
	for i := range g.plan.config.Services {
		if c := &g.plan.config.Services[i]; c.Name == service {
			return &c.Rollout
		}
	}
	return &configs.Rollout{}
}

// TellRollout implements admin.Control.
func (c control) TellRollout(_ context.Context, name string, cmd admin.RolloutCommand, ch admin.Change) (before, after admin.Service, err error) {
	err = c.s.insist(func() (err error) {
		before, after, err = c.s.tryCommand(name, cmd, ch)
		return err
	})
	return before, after, err
}

// tryCommand tells a rollout something as things stand. Under Server.mu.
func (s *Server) tryCommand(name string, cmd admin.RolloutCommand, ch admin.Change) (before, after admin.Service, err error) {
	if before, err = s.writable(s.current.Load(), name, ch); err != nil {
		return before, after, err
	}
	r := s.rollouts.get(name)
	if r == nil {
		return before, after, admin.ErrNoRollout
	}
	state, err := r.runner.Told(rollout.Command(cmd), ch.By)
	if errors.Is(err, rollout.ErrOver) {
		return before, after, &admin.BusyError{Detail: err.Error()}
	}
	if err == nil {
		err = s.settle(r, state, func() { r.runner.Accept(state.Progress) })
	}
	if errors.Is(err, errStale) || err != nil && !r.runner.Over() {
		return before, after, err
	}
	if err != nil { // it is over all the same, and that is what was asked for
		s.log.Error("end of a rollout not stored", zap.String(observe.KeyService, name), observe.Err(err))
	}
	return before, s.seen(name), nil
}

// rolloutAfter is what is stored of a service's rollout beside weights that an operator sets: who types weights means them, so one under way is over. Under Server.mu.
func (s *Server) rolloutAfter(name, by string) *rollout.State {
	r := s.rollouts.get(name)
	if r == nil || r.runner.View().Phase.Over() {
		return s.runtime.Services[name].Rollout
	}
	state := r.runner.Dropped("its weights were set by " + by)
	return &state
}

// withoutMarked is an overlay to be stored in which a rollout is over whose groups somebody has marked. Under Server.mu.
func (s *Server) withoutMarked(name string, o overlay) overlay {
	set, r := o.Services[name], s.rollouts.get(name)
	if len(set.Groups) == 0 || r == nil || set.Rollout == nil || set.Rollout.Phase.Over() || r.runner.Over() {
		return o
	}
	state := r.runner.Dropped(errMarked.Error())
	set.Rollout = &state
	return o.with(name, set)
}

// followOverlay ends a service's rollout if the overlay says that it is over, or nothing of it. Under Server.mu, once the overlay is stored.
func (s *Server) followOverlay(name string) {
	r := s.rollouts.get(name)
	if r == nil || r.runner.View().Phase.Over() {
		return
	}
	set := s.runtime.Services[name]
	switch {
	case set.Rollout == nil:
		state := r.runner.Dropped("its weights were reset to the file's")
		s.drop(r, &state)
	case set.Rollout.Phase.Over():
		s.drop(r, set.Rollout)
	}
}

// drop makes a rollout be over that nothing is left to do for.
func (s *Server) drop(r *rolling, state *rollout.State) {
	r.cool()
	r.runner.Accept(state.Progress)
	s.counters[r.service].trial = nil
	s.tellRollout(r.service, state)
}

// resumeRollouts goes on with what the process before left under way. Once, at the start, before the admin API answers.
func (s *Server) resumeRollouts() {
	defer s.confers()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cluster.Load() != nil { // one of the replicas leads it, and any may find out that it does not understand it: none ends it for the others
		s.alignAll()
		s.republish()
		return
	}
	for name, set := range s.runtime.Services {
		if set.Rollout == nil || set.Rollout.Phase.Over() {
			continue
		}
		m, err := rollout.NewMachine(*set.Rollout)
		if reason := s.unresumable(name); reason != "" {
			err = errors.New(reason)
		}
		if err != nil {
			s.log.Error("rollout not resumed: its weights stay as they are", zap.String(observe.KeyService, name), observe.Err(err))
			ended := *set.Rollout
			ended.Phase, ended.Reason, ended.Ended = rollout.Aborted, "not resumed after a restart: "+err.Error(), time.Now().UTC()
			set.Rollout = &ended
			s.put(s.runtime.with(name, set))
			continue
		}
		state := m.State()
		r := s.begin(name, m, true)
		if state.Step > 0 {
			s.counters[name].trial = r.open(s.current.Load().services[name], &state)
		}
		s.log.Info("rollout resumed", zap.String(observe.KeyService, name), zap.String(observe.KeyGroup, state.To), zap.Int("weir.step", state.Step))
	}
	s.republish()
}

// unresumable says why a rollout of the service has nothing to go on with; "" if it has. Under Server.mu.
func (s *Server) unresumable(service string) string {
	g := s.current.Load()
	switch {
	case g.services[service] == nil:
		return "the file has no such service"
	case len(s.runtime.Services[service].Groups) > 0:
		return errMarked.Error()
	}
	_, void := s.runtime.shares(service, g.fileShares(service))
	return void
}

// retireRollouts ends those that a new configuration leaves nothing of. Under Server.mu, after the commit.
func (s *Server) retireRollouts() {
	for _, r := range s.rollouts.all() {
		reason := s.unresumable(r.service)
		if reason == "" || r.runner.View().Phase.Over() {
			continue
		}
		if s.cluster.Load() != nil && !r.seat.leading() {
			s.abandon(r) // it goes on with the others' files
			s.republish()
			continue
		}
		state := r.runner.Dropped("the configuration has changed: " + reason)
		s.drop(r, &state)
		if err := insist(func() error { return s.storeEnd(r, &state) }); err != nil {
			s.log.Error("end of a rollout not stored", zap.String(observe.KeyService, r.service), observe.Err(err))
		}
		s.republish()
	}
}

// storeEnd stores the end of a rollout that has ended here. Under Server.mu.
func (s *Server) storeEnd(r *rolling, state *rollout.State) error {
	set := s.runtime.Services[r.service]
	set.Rollout = state
	next, err := s.store().save(s.runtime.with(r.service, set), r.stake(state))
	if err == nil {
		s.put(next)
	}
	return err
}

// keepRollouts stores what is under way for the process after this one, and ends the goroutines. At the end, when no request is left to count; not under Server.mu.
func (s *Server) keepRollouts() {
	s.dissolve()
	for _, r := range s.rollouts.all() {
		r.runner.Close()
		r.cool()
		if w := r.warming.Load(); w != nil {
			<-w.done
		}
		s.mu.Lock()
		set := s.runtime.Services[r.service]
		switch l := s.cluster.Load(); {
		case set.Rollout == nil || set.Rollout.Phase.Over() || s.handed.Load(): // or another process's by now
		case l != nil:
			s.partWith(l, r)
			s.rollouts.remove(r.service) // an upgrade that fails joins it anew
		default:
			state := r.runner.State()
			set.Rollout = &state
			s.put(s.runtime.with(r.service, set))
			if _, err := s.store().save(s.runtime, nil); err != nil {
				s.log.Error("rollout state not stored", zap.String(observe.KeyService, r.service), observe.Err(err))
			}
		}
		s.mu.Unlock()
	}
}
