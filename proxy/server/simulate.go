package server

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// SimulateOptions say which limits a log is held against.
type SimulateOptions struct {
	ConfigPath string
	Log        io.Reader     // as [log] writes it: JSON, or combined
	Host       string        // whom the requests of combined lines were for, which do not say it
	Limit      string        // tell of this one alone; "": of all
	Each       func(Limited) // told of each request that is refused, in their order; nil: nobody
}

// Limited is one request that would have been refused.
type Limited struct {
	Time      time.Time  `json:"time"` // it began
	Client    netip.Addr `json:"client"`
	Route     string     `json:"route"`
	Limits    []string   `json:"limits"`
	RequestID string     `json:"request_id,omitempty"`
}

// Simulation is what limits would have done to the requests of a log.
type Simulation struct {
	Lines    int `json:"lines"`
	Requests int `json:"requests"` // that limits were asked about, those of routes without limits included
	Limited  int `json:"limited"`  // refused by one limit or more
	Logged   int `json:"logged"`   // that were refused by a limit when they were made
	// First and Last are when the earliest and the latest request began.
	First   time.Time        `json:"first,omitzero"`
	Last    time.Time        `json:"last,omitzero"`
	Skipped Skipped          `json:"skipped"`
	Limits  []SimulatedLimit `json:"limits"`
	Notes   []string         `json:"notes"`
}

// Skipped are lines that no limit is asked about, by why.
type Skipped struct {
	NotAccess    int `json:"not_access"`    // weir's own
	Unreadable   int `json:"unreadable"`    // neither format, or longer than a line can be
	BeforeLimits int `json:"before_limits"` // ended before limits are asked: no valid request, a redirect to https, a body that is too large
	NoRoute      int `json:"no_route"`      // no route of the configuration takes it
	NoClient     int `json:"no_client"`     // no client address in it
}

// SimulatedLimit is what one limit would have done.
type SimulatedLimit struct {
	Name        string `json:"name"`
	Rate        string `json:"rate,omitempty"`
	Burst       int    `json:"burst,omitempty"`
	Concurrency int    `json:"concurrency,omitempty"`
	Key         string `json:"key"`
	IsDryRun    bool   `json:"is_dry_run"`
	// Unknown says why nothing can be told; "": it can.
	Unknown string `json:"unknown,omitempty"`
	// Decisions as weir_limit_decisions_total counts them.
	Allowed int `json:"allowed"`
	Limited int `json:"limited"`
	DryRun  int `json:"dry_run"`
	// First and Last are when the earliest and the latest request came that was one too many.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	Top   []TopKey  `json:"top"`
}

// TopKey is a key that was over its limit often.
type TopKey struct {
	Key     string    `json:"key"`
	Limited int       `json:"limited"` // at least, when Rough
	First   time.Time `json:"first"`
	Rough   bool      `json:"rough,omitempty"` // there were more keys than are counted apart
}

// Simulate holds the limits of a configuration against the requests of an access log, through the code that limits live requests and by the times of the
// log. It reads the log once; its memory is bounded by the configuration, not by the log.
func Simulate(o SimulateOptions) (*Simulation, error) {
	cfg, err := configs.Load(o.ConfigPath, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	p, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	if o.Limit != "" && !slices.ContainsFunc(cfg.Limits, func(l configs.Limit) bool { return l.Name == o.Limit }) {
		return nil, fmt.Errorf("simulate limits: there is no [limit.%s] in %s", o.Limit, o.ConfigPath)
	}
	s := newSimulation(p, o)
	if err := s.readAll(o.Log); err != nil {
		return nil, fmt.Errorf("simulate limits: %w", err)
	}
	for s.pending.len() > 0 {
		s.judge(s.pending.pop())
	}
	return s.result(), nil
}

// newSimulation makes the limits as a start would, over a registry of their own.
func newSimulation(p *plan, o SimulateOptions) *simulation {
	s := &simulation{options: o, plan: p, tallies: map[string]*tally{}, listeners: map[string]bool{}}
	s.registry = limit.NewRegistry(limit.DefaultKeys)
	bare := &Server{limits: s.registry, metrics: observe.NewMetrics(observe.Build{})} // of a server what limitsOf takes
	var known []configs.Limit
	for _, l := range p.config.Limits {
		t := &tally{limit: l, unknown: unknowable(l.Key)}
		s.tallies[l.Name] = t
		if t.unknown == "" {
			l.Shared = false // one count, whoever wrote the log
			known = append(known, l)
		}
	}
	for i := range p.config.Routes {
		s.routes = append(s.routes, s.routeOf(bare.limitsOf(&p.config.Routes[i], known, false)))
	}
	for i := range p.config.Listeners {
		l := &p.config.Listeners[i]
		s.listeners[l.Name] = l.Redirect != ""
		s.redirects = s.redirects || l.Redirect != ""
	}
	for i := range p.config.Routes {
		s.hosts = s.hosts || len(p.config.Routes[i].Hosts) > 0
	}
	return s
}

// unknowable says what of a key no access log holds.
func unknowable(k configs.LimitKey) string {
	for _, part := range k.Parts {
		if part.Source != configs.KeyClientIP && part.Source != configs.KeyRoute {
			return fmt.Sprintf("it counts by %s:%s, which is not in an access log", part.Source, part.Name)
		}
	}
	return ""
}

// result puts together what was counted.
func (s *simulation) result() *Simulation {
	out := &s.out
	out.Limits, out.Notes = []SimulatedLimit{}, append([]string{}, s.notes()...)
	for _, l := range s.plan.config.Limits {
		if s.options.Limit != "" && s.options.Limit != l.Name {
			continue
		}
		t := s.tallies[l.Name]
		one := SimulatedLimit{
			Name: l.Name, Burst: l.Burst, Concurrency: l.Concurrency, Key: l.Key.String(), IsDryRun: l.DryRun, Unknown: t.unknown,
			Allowed: t.allowed, Limited: t.limited, DryRun: t.dryRun, First: t.first, Last: t.last, Top: t.top.best(topShown),
		}
		if l.Rate.Count > 0 {
			one.Rate = l.Rate.String()
		}
		out.Limits = append(out.Limits, one)
	}
	return out
}

// notes are what a reader has to know to believe the numbers as far as they go.
func (s *simulation) notes() (notes []string) {
	say := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	for _, r := range s.plan.config.Routes {
		var unknown []string
		for _, name := range r.Limits {
			if s.tallies[name].unknown != "" {
				unknown = append(unknown, name)
			}
		}
		if unknown != nil && len(unknown) < len(r.Limits) {
			say("route %s: what %s would refuse is counted by the route's other limits, which it would not have been", r.Name, strings.Join(unknown, ", "))
		}
	}
	for _, l := range s.plan.config.Limits {
		if !used(s.plan.config, l.Name) {
			say("limit %s is named by no route: it limits nothing", l.Name)
		}
		if l.Shared && s.tallies[l.Name].unknown == "" {
			say("limit %s is shared: the log has to hold the requests of all replicas", l.Name)
		}
	}
	if s.combined > 0 {
		say("%d lines are combined: to the second, without duration (no concurrency), host and reason (what was refused before limits are asked is counted)", s.combined)
	}
	if s.sampled > 0 {
		say("%d lines are what [log] sample let through (weir.sample_rate): the requests that it left out are missing, and limits would refuse more", s.sampled)
	}
	if s.late > 0 {
		say("%d requests were logged later than %d others that began after them: they are counted when they were found", s.late, maxPending)
	}
	if s.crowded > 0 {
		say("more than %d requests were under way at once: %d left their place early", maxPending, s.crowded)
	}
	return notes
}
