package http2_test

import (
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// opening raises a window by step, in time for every bound on waiting, until the connection ends.
func (r *raw) opening(stream uint32, step uint32, every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r.fr.WriteWindowUpdate(stream, step) != nil {
				return
			}
		case <-stop:
			return
		}
	}
}

// TestWindowTrickle: who opens a stream's window byte by byte loses the stream; who opens the connection's so loses the connection; who opens either fast enough keeps
// both, however long it takes.
func TestWindowTrickle(t *testing.T) {
	const window = time.Second
	routes := paths(map[string]http2.Handler{"/large": large(60 << 10), "/": func(s *http2.Stream) { answer(s, 200, nil) }})
	run := func(name string, initial uint32, do func(t *testing.T, r *raw, counters *http2.Counters, trickle func(stream, step uint32, every time.Duration) (stop func()))) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := http2.Options{WriteTimeout: window, MinSendRate: 1000, Counters: new(http2.Counters)} // 1000 bytes in each window
				r, _ := bubbled(t, &o, routes)
				r.greet(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: initial})
				do(t, r, o.Counters, func(stream, step uint32, every time.Duration) (stop func()) {
					over, done := make(chan struct{}), make(chan struct{})
					go func() { defer close(done); r.opening(stream, step, every, over) }()
					return func() { close(over); <-done }
				})
			})
		})
	}
	run("stream", 10, func(t *testing.T, r *raw, counters *http2.Counters, trickle func(uint32, uint32, time.Duration) func()) {
		r.headers(1, true, at("/large")...)
		stop := trickle(1, 1, window/100)
		if code := r.reset(1); code != xhttp2.ErrCodeCancel {
			t.Errorf("reset with %v", code)
		}
		stop()
		if counters.SlowReaders.Load() != 1 || counters.Stalls.Load() != 0 {
			t.Errorf("%d slow readers, %d stalls", counters.SlowReaders.Load(), counters.Stalls.Load())
		}
		r.alive(3)
	})
	run("connection", 1<<20, func(t *testing.T, r *raw, counters *http2.Counters, trickle func(uint32, uint32, time.Duration) func()) {
		r.headers(1, true, at("/large")...)
		r.headers(3, true, at("/large")...)
		defer trickle(0, 1, window/100)()
		if code := r.end(); code != xhttp2.ErrCodeEnhanceYourCalm {
			t.Errorf("ended with %v", code)
		}
		if counters.SlowReaders.Load() != 1 {
			t.Errorf("%d slow readers", counters.SlowReaders.Load())
		}
	})
	run("moves", 1000, func(t *testing.T, r *raw, counters *http2.Counters, trickle func(uint32, uint32, time.Duration) func()) {
		r.check(r.fr.WriteWindowUpdate(0, 1<<20))
		r.headers(1, true, at("/large")...)
		defer trickle(1, 150, window/10)() // 1500 in each window, for 40 windows
		if got := r.response(1); len(got.body) != 60<<10 {
			t.Errorf("%d bytes", len(got.body))
		}
		if counters.SlowReaders.Load() != 0 {
			t.Error("taken for slow")
		}
	})
}
