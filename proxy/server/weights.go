package server

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// setWeights puts an operator's weights in force: durably first, then for the next request.
func (s *Server) setWeights(_ context.Context, name string, w admin.Weights, c admin.Change) (before, after admin.Service, err error) {
	return s.change(name, c, func(g *generation) (overlay, error) {
		if err := w.Check(g.groupNames(name)); err != nil {
			return overlay{}, err
		}
		set := s.runtime.Services[name].fitting(g.groupNames(name))
		set.Weights, set.Since, set.By = map[string]uint32{}, time.Now().UTC(), c.By
		for group, weight := range w {
			set.Weights[group] = uint32(weight)
		}
		set.Rollout = s.rolloutAfter(name, c.By)
		return s.runtime.with(name, set), g.stillOpen(name, set)
	})
}

// resetWeights drops a service's overlay: its weights, drains, evictions and pause.
func (s *Server) resetWeights(_ context.Context, name string, c admin.Change) (before, after admin.Service, err error) {
	return s.change(name, c, func(*generation) (overlay, error) { return s.runtime.reset(name), nil })
}

// change is every write to the overlay: check under the lock, save, publish. The save is the only step that can fail after the checks, and nothing is
// in force before it has succeeded. Where another replica was faster everything is checked anew: what the caller asked for may not be what he wants any more (If-Match).
func (s *Server) change(name string, c admin.Change, next func(*generation) (overlay, error)) (before, after admin.Service, err error) {
	err = s.insist(func() (err error) {
		before, after, err = s.tryChange(name, c, next)
		return err
	})
	return before, after, err
}

func (s *Server) tryChange(name string, c admin.Change, next func(*generation) (overlay, error)) (before, after admin.Service, err error) {
	g := s.current.Load()
	if before, err = s.writable(g, name, c); err != nil {
		return before, after, err
	}
	runtime, err := next(g)
	if err != nil {
		return before, after, err
	}
	runtime, err = s.store().save(s.withoutMarked(name, runtime), nil)
	if err != nil {
		return before, after, err
	}
	s.put(runtime)
	s.followOverlay(name)
	s.counters[name].rebase() // even for the same weights: who sets them looks at what follows
	s.republish()
	after = s.seen(name)
	s.log.Info("weights in force", zap.String(observe.KeyService, name), zap.String("weir.by", c.By),
		zap.String("weir.before", before.Posture()), zap.String("weir.after", after.Posture()))
	return before, after, nil
}

func (g *generation) groupNames(service string) []string {
	var names []string
	for _, share := range g.sharesOf(service) {
		names = append(names, share.Name)
	}
	return names
}

// overlayLines say which services a runtime overlay overrides, for check and reload: what the file says is then not what is in force.
func overlayLines(cfg *configs.Config) []string {
	o, err := overlayFile{filepath.Join(cfg.Admin.StateDir, "overlay.json")}.load()
	if err != nil {
		if os.IsPermission(err) {
			return nil // check may run as somebody who may not read the state; weir itself says it at start
		}
		return []string{err.Error()}
	}
	return o.notes(cfg)
}

// notes describe an overlay against a file, a line for each thing that the file does not say.
func (o overlay) notes(cfg *configs.Config) (list []string) {
	for i := range cfg.Services {
		c := &cfg.Services[i]
		set, ok := o.Services[c.Name]
		if !ok {
			continue
		}
		say := func(format string, args ...any) {
			list = append(list, "service "+c.Name+": "+fmt.Sprintf(format, args...))
		}
		if p := set.Pause; p != nil {
			say("paused since %s by %s", p.Since.Format(time.RFC3339), p.By)
		}
		file := fileShares(c)
		shares, void := o.shares(c.Name, file)
		if void != "" {
			since, by := set.latest()
			say("runtime overlay of %s by %s is void: %s", since.Format(time.RFC3339), by, void)
			continue
		}
		if set.Weights != nil {
			say("file %s, overlay %s since %s by %s", slashed(file), slashed(shares), set.Since.Format(time.RFC3339), set.By)
		}
		for _, name := range slices.Sorted(maps.Keys(set.Groups)) {
			m := set.Groups[name]
			say("group %s %s since %s by %s", name, m.state(), m.Since.Format(time.RFC3339), m.By)
		}
		for _, name := range slices.Sorted(maps.Keys(set.Targets)) {
			for _, address := range slices.Sorted(maps.Keys(set.Targets[name])) {
				m := set.Targets[name][address]
				say("target %s of group %s %s since %s by %s", address, name, m.state(), m.Since.Format(time.RFC3339), m.By)
			}
		}
		if newcomers, _ := balancer.Deal(balancer.NewSplit(nil, 0, shares), set.standings(shares)); newcomers.Members() == 0 {
			say("no group takes new clients: every one with weight drains or is evicted")
		}
	}
	return list
}

// slashed is "75/25" in the order of group names.
func slashed(shares []balancer.Share) string {
	shares = slices.Clone(shares)
	slices.SortFunc(shares, func(a, b balancer.Share) int { return strings.Compare(a.Name, b.Name) })
	words := make([]string, len(shares))
	for i, s := range shares {
		words[i] = configs.Weight(s.Weight).String()
	}
	return strings.Join(words, "/")
}
