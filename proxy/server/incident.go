package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// keptIncidents is how many incidents stay on disk; the oldest go. One has at most some 100 kB.
const keptIncidents = 20

// incidents keeps what was known at rollbacks, in a folder of the state's. A rollback never waits for it.
type incidents struct {
	dir     string
	writers sync.WaitGroup // the goroutines that write, one for each rollback; shutdown waits for them

	mu sync.Mutex // guards files in dir: one writes at a time

	// began is the configuration at the start of the process, promoted that at each service's last promotion since; under Server.mu.
	began    *configs.Config
	promoted map[string]*configs.Config
}

// begin is the first configuration's: state_dir stays as long as the process does. Under Server.mu.
func (l *incidents) begin(cfg *configs.Config) {
	l.dir, l.began = filepath.Join(cfg.Admin.StateDir, "incidents"), cfg
}

// good notes that the configuration in force is one that a promotion has shown to be good for the service. Under Server.mu.
func (l *incidents) good(service string, cfg *configs.Config) {
	if l.promoted == nil {
		l.promoted = map[string]*configs.Config{}
	}
	l.promoted[service] = cfg
}

// since is how the configuration differs from the service's last good one. Under Server.mu.
func (l *incidents) since(service string, cfg *configs.Config) []string {
	was := l.promoted[service]
	if was == nil {
		was = l.began
	}
	if was == nil || was == cfg {
		return []string{}
	}
	return append([]string{}, configs.Diff(was, cfg)...)
}

// rolledBack begins to keep what is known of a rollback that has just happened. Under Server.mu.
func (s *Server) rolledBack(r *rolling) {
	g := s.current.Load()
	changed := s.incidents.since(r.service, g.plan.config)
	s.incidents.writers.Add(1)
	go func() { // ends when the file is written
		defer s.incidents.writers.Done()
		i := s.incidentOf(r, changed)
		path, err := s.incidents.write(&i)
		s.metrics.Incident(err == nil)
		if err != nil {
			s.log.Error("incident not kept", zap.String(observe.KeyService, r.service), observe.Err(err))
			return
		}
		s.log.Info("incident kept", zap.String(observe.KeyService, r.service), zap.String("weir.incident", i.ID), zap.String("file.path", path))
	}()
}

// incidentOf gathers. It takes no lock of the data path's, and Server.mu neither.
func (s *Server) incidentOf(r *rolling, changed []string) admin.Incident {
	g := s.current.Load()
	v := r.runner.View()
	i := admin.Incident{
		Schema: admin.IncidentSchema, Version: s.options.Version, Generation: g.number, Config: g.tag(), Changed: changed, Rollout: told(&v),
		Failed: []admin.RequestSummary{}, Slow: []admin.RequestSummary{}, Others: []admin.RequestSummary{},
		IncidentSummary: admin.IncidentSummary{At: v.Ended, Service: r.service, To: v.To, Cause: string(v.Cause), Reason: v.Reason},
	}
	if g.services[r.service] != nil {
		i.State = s.describe(g, r.service)
		i.State.Rollout = nil // it is above
	}
	s.sample(&i)
	return i
}

// sample takes requests out of the flight recorder: those of the group that was tried since the rollout began, and of the others those of the same routes.
func (s *Server) sample(i *admin.Incident) {
	t := s.teller()
	recorder := t.g.snapshot.Recorder
	read := func(q observe.Query, want func(*admin.RequestSummary) bool) (list []admin.RequestSummary) {
		q.Service, q.Limit = i.Service, 10_000 // as many as there are: what is wanted of them is told here
		for _, r := range recorder.Read(q) {
			if len(list) == admin.IncidentSamples {
				break
			}
			if found := t.tell(&r); !found.At.Before(i.Rollout.Started) && want(&found) {
				list = append(list, found)
			}
		}
		return list
	}
	green := func(r *admin.RequestSummary) bool { return r.Assigned == i.To || r.FailedIn == i.To || r.Group == i.To }
	routes := map[string]bool{}
	i.Failed = append(i.Failed, read(observe.Query{Failed: true}, green)...)
	i.Failed = append(i.Failed, read(observe.Query{}, func(r *admin.RequestSummary) bool { // what the others rescued did not fail
		return r.FailedIn == i.To && !r.Failed
	})...)
	i.Failed = i.Failed[:min(len(i.Failed), admin.IncidentSamples)]
	i.Slow = append(i.Slow, read(observe.Query{Slow: true}, green)...)
	for _, r := range slices.Concat(i.Failed, i.Slow) {
		routes[r.Route] = true
	}
	i.Others = append(i.Others, read(observe.Query{}, func(r *admin.RequestSummary) bool { return !green(r) && routes[r.Route] })...)
}

// write gives the incident its name, keeps it, and lets go of the oldest.
func (l *incidents) write(i *admin.Incident) (path string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return "", fmt.Errorf("keep incident: %w", err)
	}
	i.ID = i.At.UTC().Format("20060102T150405.000Z") + "-" + plainName(i.Service)
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return "", fmt.Errorf("keep incident: %w", err)
	}
	path = filepath.Join(l.dir, i.ID+".json")
	if err := writeDurably(path, append(b, '\n'), 0o600); err != nil {
		return "", err
	}
	names, err := l.names()
	for _, name := range names[min(len(names), keptIncidents):] {
		err = errors.Join(err, os.Remove(filepath.Join(l.dir, name+".json")))
	}
	return path, err
}

// plainName is a service's name as part of a file's.
func plainName(service string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, service)
}

// names are the incidents on disk, the last one first: they begin with their time.
func (l *incidents) names() (list []string, err error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok && e.Type().IsRegular() && !strings.HasPrefix(name, ".") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	slices.Reverse(list)
	return list, nil
}

// read is one by its name, which is none of a client's making: only names that names gives are opened.
func (l *incidents) read(name string) (i admin.Incident, err error) {
	names, err := l.names()
	switch {
	case err != nil:
		return i, err
	case !slices.Contains(names, name):
		return i, admin.ErrNoIncident
	}
	b, err := os.ReadFile(filepath.Join(l.dir, name+".json"))
	if err == nil {
		err = json.Unmarshal(b, &i)
	}
	if err != nil {
		return i, fmt.Errorf("read incident %s: %w", name, err)
	}
	return i, nil
}

// Incidents implements admin.Control. One that cannot be read is left out: it must not hide the others.
func (c control) Incidents() (list []admin.IncidentSummary, err error) {
	names, err := c.s.incidents.names()
	for _, name := range names {
		if i, err := c.s.incidents.read(name); err == nil {
			list = append(list, i.IncidentSummary)
		}
	}
	return list, err
}

// Incident implements admin.Control.
func (c control) Incident(id string) (admin.Incident, error) { return c.s.incidents.read(id) }
