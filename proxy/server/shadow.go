package server

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/shadow"
	"github.com/valor-ivx/weir/upstream"
)

// shadows are the mirrors of services. One lives as long as its service's keys stay what they are: a reload that changes others does not touch it, nor what it has counted.
type shadows struct {
	mu   sync.Mutex // guards all; held for map work
	by   map[string]*shadowing
	gone []*shadow.Mirror // closed, for the end to wait for
}

// shadowing is a service's mirror with the keys that it was made of.
type shadowing struct {
	config configs.Shadow
	mirror *shadow.Mirror
}

// Due implements proxy.Mirror.
func (s *shadowing) Due() bool { return s.mirror.Due() }

// Take implements proxy.Mirror.
func (s *shadowing) Take(m proxy.Mirrored) {
	s.mirror.Take(shadow.Request{Head: m.Request, Path: m.Path, Own: m.Own, ID: m.ID, Known: m.Known})
}

func (l *shadows) get(service string) *shadowing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[service]
}

// put makes a service's mirror be this one, nil for none, and closes the one before.
func (l *shadows) put(service string, next *shadowing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was := l.by[service]; was != nil {
		was.mirror.Close()
		l.gone = append(l.gone, was.mirror)
	}
	switch {
	case next == nil:
		delete(l.by, service)
	case l.by == nil:
		l.by = map[string]*shadowing{service: next}
	default:
		l.by[service] = next
	}
}

