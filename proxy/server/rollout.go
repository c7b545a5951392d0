package server

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// rolling is the rollout of one service that is under way, or was last in this process. It is what the rollout's own goroutine sees of the server.
type rolling struct {
	server  *Server
	service string
	to      string
	started time.Time // with the service, the rollout's name
	seat    seat
	runner  *rollout.Runner // set before anybody else sees the rolling
	watch   *proxy.Watch

	// mu guards trials: the rollout's goroutine reads them, a change of weights adds one. Held for copying counts.
	mu     sync.Mutex
	trials []*heldTrial

	step int // of the last trial; guarded by Server.mu

	// A group that was healthy when the rollout began may have been restarted since its last probe: the first step waits for a newer one. 0: proven. Of the rollout's goroutine, once it runs.
	unproven int64

	// How green is warmed before the first step: for so long, 0 for not at all, by what was asked for. warming is set by the rollout's goroutine, cooled by who ends the rollout.
	prewarm time.Duration
	recent  *proxy.Recent
	warming atomic.Pointer[warming]
	cooled  atomic.Bool
}

// heldTrial is a trial with what was last read of it. It is read as long as the rollout goes on: a request that takes an hour is held against the share that it was assigned by.
type heldTrial struct {
	trial         *proxy.Trial
	share         float64
	step          int
	green, others proxy.TrialCounts
}

var _ rollout.Edge = (*rolling)(nil)

// Sample implements rollout.Edge.
func (r *rolling) Sample() rollout.Sample {
	l := r.server.cluster.Load()
	s := rollout.Sample{Part: r.seat.part(l)}
	if service := r.server.current.Load().services[r.service]; service != nil {
		for i := range service.Groups {
			live := service.Groups[i].Pool.Live()
			switch healthy := live.Len() > 0 && !live.Fallback(); {
			case service.Groups[i].Name == r.to:
				if healthy && r.unproven != 0 && service.Groups[i].Pool.Proven(r.unproven) {
					r.unproven = 0
				}
				healthy = healthy && r.unproven == 0
				if s.GreenLive = healthy; healthy && r.prewarm > 0 && s.Part == rollout.Leads { // all replicas at once would be a crowd
					s.Warmth = r.warmed(live)
				}
			default:
				s.OthersLive = s.OthersLive || healthy
			}
		}
	}
	r.seat.deal(&s, r.counted(), l != nil)
	if s.Part == rollout.Leads && !r.watch.Frozen() { // the others are told what is slow
		s.Latencies = r.watch.Latencies()
	}
	return s
}

// counted is what was counted here since the last call.
func (r *rolling) counted() (lots []rollout.Lot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.trials {
		green, others := t.trial.Counts()
		if green != t.green || others != t.others {
			lots = append(lots, rollout.Lot{Share: t.share, Step: t.step, Green: since(t.green, green), Others: since(t.others, others)})
			t.green, t.others = green, others
		}
	}
	return lots
}

// since is what was counted between two readings.
func since(from, to proxy.TrialCounts) rollout.Count {
	return rollout.Count{
		Requests: to.Requests - from.Requests, Errors: to.Errors - from.Errors, Failed: to.Failed - from.Failed,
		Slow95: to.Slow95 - from.Slow95, Slow99: to.Slow99 - from.Slow99,
	}
}

// Freeze implements rollout.Edge.
func (r *rolling) Freeze(l rollout.Limits) { r.watch.Freeze(l.P95, l.P99) }

// Settle implements rollout.Edge.
func (r *rolling) Settle(decide func() (rollout.State, bool), accept func()) error {
	s := r.server
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := decide()
	if !ok {
		return nil
	}
	if s.stopping.Load() {
		return admin.ErrStopping
	}
	if l := s.cluster.Load(); l != nil && r.seat.part(l) != rollout.Leads && state.Phase != rollout.RolledBack {
		return nil // the lease has run out since it was decided, or another replica leads
	}
	return s.settle(r, state, accept)
}

// settle stores a rollout's state and puts its weights in force, for the next request. What ends a rollout is in force even if it cannot be stored: a full disk must not keep
// a green that fails. With replicas only the way back is: forward is for all of them or none. Under Server.mu.
func (s *Server) settle(r *rolling, state rollout.State, accept func()) error {
	set := s.runtime.Services[r.service]
	s.asStored(r, &state, set.Rollout)
	was, weights := set.Weights, state.Weights()
	moved := !maps.Equal(was, weights) || r.step != state.Step
	if moved {
		set.Weights, set.Since, set.By = weights, time.Now().UTC(), fmt.Sprintf("rollout to %s started by %s", state.To, state.By)
	}
	set.Rollout = &state
	if state.Phase == rollout.RolledBack {
		set.Epoch = set.epoch() + 1 // a cookie that says green is void
	}
	next, err := s.store().save(s.runtime.with(r.service, set), r.stake(&state))
	switch together := s.cluster.Load() != nil; {
	case err == nil:
	case errors.Is(err, errStale), !state.Phase.Over(), together && state.Phase == rollout.Promoted:
		return err
	default:
		set.Alone = together
		if next = s.runtime.with(r.service, set); together {
			s.copyHere(next)
		}
	}
	s.put(next)
	counters := s.counters[r.service]
	switch {
	case state.Phase.Over():
		r.cool()
		counters.trial = nil
	case moved && state.Step > 0:
		counters.trial = r.open(s.current.Load().services[r.service], &state)
	}
	if moved || state.Phase.Over() {
		s.republish()
		s.tellRollout(r.service, &state)
	}
	accept() // who sees the step sees what is counted for it
	switch state.Phase {
	case rollout.Promoted:
		s.incidents.good(r.service, s.current.Load().plan.config)
	case rollout.RolledBack:
		s.rolledBack(r)
	}
	return err
}

