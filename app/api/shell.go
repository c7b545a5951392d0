package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

// shell is what every request passes: request id, colour, fault, route, one log line, one count.
type shell struct {
	Options
	routes *routeList
	// counts is keyed by pattern and never written after newShell.
	counts    map[string]*metrics.Route
	unmatched *metrics.Route
}

func newShell(o Options, routes *routeList) *shell {
	s := &shell{Options: o, routes: routes, counts: map[string]*metrics.Route{},
		unmatched: o.Metrics.Route("any", "unmatched")}
	for _, p := range routes.patterns {
		method, path, _ := strings.Cut(p, " ")
		s.counts[p] = o.Metrics.Route(method, path)
	}
	return s
}

// ServeHTTP implements http.Handler.
func (s *shell) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.Now()
	s.Metrics.Began()
	from := readOrigin(r)
	w.Header().Set("X-Request-ID", from.id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if s.Color != "" {
		w.Header().Set("X-Valor-Color", s.Color)
	}
	if s.Stopping != nil && s.Stopping() {
		w.Header().Set("Connection", "close") // the next request goes elsewhere
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Cache-Control", "no-store") // no answer here is for anyone but its caller
	}
	out := &answer{ResponseWriter: w}
	r = r.WithContext(store.WithRequest(context.WithValue(r.Context(), originKey{}, from), from.id))
	// Deferred, because an aborted answer leaves by a panic and has to be counted too.
	defer func() { s.finish(out, r, s.Now().Sub(began)) }()
	s.serve(out, r)
}

// serve turns a panic into a 500, or into a cut connection when an answer was already under way:
// a truncated body must not look whole.
func (s *shell) serve(w *answer, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		s.Log.Error("handler panicked", append(originOf(r.Context()).fields(), zap.Any("panic", p), zap.Stack("stack"))...)
		if w.code != 0 {
			panic(http.ErrAbortHandler)
		}
		writeProblem(w, http.StatusInternalServerError, "the request could not be answered")
	}()
	if s.Fault.applies(r.URL.Path) && s.Fault.strike(r.Context()) {
		writeProblem(w, http.StatusInternalServerError, "injected fault")
		return
	}
	if h, pattern := s.routes.Handler(r); pattern == "" {
		refuse(w, r, h)
		return
	}
	s.routes.ServeHTTP(w, r)
}

// refuse answers for the mux, whose own refusals are plain text: 404, or 405 with Allow.
func refuse(w *answer, r *http.Request, h http.Handler) {
	probe := &discard{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if probe.code == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		writeProblem(w, probe.code, "the resource does not have this method")
		return
	}
	writeProblem(w, http.StatusNotFound, "there is no such resource")
}

func (s *shell) finish(w *answer, r *http.Request, took time.Duration) {
	code := w.code
	if code == 0 {
		code = http.StatusInternalServerError // nothing was written: the connection was cut
	}
	route, known := s.counts[r.Pattern]
	if !known {
		route = s.unmatched
	}
	route.Done(code, took)
	level := zap.InfoLevel
	switch r.Pattern {
	case "GET /api/health", "GET /api/readiness", "GET /metrics":
		level = zap.DebugLevel // the edge and Prometheus ask every few seconds
	}
	// No query string: it may hold what a user typed.
	s.Log.Log(level, "request", append(originOf(r.Context()).fields(), zap.String("method", r.Method),
		zap.String("path", r.URL.Path), zap.String("route", r.Pattern), zap.Int("status", code),
		zap.Int64("bytes", w.bytes), zap.Duration("duration", took), zap.String("remote", r.RemoteAddr))...)
}

// requestID takes over the one X-Request-ID that came if it is safe to echo and log, or makes one.
func requestID(r *http.Request) string {
	if v := r.Header["X-Request-Id"]; len(v) == 1 && safeID(v[0]) {
		return v[0]
	}
	return uuid.NewString()
}

// safeID accepts [A-Za-z0-9._-]{1,128}.
func safeID(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// answer notes what was sent.
type answer struct {
	http.ResponseWriter
	code  int // 0 until the head is written
	bytes int64
}

func (a *answer) WriteHeader(code int) {
	if a.code == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) { // after which there is no other
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discard keeps the status and the header of an answer that is not sent.
type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(code int)        { d.code = code }
