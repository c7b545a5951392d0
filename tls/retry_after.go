package edgetls

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap/zapcore"
)

// retryWatch remembers when a CA last asked to come again. The client library drops the Retry-After field of refusals (RFC 8555 §6.6); its debug log is the
// only place where it can be seen. TestRetryAfter fails when that changes.
type retryWatch struct {
	until atomic.Int64 // Unix nanoseconds, 0: never asked; written by the order that was refused
	seen  atomic.Int64 // when that was
}

// mostRetryAfter bounds what is believed: the longest of Let's Encrypt's limits ends within a week.
const mostRetryAfter = week

// core sees every line of core's logger, whatever its level.
func (w *retryWatch) core(core zapcore.Core) zapcore.Core { return watched{core, w} }

// mark adds to a refusal that came after since when the CA asked to come again. Two orders that are refused at once may take each other's time, which is the
// same CA's.
func (w *retryWatch) mark(err error, since time.Time) error {
	var p acme.Problem
	if until := w.until.Load(); until != 0 && w.seen.Load() >= since.UnixNano() && errors.As(err, &p) && p.Type == acme.ProblemTypeRateLimited {
		return &postponed{err: err, until: time.Unix(0, until)}
	}
	return err
}

// postponed is a refusal of a CA's with the time it gave.
type postponed struct {
	err   error
	until time.Time
}

// Error implements error.
func (p *postponed) Error() string { return p.err.Error() }

// Unwrap gives the refusal.
func (p *postponed) Unwrap() error { return p.err }

// retryAfterField is the time that a Retry-After field (RFC 9110 §10.2.3) means; zero for none, and for one that means nothing.
func retryAfterField(h http.Header, now time.Time) time.Time {
	text := h.Get("Retry-After")
	until, err := http.ParseTime(text)
	if seconds, number := strconv.ParseUint(text, 10, 31); number == nil {
		until, err = now.Add(time.Duration(seconds)*time.Second), nil
	}
	if err != nil || !until.After(now) {
		return time.Time{}
	}
	if latest := now.Add(mostRetryAfter); until.After(latest) {
		return latest
	}
	return until
}

type watched struct {
	zapcore.Core
	watch *retryWatch
}

// Enabled implements zapcore.LevelEnabler.
func (w watched) Enabled(zapcore.Level) bool { return true }

// With implements zapcore.Core.
func (w watched) With(fields []zapcore.Field) zapcore.Core {
	return watched{w.Core.With(fields), w.watch}
}

// Check implements zapcore.Core.
func (w watched) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == "http request" {
		return ce.AddCore(e, w)
	}
	if !w.Core.Enabled(e.Level) {
		return ce
	}
	return w.Core.Check(e, ce)
}

// Write implements zapcore.Core; it is called for the lines of requests only.
func (w watched) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var status int64
	var header http.Header
	for _, f := range fields {
		switch f.Key {
		case "status_code":
			status = f.Integer
		case "response_headers":
			header, _ = f.Interface.(http.Header)
		}
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		now := time.Now()
		if until := retryAfterField(header, now); !until.IsZero() {
			w.watch.seen.Store(now.UnixNano())
			w.watch.until.Store(until.UnixNano())
		}
	}
	if !w.Core.Enabled(e.Level) {
		return nil
	}
	return w.Core.Write(e, fields)
}
