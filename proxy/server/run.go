package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// Run serves until ctx ends, a stop signal or a stop by the admin API, and returns the exit code. It prints why it could not start.
//
// TERM and INT drain until the deadline, QUIT drains without one, a second of any of them ends at once. HUP reloads, USR1 reopens logs, USR2 upgrades.
func Run(ctx context.Context, o Options, signals <-chan os.Signal) int {
	s, err := start(o)
	if err != nil {
		for _, line := range lines(err) {
			_, _ = fmt.Fprintln(o.Stderr, line)
		}
		if p := o.Inherited.Predecessor(); p != nil {
			p.Refuse(lines(err))
		}
		o.Inherited.Close()
		return exitFailed
	}
	s.logMemoryLimit()
	reloaded := s.startReloader(ctx)
	if o.Ready != nil {
		o.Ready(s)
	}
	mode := s.wait(ctx, signals)
	s.stopping.Store(true)
	s.end()
	s.awaitUpgrade()
	<-reloaded
	s.forgetUnconfirmed()
	s.watcher.close()
	if mode == admin.StopGracefully && !s.handed.Load() {
		s.linger(signals)
	}
	clean := s.drain(ctx, signals, mode)
	s.removePID()
	if !clean && mode != admin.StopNow {
		return exitExpired
	}
	return exitClean
}

// wait is the life of a running edge: signals, file changes and housekeeping, until something says stop.
func (s *Server) wait(ctx context.Context, signals <-chan os.Signal) admin.StopMode {
	housekeeping := time.NewTicker(time.Second)
	defer housekeeping.Stop()
	for {
		select {
		case <-ctx.Done():
			return admin.StopGracefully
		case mode := <-s.stops:
			return mode
		case <-s.replaced:
			return admin.StopGracefully
		case <-housekeeping.C:
			s.keepHouse()
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				select {
				case s.hangups <- struct{}{}:
				default: // one is waiting already and will read what is there then
				}
			case syscall.SIGUSR1:
				if err := s.reopenLogs(); err != nil {
					s.log.Error("reopen logs", observe.Err(err))
				}
			case syscall.SIGUSR2:
				s.orders.Go(func() { _, _ = s.upgrade(ctx, "signal") }) // it says in the log what came of it
			case syscall.SIGTERM, syscall.SIGINT:
				return admin.StopGracefully
			case syscall.SIGQUIT:
				s.options.DrainTimeout = 0
				return admin.StopGracefully
			default:
				s.log.Warn("signal ignored", zap.String(observe.KeySignal, sig.String()))
			}
		}
	}
}

// keepHouse does once a second what need not be done per request.
func (s *Server) keepHouse() {
	s.exportShares()
	// A reload that waits for probes holds mu. This can wait; the signals that are heard beside it cannot.
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.targets.left.Swap(false) {
		s.metrics.Forget(s.inventory(s.current.Load()))
	}
	s.closeOutgoing(time.Now())
}

// lines are the parts of an error as a person reads them: one per mistake.
func lines(err error) []string {
	var list configs.Errors
	if errors.As(err, &list) {
		out := make([]string, len(list))
		for i, e := range list {
			out[i] = e.Error()
		}
		return out
	}
	return []string{"weir: " + err.Error()}
}

// details are the same for the admin API.
func details(err error) []admin.Detail {
	if err == nil {
		return nil
	}
	var list configs.Errors
	if errors.As(err, &list) {
		out := make([]admin.Detail, len(list))
		for i, e := range list {
			out[i] = admin.Detail{File: e.File, Line: e.Line, Column: e.Col, Message: e.Message}
		}
		return out
	}
	return []admin.Detail{{Message: err.Error()}}
}

func (s *Server) writePID() error {
	if s.options.PIDFile == "" {
		return nil
	}
	return writeDurably(s.options.PIDFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

func (s *Server) reopenLogs() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.logs.Load().reopen(ctx)
}

// drain ends the edge: readiness fails already, listeners close, requests end on their own until the deadline, then what is left is closed; the admin API goes
// last. It reports whether everything ended on its own.
func (s *Server) drain(ctx context.Context, signals <-chan os.Signal, mode admin.StopMode) bool {
	s.log.Info("stopping", zap.String("weir.mode", mode.String()))
	left := s.leave()
	limit, cancel := s.deadline(mode)
	defer cancel()
	go func() { // ends with limit
		for {
			select {
			case <-limit.Done():
				return
			case again := <-s.stops:
				if again == admin.StopNow {
					cancel()
				}
			case sig := <-signals:
				if sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT {
					cancel()
				}
			}
		}
	}()
	parted := s.partSockets(limit)
	clean := s.empty(limit)
	cancel()
	s.keepRollouts()
	s.incidents.writers.Wait()
	s.shadows.close()
	s.tracing.close(flushTime(mode))
	s.mu.Lock()
	if s.handed.Load() {
		s.stopQUIC()
	}
	s.awaitQUIC()
	s.elders.close()
	for _, pool := range s.current.Load().pools {
		pool.Release()
	}
	s.closeOutgoing(time.Now().Add(outgoingLife)) // every request has ended
	s.mu.Unlock()
	s.guards().closeBut(nil)
	s.wafs().closeBut(nil)
	s.tickets.Close()
	s.cluster.Load().close()
	s.stapler.Close()
	s.registry.Close()
	s.turns.close()
	left(ctx)
	s.lock.close()
	s.log.Info("stopped", zap.Bool("weir.clean", clean), zap.Int("weir.websockets_closed", <-parted))
	_ = s.logs.Load().closeBut(nil)
	return clean
}

func (s *Server) deadline(mode admin.StopMode) (context.Context, context.CancelFunc) {
	if mode == admin.StopNow {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		return done, cancel
	}
	if s.options.DrainTimeout > 0 {
		return context.WithTimeout(context.Background(), s.options.DrainTimeout)
	}
	return context.WithCancel(context.Background())
}

// closeAdmin lets answers in flight (the one to `weir stop` among them) be written.
func (s *Server) closeAdmin(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if s.admin.Shutdown(ctx) != nil {
		_ = s.admin.Close()
	}
}
