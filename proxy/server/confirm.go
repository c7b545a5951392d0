package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// takeBackAgain is the pause after a configuration could not be taken back, because one of its files is gone, say, until that is tried again.
const takeBackAgain = 10 * time.Second

// watchedLately is for how long a change that the file watch took can still be asked to be confirmed: the watch is faster than one who saves the file and then types the command.
const watchedLately = time.Minute

// unconfirmed is that the configuration in force goes unless somebody confirms it in time. It is a value: each reload until then makes another one, all with the same previous.
type unconfirmed struct {
	previous   *configs.Config // was in force before the first reload that wanted to be confirmed
	generation uint64          // previous's
	since      time.Time
	until      time.Time
	by         string
	files      []string // of the configuration in force, with the digest of their contents as they were read
	seen       [sha256.Size]byte
	failure    error // why it could not be taken back when that was tried
}

// order is what a reload is asked for with.
type order struct {
	trigger string
	match   admin.Precondition
	confirm time.Duration // how long it is in force unless somebody confirms it; 0: for good, unless one before it is not
	by      string
}

// describe is what status says of it.
func (u *unconfirmed) describe() *admin.Unconfirmed {
	if u == nil {
		return nil
	}
	d := &admin.Unconfirmed{Since: u.since, Until: u.until, By: u.by, Generation: u.generation}
	if u.failure != nil {
		d.Error = u.failure.Error()
	}
	return d
}

// await makes the next one pending, nil for none, and its end due. Under reloading.
func (s *Server) await(next *unconfirmed) {
	if s.dueBack != nil {
		s.dueBack.Stop()
		s.dueBack = nil
	}
	s.unconfirmed.Store(next)
	if next != nil {
		s.dueBack = time.AfterFunc(time.Until(next.until), func() { s.expired(next) })
	}
}

// replaced is a configuration that was in force.
type replaced struct {
	config     *configs.Config
	generation uint64
	at         time.Time
}

// afterReload notes what a reload that has succeeded means for what must be confirmed. Whatever is put in force until then, by signal, by the file watch or by hand, is as
// unconfirmed as the first was: only somebody who says so ends that, or a file that says again what was in force before. Under reloading.
func (s *Server) afterReload(before *generation, o order, cfg *configs.Config, seen [sha256.Size]byte) {
	now := time.Now()
	next, pending := s.toConfirm(replaced{before.plan.config, before.number, now}, o, before.digest == cfg.Digest())
	if !pending {
		s.leaveDoubt(nil)
		return
	}
	if next.files, next.seen, next.failure = cfg.Files, seen, nil; o.confirm > 0 {
		next.until = now.Add(o.confirm)
	}
	if next.previous.Digest() == cfg.Digest() {
		s.log.Info("the configuration from before is in force again, nothing is left to confirm")
		s.await(nil)
		s.leaveDoubt(nil)
		return
	}
	s.log.Warn("configuration not confirmed: it is taken back in time", zap.Time("weir.until", next.until), zap.Uint64(observe.KeyGeneration, s.current.Load().number))
	s.await(&next)
	s.leaveDoubt(&next)
}

// toConfirm is what waits to be confirmed after a reload, which has replaced was, or changed nothing; false: nothing does. Under reloading.
func (s *Server) toConfirm(was replaced, o order, unchanged bool) (next unconfirmed, pending bool) {
	if u := s.unconfirmed.Load(); u != nil {
		return *u, true
	}
	if s.watched != nil && was.at.Sub(s.watched.at) >= watchedLately {
		s.watched = nil
	}
	w := s.watched
	if w != nil && (unchanged || o.trigger == "file") {
		was.config, was.generation = w.config, w.generation
	}
	switch {
	case unchanged:
	case o.trigger == "file":
		s.watched = &was
	default:
		s.watched = nil
	}
	if o.confirm == 0 || unchanged && w == nil {
		return unconfirmed{}, false
	}
	s.watched = nil
	return unconfirmed{previous: was.config, generation: was.generation, since: was.at, by: o.by}, true
}

// confirm makes the configuration in force stay.
func (s *Server) confirm(match admin.Precondition) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	g := s.current.Load()
	switch {
	case s.unconfirmed.Load() == nil:
		return admin.ErrNothingUnconfirmed
	case !match.Holds(g.tag()):
		return admin.ErrConflict
	}
	s.await(nil)
	s.leaveDoubt(nil)
	s.log.Info("configuration confirmed", zap.Uint64(observe.KeyGeneration, g.number))
	return nil
}

// takeBack puts the configuration from before in force again, at once.
func (s *Server) takeBack(ctx context.Context, match admin.Precondition) (applied, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	u := s.unconfirmed.Load()
	switch {
	case u == nil:
		return applied{}, admin.ErrNothingUnconfirmed
	case !match.Holds(s.current.Load().tag()):
		return applied{}, admin.ErrConflict
	}
	return s.revert(ctx, u, "it was taken back")
}

// expired is u's time that is over. Who has asked for a reload or confirmed meanwhile has made another one of it, or none.
func (s *Server) expired(u *unconfirmed) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.unconfirmed.Load() != u || s.stopping.Load() {
		return
	}
	from := s.current.Load().number
	_, err := s.revert(s.ending, u, fmt.Sprintf("nobody confirmed it within %s", u.until.Sub(u.since).Round(time.Second)))
	s.auditReload("revert", from, err) // what fails is logged, counted and tried again by revert
}

// forgetUnconfirmed is for the end of the process: what is pending ends with it, and what is being taken back is waited for.
func (s *Server) forgetUnconfirmed() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.unconfirmed.Load() != nil {
		s.log.Warn("weir ends before the configuration was confirmed: the next start takes the file as it is")
		s.await(nil)
	}
}

// revert is a reload of what was in force before, as it was parsed then; the files that it names are read again, as by any reload. The file of the configuration stays as it
// is, and the watch is told that it is known: only another change of it, or a reload that somebody asks for, takes it again. Under reloading.
func (s *Server) revert(ctx context.Context, u *unconfirmed, why string) (applied, error) {
	files := slices.Concat(u.files, u.previous.Files)
	slices.Sort(files)
	files = slices.Compact(files)
	known := digest(files)
	if digest(u.files) != u.seen { // changed since, which the watch is about to find: it must not be told that this is known
		known = [sha256.Size]byte{}
	}
	from := s.current.Load().number
	result, err := s.apply(ctx, u.previous, "revert")
	s.metrics.Revert(err == nil)
	if err != nil {
		s.log.Error("configuration could not be taken back: it stays in force", zap.Uint64(observe.KeyGeneration, from), observe.Err(err))
		failed := *u
		if failed.failure = err; time.Until(failed.until) < takeBackAgain {
			failed.until = time.Now().Add(takeBackAgain)
		}
		s.await(&failed)
		return result, err
	}
	s.await(nil)
	s.watcher.watch(files, known)
	s.rereadGuards()
	message := fmt.Sprintf("generation %d: %s; what was in force before, generation %d, is again, as generation %d. The file still says otherwise: a reload or a restart puts it in force", from, why, u.generation, result.generation)
	s.attempt.Store(&admin.ReloadAttempt{At: time.Now(), Trigger: "revert", Errors: []admin.Detail{{File: s.options.ConfigPath, Message: message}}})
	s.log.Warn("configuration taken back", zap.Uint64(observe.KeyGeneration, result.generation), zap.String("weir.why", why), zap.Strings("weir.changed", result.changed))
	return result, nil
}