// asStored makes a state one to be stored by a replica that does not lead: of the evidence it has a part, and the one that leads gets that by another way. What it has decided alone
// is told with the evidence that it had.
func (s *Server) asStored(r *rolling, state, stored *rollout.State) {
	if l := s.cluster.Load(); l == nil || r.seat.leading() || !l.State().Up || stored == nil {
		return
	}
	state.Tally, state.Heard, state.Warmth, state.Curve = stored.Tally, stored.Heard, stored.Warmth, stored.Curve
}

// republish builds the generation in force anew, with the runtime overlay as it is now. Under Server.mu.
func (s *Server) republish() {
	g := s.current.Load()
	changed := *g
	changed.build(s, g)
	s.adapt(&changed)
	s.current.Store(&changed)
	s.proxy.Publish(changed.snapshot)
}

// open is the trial of the requests that are assigned by a state's weights from now on.
func (r *rolling) open(service *proxy.Service, state *rollout.State) *proxy.Trial {
	t := &proxy.Trial{Watch: r.watch, Green: -1}
	if service.Sticky.Source != proxy.StickyOff {
		t.Round = state.Step // clients are dealt, not requests: each has one bad event at a step
	}
	for i := range service.Shares {
		if service.Shares[i].Name == state.To {
			t.Green = i
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step = state.Step
	r.trials = append(r.trials, &heldTrial{trial: t, share: float64(state.Share()) / balancer.WeightSum, step: state.Step})
	return t
}

// tellRollout says what a rollout came to: for people in the log, for machines in the metrics.
func (s *Server) tellRollout(service string, state *rollout.State) {
	fields := []zap.Field{
		zap.String(observe.KeyService, service), zap.String(observe.KeyGroup, state.To), zap.String("weir.by", state.By), zap.String("weir.state", string(state.Phase)),
		zap.Int("weir.step", state.Step), zap.Stringer("weir.weight", configs.Weight(state.Share())), zap.String(observe.KeyReason, state.Reason),
	}
	if state.Phase == rollout.RolledBack {
		s.metrics.Rollout(service, rollout.Causes()...).RolledBack(string(state.Cause))
		s.log.Warn("rollout rolled back", fields...)
		return
	}
	s.log.Info("rollout", fields...)
}

// begin starts the goroutine of a rollout, which this process leads or, with replicas, takes part in. Under Server.mu.
func (s *Server) begin(service string, m *rollout.Machine, leads bool) *rolling {
	state := m.State()
	r := &rolling{server: s, service: service, to: state.To, started: state.Started, watch: new(proxy.Watch)}
	if l := s.cluster.Load(); l != nil && leads {
		r.seat.lead(l.Replica())
	}
	if state.Step == 0 && state.Warmth == nil && state.Base[state.To] == 0 {
		r.prewarm, r.recent = state.Options.Prewarm, s.counters[service].recent
	}
	if state.Step == 0 {
		r.unproven = s.registry.Now()
		s.doubt(service, state.To)
	}
	switch l := state.Tally.Limits; {
	case !state.Options.Latency:
		r.watch.Freeze(unlimited, unlimited) // nothing is slow, and nothing is learnt for it
	case l != (rollout.Limits{}):
		r.Freeze(l)
	}
	r.runner = rollout.Start(m, rollout.RunnerOptions{Edge: r, Now: s.registry.Now, Failed: func(err error) {
		if errors.Is(err, admin.ErrStopping) || errors.Is(err, errStale) {
			return // keepRollouts will; or what another replica has changed is looked at next
		}
		s.log.Error("rollout state not stored: it stays at its step, and can still go back", zap.String(observe.KeyService, service), observe.Err(err))
	}})
	s.rollouts.put(service, r)
	return r
}

// doubt has the targets of a group probed soon. Under Server.mu.
func (s *Server) doubt(service, group string) {
	live := s.current.Load().services[service]
	if live == nil {
		return // not in force yet: its targets are new to weir, and are probed for that
	}
	for i := range live.Groups {
		if live.Groups[i].Name == group {
			live.Groups[i].Pool.Doubt()
		}
	}
}

// rollouts are the rollouts by service, for those that do not hold Server.mu too: status, scrapes.
type rollouts struct {
	mu sync.Mutex // guards by; held for a lookup or a copy
	by map[string]*rolling
}

func (l *rollouts) get(service string) *rolling {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[service]
}

func (l *rollouts) put(service string, r *rolling) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]*rolling{}
	}
	l.by[service] = r
}

func (l *rollouts) remove(service string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, service)
}

func (l *rollouts) all() []*rolling {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*rolling, 0, len(l.by))
	for _, r := range l.by {
		list = append(list, r)
	}
	return list
}

// view is a service's last rollout; false when it has had none. It reads what is stored where this process has not seen it.
func (s *Server) view(g *generation, service string) (rollout.View, bool) {
	if r := s.rollouts.get(service); r != nil {
		return r.runner.View(), true
	}
	set, ok := g.runtime.Services[service]
	if !ok || set.Rollout == nil {
		return rollout.View{}, false
	}
	m, err := rollout.NewMachine(*set.Rollout)
	if err != nil { // resume has said so
		return rollout.View{State: *set.Rollout}, true
	}
	return m.View(), true
}
