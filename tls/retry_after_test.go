package edgetls_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestRetryAfter: a CA that says when to come again only in its Retry-After field is not asked before, whatever our own pauses are; the client library
// shows that field nowhere but in its debug log.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name, path string // refused there
		status     int
		words      string
		orders     int64
	}{
		{"order", "/order-plz", http.StatusTooManyRequests, "takes no more orders for now", 1},
		{"account", "/sign-me-up", http.StatusTooManyRequests, "takes no more orders for now", 0},
		{"directory", "/dir", http.StatusServiceUnavailable, "asks to come again at", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			ca := s.pebble()
			ca.Refuse(c.path, func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", "7200")
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"busy"}`))
			})
			s.start(s.options(ca), "a.example.test")
			s.await("failure", s.hasFailed("a.example.test"))
			i := s.info("a.example.test")
			if wait := time.Until(i.NextAttempt); wait < 2*time.Hour-time.Minute || wait > 2*time.Hour {
				t.Errorf("next attempt in %v: %+v", wait, i)
			}
			if !strings.Contains(i.Error, c.words) || ca.Orders.Load() != c.orders {
				t.Errorf("tells %q after %d orders", i.Error, ca.Orders.Load())
			}
		})
	}
}

// TestRetryAfterField: both forms, never the past, never longer than a week.
func TestRetryAfterField(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"120": at.Add(2 * time.Minute), "0": {}, "": {}, "-5": {}, "soon": {}, "1.5": {}, "99999999999999999999": {},
		"Mon, 23 Nov 2026 11:00:00 GMT": at.Add(time.Hour), "Mon, 23 Nov 2026 09:00:00 GMT": {},
		"Mon, 23 Nov 2099 11:00:00 GMT": at.Add(7 * 24 * time.Hour), "2000000000": at.Add(7 * 24 * time.Hour),
	} {
		if got := edgetls.RetryAfterField(http.Header{"Retry-After": {text}}, at); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := edgetls.RetryAfterField(http.Header{"Retry-After": {rapid.String().Draw(t, "text")}}, at)
		if !got.IsZero() && (!got.After(at) || got.After(at.Add(7*24*time.Hour))) {
			t.Fatalf("%v", got)
		}
	})
}
