package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/observe"
)

// logs are the outputs in force. Server.mu guards the choice; each sink has a goroutine of its own.
type logs struct {
	sinks  map[place]*observe.Sink // every output once, however many logs go there
	main   *observe.Sink           // the process's own lines
	audit  *observe.Sink
	access *observe.AccessLog // nil: off
}

// place is an output with what its losses count as, which is settled when it is opened.
type place struct {
	output string
	audit  bool // the audit log's alone
}

// openLogs opens what the configuration names; an output that the current logs have open is gone on with.
func (s *Server) openLogs(c configs.Log, current *logs) (next *logs, err error) {
	next = &logs{sinks: map[place]*observe.Sink{}}
	defer func() {
		if err != nil {
			_ = next.closeBut(current)
		}
	}()
	if next.main, err = s.openSink(place{output: c.Output}, next, current); err != nil {
		return next, err
	}
	lines := next.main
	if c.AccessOutput != "" && c.Access != configs.AccessOff {
		if lines, err = s.openSink(place{output: c.AccessOutput}, next, current); err != nil {
			return next, err
		}
	}
	next.audit = next.main
	if c.Audit != "" {
		at := place{output: c.Audit}
		at.audit = next.sinks[at] == nil
		if next.audit, err = s.openSink(at, next, current); err != nil {
			return next, err
		}
	}
	next.access = s.accessLog(c, lines)
	return next, nil
}

// openSink gives the one sink of next at a place.
func (s *Server) openSink(at place, next, current *logs) (*observe.Sink, error) {
	if sink := next.sinks[at]; sink != nil {
		return sink, nil
	}
	if current != nil && current.sinks[at] != nil {
		next.sinks[at] = current.sinks[at]
		return next.sinks[at], nil
	}
	o := observe.SinkOptions{OnDrop: s.metrics.LogDropped, OnError: s.logFailed(at.output)}
	if at.audit {
		o.OnDrop = s.metrics.AuditDropped
	}
	switch at.output {
	case "stdout":
		o.Output = s.options.Stdout
	case "stderr":
		o.Output, o.OnError = s.options.Stderr, nil // where else
	default:
		o.Path = at.output
	}
	sink, err := observe.NewSink(o)
	if err != nil {
		return nil, err
	}
	next.sinks[at] = sink
	return sink, nil
}

// logFailed tells of the first write of a row that failed where somebody may still read it: a log cannot say that it is lost. Of the lines that are lost the metrics tell the number.
func (s *Server) logFailed(output string) func(error) {
	return func(err error) {
		_, _ = fmt.Fprintf(s.options.Stderr, "weir: log output %s: %v: lines are lost until it can be written again, weir_log_dropped_total counts them\n", output, err)
	}
}

// accessLog is the access log that the configuration describes; nil: off.
func (s *Server) accessLog(c configs.Log, sink *observe.Sink) *observe.AccessLog {
	form := observe.JSON
	switch c.Access {
	case configs.AccessOff:
		return nil
	case configs.AccessCombined:
		form = observe.Combined
	}
	return observe.NewAccessLog(form, sink, c.RedactQuery...).Sampled(observe.Sampling{Rate: c.Sample, Slow: c.Slow, OnLeftOut: s.metrics.LogSampledOut})
}

// outgoing are log outputs that a reload replaced: requests that began before it still write their lines there.
type outgoing struct {
	logs  *logs
	next  *logs // goes on with some of them
	since time.Time
}

// outgoingLife is how long replaced logs stay open. A request that takes longer (a stream) loses its line, which is counted: keeping every
// output that ever was for it would cost a file and a goroutine each.
const outgoingLife = time.Minute

// closeOutgoing ends replaced logs that have outlived their time at now. Server.mu is held.
func (s *Server) closeOutgoing(now time.Time) {
	kept := s.outgoing[:0]
	for _, o := range s.outgoing {
		if now.Sub(o.since) < outgoingLife {
			kept = append(kept, o)
			continue
		}
		if err := o.logs.closeBut(o.next); err != nil {
			s.log.Warn("close log", observe.Err(err))
		}
	}
	s.outgoing = kept
}

// replaced reports whether one of the outputs is not among the successor's.
func (l *logs) replaced(next *logs) bool {
	for at, sink := range l.sinks {
		if next.sinks[at] != sink {
			return true
		}
	}
	return false
}

// closeBut ends the sinks that the successor does not go on with.
func (l *logs) closeBut(next *logs) error {
	if l == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var failed []error
	for at, sink := range l.sinks {
		if next != nil && next.sinks[at] == sink {
			continue
		}
		if err := sink.Close(ctx); err != nil {
			failed = append(failed, fmt.Errorf("close log: %w", err))
		}
	}
	return errors.Join(failed...)
}

// reopen opens every file anew; one that cannot be opened does not keep the others from it.
func (l *logs) reopen(ctx context.Context) error {
	var failed []error
	for _, sink := range l.sinks {
		failed = append(failed, sink.Reopen(ctx))
	}
	return errors.Join(failed...)
}

// followLogs makes this process find rotated files by itself: USR1 and `weir logs reopen` reach the one that has replaced it.
func (s *Server) followLogs() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs.Load().follow()
	for _, o := range s.outgoing {
		o.logs.follow()
	}
}

func (l *logs) follow() {
	for _, sink := range l.sinks {
		sink.Follow()
	}
}

// output is what the process's own logger writes to: the sink in force at each line, or standard error before there is one.
type output struct{ s *Server }

func (o output) Write(p []byte) (int, error) {
	if l := o.s.logs.Load(); l != nil {
		return l.main.Write(p)
	}
	return o.s.options.Stderr.Write(p)
}

var _ io.Writer = output{}

// auditOutput is the same of the audit log. Nobody writes to it before there are logs.
type auditOutput struct{ s *Server }

func (o auditOutput) Write(p []byte) (int, error) { return o.s.logs.Load().audit.Write(p) }

var _ io.Writer = auditOutput{}

// auditReload is the line of a reload that nobody asked the admin API for: a signal or a file changed what is served.
func (s *Server) auditReload(trigger string, before uint64, err error) {
	fields := []zap.Field{zap.String(observe.KeyAction, "reload"), zap.String(observe.KeyUserName, trigger), zap.String(observe.KeyAuditBefore, fmt.Sprintf("generation %d", before))}
	if err != nil {
		s.audit.Warn("write refused", append(fields, zap.String(observe.KeyOutcome, "failure"), observe.Err(err))...)
		return
	}
	after := fmt.Sprintf("generation %d", s.current.Load().number)
	s.audit.Info("write done", append(fields, zap.String(observe.KeyOutcome, "success"), zap.String(observe.KeyAuditAfter, after))...)
}

func level(word string) zapcore.Level {
	l, err := zapcore.ParseLevel(word)
	if err != nil {
		return zapcore.InfoLevel // configs has checked the word
	}
	return l
}
