package http2_test

import (
	"testing"
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
	const window = 1500 * time.Millisecond                      // far longer than a machine is away between two steps
	o := http2.Options{WriteTimeout: window, MinSendRate: 1000} // 1500 bytes in each window
	routes := paths(map[string]http2.Handler{"/large": large(60 << 10), "/": func(s *http2.Stream) { answer(s, 200, nil) }})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		s := start(t, false, o, routes)
		r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
		stop := make(chan struct{})
		r.headers(1, true, at("/large")...)
		done := make(chan struct{})
		go func() { defer close(done); r.opening(1, 1, window/100, stop) }()
		if code := r.reset(1); code != xhttp2.ErrCodeCancel {
			t.Errorf("reset with %v", code)
		}
		close(stop)
		<-done
		r.alive(3)
		if s.counters.SlowReaders.Load() != 1 || s.counters.Stalls.Load() != 0 {
			t.Errorf("%d slow readers, %d stalls", s.counters.SlowReaders.Load(), s.counters.Stalls.Load())
		}
	})
	t.Run("connection", func(t *testing.T) {
		t.Parallel()
		s := start(t, false, o, routes)
		r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
		stop := make(chan struct{})
		t.Cleanup(func() { close(stop) })
		r.headers(1, true, at("/large")...)
		r.headers(3, true, at("/large")...)
		go r.opening(0, 1, window/100, stop)
		if code := r.end(); code != xhttp2.ErrCodeEnhanceYourCalm {
			t.Errorf("ended with %v", code)
		}
		if s.counters.SlowReaders.Load() != 1 {
			t.Errorf("%d slow readers", s.counters.SlowReaders.Load())
		}
	})
	t.Run("moves", func(t *testing.T) {
		t.Parallel()
		s := start(t, false, o, routes)
		r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1000})
		stop := make(chan struct{})
		t.Cleanup(func() { close(stop) })
		r.check(r.fr.WriteWindowUpdate(0, 1<<20))
		r.headers(1, true, at("/large")...)
		go r.opening(1, 2000, window/10, stop) // 30 steps, 3 windows
		if got := r.response(1); len(got.body) != 60<<10 {
			t.Errorf("%d bytes", len(got.body))
		}
		if s.counters.SlowReaders.Load() != 0 {
			t.Error("taken for slow")
		}
	})
}
