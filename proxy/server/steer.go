package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/admin"
)

// steer puts an operator's order in force: durably first, then for the next request.
func (s *Server) steer(_ context.Context, name string, o admin.Order, c admin.Change) (before, after admin.Service, err error) {
	return s.change(name, c, func(g *generation) (overlay, error) {
		set := s.runtime.Services[name].fitting(g.groupNames(name))
		now := time.Now().UTC().Round(0) // without the monotonic part, which would not come back from the file
		if o.Target == "" && o.Group == "" {
			switch o.Verb {
			case admin.Pause:
				p := pause{MaxWaiting: o.MaxWaiting, Timeout: o.Timeout, Since: now, By: c.By}
				set.Pause = &p
			case admin.Resume:
				set.Pause = nil
			}
			return s.runtime.with(name, set), nil
		}
		places, err := g.places(name, o)
		if err != nil {
			return overlay{}, err
		}
		if o.Target == "" {
			set.markGroup(o, mark{Since: now, By: c.By})
		}
		for group, address := range places {
			set.markTarget(group, address, o, mark{Since: now, By: c.By})
		}
		if o.Verb == admin.Resume { // never makes less
			return s.runtime.with(name, set), nil
		}
		return s.runtime.with(name, set), g.stillOpen(name, set)
	})
}

// places are the target that an order names, by the groups that have it. A target that has left, as DNS has them do, can be resumed all the same.
func (g *generation) places(name string, o admin.Order) (map[string]string, error) {
	names := g.groupNames(name)
	if o.Group != "" && !slices.Contains(names, o.Group) {
		return nil, refused("/group", "there is no group %q (groups: %s)", o.Group, strings.Join(names, ", "))
	}
	if o.Target == "" {
		return nil, nil
	}
	found := map[string]string{}
	for _, group := range names {
		if o.Group != "" && o.Group != group {
			continue
		}
		if address, ok := g.pools[poolKey{name, group}].Member(o.Target); ok {
			found[group] = address
		} else if _, marked := g.runtime.Services[name].Targets[group][o.Target]; marked && o.Verb == admin.Resume {
			found[group] = o.Target
		}
	}
	if len(found) == 0 {
		return nil, refused("/target", "there is no target %q", o.Target)
	}
	return found, nil
}

func refused(pointer, format string, args ...any) error {
	return &admin.InvalidError{Title: "order not acceptable", Details: []admin.Detail{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}}}
}

// stillOpen refuses an overlay that would leave newcomers no group: who wants that pauses the service, or stops it.
func (g *generation) stillOpen(name string, set serviceOverlay) error {
	file := g.fileShares(name)
	o := overlay{}.with(name, set)
	shares, void := o.shares(name, file)
	if void != "" {
		return nil
	}
	whole := balancer.NewSplit(nil, 0, shares)
	if newcomers, _ := balancer.Deal(whole, set.standings(shares)); newcomers.Members() != 0 {
		return nil
	}
	return refused("/group", "no group would take new clients: every one with weight drains or is evicted; give another one weight first, or resume one")
}

// fitting is a copy to be changed, without marks of groups that the service does not have: they would make the rest void.
func (s serviceOverlay) fitting(groups []string) serviceOverlay {
	s.Groups, s.Targets = maps.Clone(s.Groups), maps.Clone(s.Targets)
	maps.DeleteFunc(s.Groups, func(name string, _ mark) bool { return !slices.Contains(groups, name) })
	maps.DeleteFunc(s.Targets, func(name string, _ map[string]mark) bool { return !slices.Contains(groups, name) })
	for name := range s.Weights {
		if !slices.Contains(groups, name) || len(s.Weights) != len(groups) {
			s.Weights = nil
			break
		}
	}
	return s
}

// markGroup carries an order about a group out. What it says already stays as it is, with who said it when.
func (s *serviceOverlay) markGroup(o admin.Order, m mark) {
	was, marked := s.Groups[o.Group]
	switch o.Verb {
	case admin.Resume:
		delete(s.Groups, o.Group)
		return
	case admin.Drain:
		if marked && !was.Evicted {
			return
		}
		s.Round++
		m.Round = s.Round
	case admin.Evict:
		if marked && was.Evicted {
			return
		}
		m.Evicted = true
	}
	if s.Groups == nil {
		s.Groups = map[string]mark{}
	}
	s.Groups[o.Group] = m
}

// markTarget is markGroup for a target.
func (s *serviceOverlay) markTarget(group, address string, o admin.Order, m mark) {
	marks := maps.Clone(s.Targets[group])
	m.Evicted = o.Verb == admin.Evict
	was, marked := marks[address]
	switch {
	case o.Verb == admin.Resume:
		delete(marks, address)
	case marked && was.Evicted == m.Evicted:
		return
	case marks == nil:
		marks = map[string]mark{address: m}
	default:
		marks[address] = m
	}
	if s.Targets == nil {
		s.Targets = map[string]map[string]mark{}
	}
	if s.Targets[group] = marks; len(marks) == 0 {
		delete(s.Targets, group)
	}
}

// state is the mark as status says it.
func (m mark) state() string {
	if m.Evicted {
		return "evicted"
	}
	return "draining"
}

// latest is when and by whom anything was last said of groups and targets.
func (s serviceOverlay) latest() (since time.Time, by string) {
	since, by = s.Since, s.By
	look := func(m mark) {
		if m.Since.After(since) {
			since, by = m.Since, m.By
		}
	}
	for _, m := range s.Groups {
		look(m)
	}
	for _, marks := range s.Targets {
		for _, m := range marks {
			look(m)
		}
	}
	return since, by
}

// fileShares are the weights that the file gives a service.
func (g *generation) fileShares(name string) []balancer.Share {
	for i := range g.plan.config.Services {
		if c := &g.plan.config.Services[i]; c.Name == name {
			return fileShares(c)
		}
	}
	return nil
}
