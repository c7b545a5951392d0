package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
)

// forecast does with a file all of a reload that can fail, takes it back, and says what would have come of it. Nothing that traffic sees changes; sockets that the file adds are bound for
// a moment and never accept.
func (s *Server) forecast(path string, match admin.Precondition) (admin.Plan, error) {
	if path == "" {
		path = s.options.ConfigPath
	}
	if err := s.beside(path); err != nil {
		return admin.Plan{}, err
	}
	s.reloading.Lock() // a reload meanwhile would make both wait for the other's sockets
	defer s.reloading.Unlock()
	cfg, _, err := load(path)
	if err != nil {
		return admin.Plan{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return admin.Plan{}, errStopping
	}
	old := s.current.Load()
	if !match.Holds(old.tag()) {
		return admin.Plan{}, admin.ErrConflict
	}
	plan := admin.Plan{Path: path, Generation: old.number, Version: old.tag(), Unchanged: old.digest == cfg.Digest(), Changed: []string{}, Effects: []admin.Effect{}}
	if plan.Unchanged {
		return plan, nil
	}
	p, err := s.prepare(cfg, old)
	if err != nil {
		return admin.Plan{}, err
	}
	defer p.undo(s)
	plan.Changed = configs.Diff(old.plan.config, cfg)
	plan.Effects = slices.Concat(plan.Effects, s.listenerEffects(p), s.serviceEffects(cfg, old), poolEffects(p, old))
	for _, w := range slices.Concat(p.warnings, s.runtime.notes(cfg)) {
		plan.Warnings = append(plan.Warnings, admin.Detail{Message: w})
	}
	return plan, nil
}

// beside refuses files outside of the configuration's folder. weir may run as somebody who may read more than whoever asks; in that folder write only those who could change the
// configuration itself.
func (s *Server) beside(path string) error {
	folder, err := filepath.EvalSymlinks(filepath.Dir(s.options.ConfigPath))
	asked, err2 := filepath.EvalSymlinks(filepath.Dir(path))
	if err = errors.Join(err, err2); err != nil {
		return fmt.Errorf("find file: %w", err)
	}
	here, err := os.Stat(folder)
	there, err2 := os.Stat(asked)
	switch err = errors.Join(err, err2); {
	case err != nil:
		return fmt.Errorf("find file: %w", err)
	case !os.SameFile(here, there):
		return fmt.Errorf("%s is not beside the running configuration: put it into %s, where it also finds the files that it names", path, folder)
	}
	return nil
}

// listenerEffects tell of sockets and their connections.
func (s *Server) listenerEffects(p *prepared) (list []admin.Effect) {
	say := func(l *listener, format string, args ...any) {
		list = append(list, admin.Effect{Subject: "listener " + l.config.Name, Text: fmt.Sprintf(format, args...)})
	}
	for _, l := range s.listeners {
		switch {
		case l.in(p.sockets):
		case l.successor(p.opened):
			say(l, "is made anew on the same socket: its connections (%d open) go on as they are", l.open.Load())
		default:
			say(l, "closes: nobody new gets in at %s, its connections (%d open) go on until they end by themselves", l.socket.Addr(), l.open.Load())
		}
	}
	for _, l := range p.opened {
		if !l.successor(s.listeners) {
			say(l, "opens at %s", l.socket.Addr())
		}
	}
	return list
}