// names are the services that have one.
func (l *shadows) names() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.by {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// close ends all and waits for them.
func (l *shadows) close() {
	for _, name := range l.names() {
		l.put(name, nil)
	}
	l.mu.Lock()
	gone := l.gone
	l.gone = nil
	l.mu.Unlock()
	for _, m := range gone {
		m.Wait()
	}
}

// mirrorOf is the mirror that a service's keys want: the one it has, or a new one. It cannot fail: it is part of commit. Under Server.mu.
func (s *Server) mirrorOf(c *configs.Service) proxy.Mirror {
	was := s.shadows.get(c.Name)
	switch {
	case c.Shadow == nil:
		return nil // closeShadows ends the one that there was
	case was != nil && reflect.DeepEqual(was.config, *c.Shadow):
		return was
	}
	next := &shadowing{config: *c.Shadow, mirror: shadow.Start(s.shadowOptions(c))}
	s.shadows.put(c.Name, next)
	return next
}

// closeShadows ends those that a configuration does not have. Under Server.mu.
func (s *Server) closeShadows(cfg *configs.Config) {
	for _, name := range s.shadows.names() {
		if !slices.ContainsFunc(cfg.Services, func(c configs.Service) bool { return c.Name == name && c.Shadow != nil }) {
			s.shadows.put(name, nil)
		}
	}
}

func (s *Server) shadowOptions(c *configs.Service) shadow.Options {
	name, o := c.Name, c.Shadow
	rules := shadow.Rules{Headers: o.CompareHeaders, ShowStrings: o.ShowStrings}
	for _, text := range o.IgnorePaths {
		if p, err := shadow.ParsePattern(text); err == nil { // an error: the check has refused it
			rules.Ignore = append(rules.Ignore, p)
		}
	}
	return shadow.Options{
		From: o.From, To: o.To, Share: uint32(o.Share), Rate: o.Rate.PerSecond(), Concurrency: o.Concurrency, Timeout: o.Timeout, MaxBody: int64(o.MaxBody),
		Credentials: o.Credentials, Rules: rules, Now: s.registry.Now,
		Live:     func(group string) *upstream.LiveSet { return s.liveOf(poolKey{name, group}) },
		Obstacle: func() string { return s.shadowObstacle(name, o.To) },
		Panicked: func(bug any) {
			s.log.Error("panic in a shadow", zap.String(observe.KeyService, name), zap.Any("weir.panic", bug), zap.Stack(observe.KeyStack))
		},
	}
}

// liveOf is who may be asked of a group of the generation in force, nil if it has none. A generation that goes keeps its pools' live sets usable.
func (s *Server) liveOf(key poolKey) *upstream.LiveSet {
	g := s.current.Load()
	if g == nil || g.pools[key] == nil {
		return nil
	}
	return g.pools[key].Live()
}

// shadowObstacle is why a service has better things to do than to be compared.
func (s *Server) shadowObstacle(name, to string) string {
	g := s.current.Load()
	if g == nil || g.services[name] == nil || s.stopping.Load() {
		return "weir is starting or stopping"
	}
	service := g.services[name]
	switch {
	case service.Hold != nil:
		return "the service is paused"
	case service.Breaker != nil && !spare(service.Breaker.Status(s.registry.Now())):
		return "the service's requests wait, or the next one will"
	}
	for i := range service.Groups {
		if service.Groups[i].Name == to && service.Evicted.Has(i) {
			return "group " + to + " is evicted"
		}
	}
	return ""
}

// spare reports a breaker that would let a request of the lowest priority in.
func spare(b upstream.BreakerStatus) bool {
	for _, n := range b.Queued {
		if n > 0 {
			return false
		}
	}
	return !b.Overloaded && b.InFlight < b.Most[upstream.Low]
}

// shadowStats is what scrapes ask for.
func (s *Server) shadowStats() (list []observe.ShadowStat) {
	for _, name := range s.shadows.names() {
		if one := s.shadows.get(name); one != nil {
			stat := one.mirror.Stat()
			list = append(list, observe.ShadowStat{Service: name, Results: stat.Results, Asked: stat.Asked, Places: stat.Places})
		}
	}
	return list
}

// Shadow implements admin.Control.
func (c control) Shadow(name string) (admin.Shadow, error) {
	one, err := c.shadowing(name)
	if err != nil {
		return admin.Shadow{}, err
	}
	return one.describe(), nil
}

// ResetShadow implements admin.Control.
func (c control) ResetShadow(_ context.Context, name string, ch admin.Change) (before, after admin.Shadow, err error) {
	c.s.mu.Lock() // orders writes
	defer c.s.mu.Unlock()
	one, err := c.shadowing(name)
	if err != nil {
		return before, after, err
	}
	if before = one.describe(); !ch.Match.Holds(before.Version) {
		return before, before, admin.ErrConflict
	}
	one.mirror.Reset()
	return before, one.describe(), nil
}

func (c control) shadowing(name string) (*shadowing, error) {
	if c.s.current.Load().services[name] == nil {
		return nil, admin.ErrNotFound
	}
	if one := c.s.shadows.get(name); one != nil {
		return one, nil
	}
	return nil, admin.ErrNoShadow
}

// describe is a shadow as the admin API shows it.
func (s *shadowing) describe() admin.Shadow {
	r := s.mirror.Report()
	d := admin.Shadow{
		Version: strconv.FormatInt(r.Since.UnixNano(), 36), From: s.config.From, To: s.config.To, Share: admin.Weight(s.config.Share), Rate: s.config.Rate.String(), Since: r.Since.UTC(),
		Compared: r.Compared, Differing: r.Differing, Results: r.Results, Forgotten: r.Forgotten, Differences: []admin.ShadowDifference{},
	}
	d.State, d.Reason = state(r.State)
	for _, f := range r.Differences {
		if f.Verdict == shadow.Differs {
			d.Places++
		}
		one := admin.ShadowDifference{
			Endpoint: f.Endpoint, Where: f.Where, Compared: f.Compared, Differing: f.Differing, Noise: f.Noise, Verdict: string(f.Verdict), Samples: []admin.ShadowSample{},
		}
		for _, sample := range f.Samples {
			one.Samples = append(one.Samples, admin.ShadowSample{At: sample.At.UTC(), RequestID: sample.RequestID, From: sample.From, To: sample.To})
		}
		d.Differences = append(d.Differences, one)
	}
	return d
}

// state is whether anything is asked, and why not.
func state(obstacle string) (word, reason string) {
	if obstacle != "" {
		return "waiting", obstacle
	}
	return "asking", ""
}

// shadowBrief is what a service's status says of its shadow, nil without one.
func (s *Server) shadowBrief(name string) *admin.ShadowBrief {
	one := s.shadows.get(name)
	if one == nil {
		return nil
	}
	d := one.describe()
	b := &admin.ShadowBrief{From: d.From, To: d.To, Share: d.Share, State: d.State, Reason: d.Reason, Compared: d.Compared, Differing: d.Differing, Places: d.Places}
	for _, place := range d.Differences[:min(len(d.Differences), admin.ShadowBriefPlaces)] {
		if place.Verdict != string(shadow.Noise) { // which comes last
			b.First = append(b.First, place)
		}
	}
	return b
}

// shadow tells that a request like this one may be asked again.
func (e *explanation) shadow() {
	one, ok := e.route.Service.Mirror.(*shadowing)
	if !ok {
		return
	}
	whom := "without credentials"
	if one.config.Credentials {
		whom = "with credentials too"
	}
	e.step("finish", fmt.Sprintf("%s %% asked again of %s", one.config.Share, one.config.To),
		"shadow: GET, HEAD and OPTIONS without a body, %s, at most %s; compared with %s, never shown to a client", whom, one.config.Rate, one.config.From)
}

// shadowWarnings are shadows that say little.
func shadowWarnings(cfg *configs.Config) (warnings []string) {
	for i := range cfg.Services {
		s := &cfg.Services[i]
		if s.Shadow == nil {
			continue
		}
		var routes []string
		for j := range cfg.Routes {
			if cfg.Routes[j].Service == s.Name && cfg.Routes[j].Auth != "" {
				routes = append(routes, cfg.Routes[j].Name)
			}
		}
		if len(routes) > 0 && !s.Shadow.Credentials {
			warnings = append(warnings, fmt.Sprintf("service %s: shadow asks nothing of routes with auth (%s) without credentials = true", s.Name, strings.Join(routes, ", ")))
		}
	}
	return warnings
}
