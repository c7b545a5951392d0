package server

import (
	"net/netip"
	"strings"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
)

// simulation is a log being held against limits. One goroutine owns it.
type simulation struct {
	options   SimulateOptions
	plan      *plan
	registry  *limit.Registry
	replay    proxy.Replay
	routes    []simulatedRoute
	tallies   map[string]*tally
	listeners map[string]bool // that there are: whether they redirect
	redirects bool            // one of them
	hosts     bool            // some route is for some hosts only

	pending byTime[pastRequest] // read, not judged
	inside  byTime[stay]        // counted in at gates
	clock   int64               // when the last one judged began

	combined, sampled, late, crowded int
	out                              Simulation
}

// maxPending bounds what waits to be put in order, and what is counted in at gates: some 10 MB each.
const maxPending = 1 << 16

// simulatedRoute is the limits of a route with where they are counted.
type simulatedRoute struct {
	limits       *proxy.Limits // nil: none
	rates, gates []*tally
}

// tally is what is counted of one limit.
type tally struct {
	limit                    configs.Limit
	unknown                  string
	allowed, limited, dryRun int
	first, last              time.Time
	top                      top
}

// stay is a request at gates, to be taken out when it ends.
type stay struct {
	passes [limit.MaxChecks]limit.Pass
	n      int
	held   uint8
}

func (s *simulation) routeOf(limits *proxy.Limits) simulatedRoute {
	r := simulatedRoute{limits: limits}
	if limits == nil {
		return r
	}
	for _, l := range limits.List() {
		r.rates = append(r.rates, s.tallies[l.Limit.Name()])
	}
	for _, g := range limits.Gates() {
		r.gates = append(r.gates, s.tallies[g.Gate.Name()])
	}
	return r
}

// verdict is one request before the limits of its route.
type verdict struct {
	q       *pastRequest
	now     time.Time
	route   string
	refused bool
	by      []string
}

// judge asks the limits about a request in the order of the data path: gates, then rates.
func (s *simulation) judge(q pastRequest) {
	if q.began < s.clock {
		s.late++
	}
	s.clock = max(s.clock, q.began)
	for s.inside.len() > 0 && s.inside.soonest() <= s.clock+int64(time.Microsecond) { // which is what a log is exact to
		s.leave()
	}
	v := verdict{q: &q, now: time.Unix(0, q.began).UTC(), route: s.plan.config.Routes[q.route].Name}
	s.out.Requests++
	if s.out.First.IsZero() || v.now.Before(s.out.First) {
		s.out.First = v.now
	}
	if v.now.After(s.out.Last) {
		s.out.Last = v.now
	}
	r := &s.routes[q.route]
	if r.limits == nil {
		return
	}
	at := s.enter(r, &v)
	if !v.refused {
		s.take(r, &v)
	}
	switch {
	case v.refused:
		limit.Leave(at.passes[:at.n], at.held) // who is refused is gone at once
		s.tell(&v)
	case at.held != 0:
		if s.inside.push(q.ended, at); s.inside.len() > maxPending {
			s.crowded++
			s.leave()
		}
	}
}

func (s *simulation) leave() {
	at := s.inside.pop()
	limit.Leave(at.passes[:at.n], at.held)
}

// enter asks the gates. A line without a duration does not say for how long its request would be counted, and is not.
func (s *simulation) enter(r *simulatedRoute, v *verdict) (at stay) {
	if !v.q.timed {
		return at
	}
	gates := r.limits.Gates()
	for i := range gates {
		at.passes[i] = limit.Pass{Gate: gates[i].Gate, Key: s.replay.Key(s.registry, gates[i].Key, v.q.client)}
	}
	at.n = len(gates)
	held, full, refused := limit.Enter(at.passes[:at.n])
	at.held, v.refused = held, refused >= 0
	for i := range gates {
		switch t := r.gates[i]; {
		case full&(1<<i) != 0:
			t.over(v)
		case !v.refused && gates[i].Counts:
			t.allowed++
		}
	}
	return at
}

// take asks the limits of rate.
func (s *simulation) take(r *simulatedRoute, v *verdict) {
	var checks [limit.MaxChecks]limit.Check
	list := r.limits.List()
	for i := range list {
		checks[i] = limit.Check{Limit: list[i].Limit, Key: s.replay.Key(s.registry, list[i].Key, v.q.client)}
	}
	decided := limit.Take(checks[:len(list)], v.now)
	v.refused = decided.Refused
	for i := range list {
		switch t := r.rates[i]; {
		case decided.Short&(1<<i) != 0:
			t.over(v)
		case !v.refused:
			t.allowed++
		}
	}
}

// over counts a request that was one too many.
func (t *tally) over(v *verdict) {
	if t.limit.DryRun {
		t.dryRun++
	} else {
		t.limited++
		v.by = append(v.by, t.limit.Name)
	}
	if t.first.IsZero() {
		t.first = v.now
	}
	t.last = v.now
	t.top.add(keyText(t.limit.Key, v.route, v.q.client), v.now)
}

func (s *simulation) tell(v *verdict) {
	s.out.Limited++
	if s.options.Each != nil {
		s.options.Each(Limited{Time: v.now, Client: v.q.client, Route: v.route, Limits: v.by, RequestID: v.q.id})
	}
}

// keyText is a key as a person reads it: an IPv6 address by its /64, as it is counted.
func keyText(k configs.LimitKey, route string, client netip.Addr) string {
	parts := make([]string, len(k.Parts))
	for i, p := range k.Parts {
		switch {
		case p.Source == configs.KeyRoute:
			parts[i] = "route " + route
		case client.Is4():
			parts[i] = client.String()
		default:
			parts[i] = netip.PrefixFrom(client, 64).Masked().String()
		}
	}
	return strings.Join(parts, " + ")
}
