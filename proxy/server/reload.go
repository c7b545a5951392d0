package server

import (
	"context"
	"crypto/sha256"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// startReloader starts the goroutine that carries out what signals and the file watch ask for, one after another, so that the loop that hears TERM never
// waits for a probe. It ends with s.ending; the channel tells when.
func (s *Server) startReloader(ctx context.Context) (ended <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			trigger := "file"
			select {
			case <-s.ending.Done():
				return
			case <-s.hangups:
				trigger = "signal"
			case <-s.watcher.changed:
			}
			before := s.current.Load().number
			result, err := s.reload(ctx, order{trigger: trigger})
			if err != nil || !result.unchanged {
				s.auditReload(trigger, before, err)
			}
			if err != nil {
				s.log.Error("reload refused, the configuration in force stays", zap.String("weir.trigger", trigger), observe.Err(err))
			}
		}
	}()
	return done
}

// reload loads the file again and puts it in force, for whoever asks: the result is counted, kept for status and returned. The order's match is held against what is
// in force when its turn has come.
func (s *Server) reload(ctx context.Context, o order) (applied, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	before := s.current.Load()
	if !o.match.Holds(before.tag()) {
		return applied{}, admin.ErrConflict
	}
	cfg, seen, err := load(s.options.ConfigPath)
	var result applied
	if err == nil {
		result, err = s.apply(ctx, cfg, o.trigger)
	}
	s.attempt.Store(&admin.ReloadAttempt{At: time.Now(), OK: err == nil, Trigger: o.trigger, Errors: details(err)})
	outcome := observe.ReloadSuccess
	switch {
	case err != nil:
		outcome = observe.ReloadFailure
	case result.unchanged:
		outcome = observe.ReloadUnchanged
	}
	_ = s.metrics.Reload(outcome) // the set of results is closed and these are in it
	if err == nil {
		s.watcher.watch(cfg.Files, seen)
		s.afterReload(before, o, cfg, seen)
	}
	s.rereadGuards()
	return result, err
}

// loadTries is how often a file that changes under the reader is read again. Writers are done within one, unless they write all the time.
const loadTries = 3

// load reads the configuration and the digest of the files as they were read, which is what later changes are measured against. A file may change between
// the two; then both are read again, and if that does not end, the digest is one that no file has, so that the watch comes back to it.
func load(path string) (cfg *configs.Config, seen [sha256.Size]byte, err error) {
	for range loadTries {
		if cfg, err = configs.Load(path, os.LookupEnv); err != nil {
			return nil, seen, err
		}
		now := digest(cfg.Files)
		again, err := configs.Load(path, os.LookupEnv)
		if err == nil && again.Digest() == cfg.Digest() {
			return cfg, now, nil
		}
	}
	return cfg, seen, nil
}
