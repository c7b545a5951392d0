package server

import (
	"context"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/observe"
)

// logs are the outputs in force: one sink that the access log and the process's own log share. Server.mu guards the choice; the sink has a goroutine
// of its own.
type logs struct {
	config configs.Log
	sink   *observe.Sink
	access *observe.AccessLog // nil: off
}

// openLogs opens what the configuration names, or returns the current logs when the output is the same.
func (s *Server) openLogs(c configs.Log, current *logs) (*logs, error) {
	next := &logs{config: c}
	if current != nil && current.config.Output == c.Output {
		next.sink = current.sink
	} else {
		o := observe.SinkOptions{OnDrop: s.metrics.LogDropped}
		switch c.Output {
		case "stdout":
			o.Output = s.options.Stdout
		case "stderr":
			o.Output = s.options.Stderr
		default:
			o.Path = c.Output
		}
		var err error
		if next.sink, err = observe.NewSink(o); err != nil {
			return nil, err
		}
	}
	switch c.Access {
	case configs.AccessJSON:
		next.access = observe.NewAccessLog(observe.JSON, next.sink)
	case configs.AccessCombined:
		next.access = observe.NewAccessLog(observe.Combined, next.sink)
	}
	return next, nil
}

// outgoing are logs that a reload replaced: requests that began before it still write their lines there.
type outgoing struct {
	logs  *logs
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
		if err := o.logs.closeBut(nil); err != nil {
			s.log.Warn("close log", observe.Err(err))
		}
	}
	s.outgoing = kept
}

// closeBut ends the sink unless the successor goes on with it.
func (l *logs) closeBut(next *logs) error {
	if l == nil || next != nil && next.sink == l.sink {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := l.sink.Close(ctx); err != nil {
		return fmt.Errorf("close log: %w", err)
	}
	return nil
}

// output is what the process's own logger writes to: the sink in force at each line, or standard error before there is one.
type output struct{ s *Server }

func (o output) Write(p []byte) (int, error) {
	if l := o.s.logs.Load(); l != nil {
		return l.sink.Write(p)
	}
	return o.s.options.Stderr.Write(p)
}

var _ io.Writer = output{}

func level(word string) zapcore.Level {
	l, err := zapcore.ParseLevel(word)
	if err != nil {
		return zapcore.InfoLevel // configs has checked the word
	}
	return l
}
