package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// ErrManyTaps is returned by a Control that has as many taps as may be: 503.
var ErrManyTaps = errors.New("too many taps")

// Tap is a watch of requests as they end. One goroutine uses it.
type Tap struct {
	// Next waits for a request, until ctx ends: then it is nil. missed is how many there were since the last call that could not be given: more came than the tap takes.
	Next  func(ctx context.Context) (r *RequestSummary, missed uint64)
	Close func()
}

// TapEvent is one event of GET /v1/tap. The first one, sent at once, and one every few seconds in which nothing happens, have no request.
type TapEvent struct {
	Request *RequestSummary `json:"request,omitempty"`
	// Missed is how many chosen requests are not shown, since the event before.
	Missed uint64 `json:"missed"`
}

// tapSilence is after how long without a request a tap says that it is still there, so that who reads can tell a quiet edge from a dead one.
const tapSilence = 5 * time.Second

// tap streams the requests that the query chooses as server-sent events, until the client leaves, is too slow for its connection, or the server ends.
func (a *api) tap(w http.ResponseWriter, r *http.Request) {
	if !streamable(w, r) {
		return
	}
	q, err := parseRequestQuery(r.URL.Query(), []string{"failed", "service", "route", "group", "method", "path", "client", "status", "min_duration", "header"})
	if err != nil {
		a.finish(w, r, answer{}, err)
		return
	}
	ctx, leave, err := a.streams.join(r.Context())
	if err != nil {
		a.finish(w, r, answer{}, err)
		return
	}
	defer leave()
	t, err := a.control.Tap(q)
	if errors.Is(err, ErrManyTaps) {
		problem(http.StatusServiceUnavailable, "there are as many taps as may be").write(w, r)
		return
	}
	if err != nil {
		a.finish(w, r, answer{}, err)
		return
	}
	defer t.Close()
	c := beginStream(w)
	for e := (TapEvent{}); ; {
		b, err := json.Marshal(e)
		if err != nil || writeFrame(w, c, b) != nil {
			return
		}
		wait, cancel := context.WithTimeout(ctx, tapSilence)
		e.Request, e.Missed = t.Next(wait)
		cancel()
		if e.Request == nil && ctx.Err() != nil {
			return
		}
	}
}

// streams ends answers that would not end themselves.
type streams struct {
	mu     sync.Mutex // guards the rest; held for map work
	open   map[*context.CancelFunc]bool
	closed bool
}

func newStreams() *streams { return &streams{open: map[*context.CancelFunc]bool{}} }

// join gives a context that ends with parent, or when streams are dismissed. Whoever joins must leave.
func (s *streams) join(parent context.Context) (ctx context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrStopping
	}
	ctx, cancel := context.WithCancel(parent)
	s.open[&cancel] = true
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, &cancel)
		cancel()
	}, nil
}

// dismiss ends all that are open, for a token that is good no more.
func (s *streams) dismiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.open {
		(*cancel)()
	}
}

// close ends all and takes no others.
func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.dismiss()
}
