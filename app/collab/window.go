package collab

import "time"

// window counts what happened within the last span, exactly: any span of it holds at most its limit. It is not safe for concurrent use.
type window struct {
	span  time.Duration
	times []time.Time // a ring of the last len(times) things; zero where there were none
	next  int         // the oldest
}

func newWindow(limit int, span time.Duration) *window {
	return &window{span: span, times: make([]time.Time, limit)}
}

// take counts n things, or says how long to wait until it could. More than the limit at once never fit.
func (w *window) take(n int, now time.Time) (wait time.Duration, ok bool) {
	if n > len(w.times) {
		return w.span, false
	}
	if n == 0 {
		return 0, true
	}
	// The n oldest make room for the n new.
	last := w.times[(w.next+n-1)%len(w.times)]
	if wait = last.Add(w.span).Sub(now); !last.IsZero() && wait > 0 {
		return wait, false
	}
	for range n {
		w.times[w.next] = now
		w.next = (w.next + 1) % len(w.times)
	}
	return 0, true
}
