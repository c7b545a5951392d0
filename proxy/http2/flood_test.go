package http2_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// flood sends with say until the server ends the connection, at most n times; what it has said by then it may not be able to write any more.
func (r *raw) flood(n int, say func(i int) error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			if say(i) != nil {
				return
			}
		}
	}()
	if code := r.end(); code != xhttp2.ErrCodeEnhanceYourCalm {
		r.t.Errorf("GOAWAY %v", code)
	}
	_ = r.conn.Close()
	<-done
}

// untilGone is a handler that answers when its stream has gone.
func untilGone(s *http2.Stream) {
	_, _ = s.Body().Next()
}

func TestFloodsEndTheConnection(t *testing.T) {
	cases := []struct {
		name    string
		kind    http2.Flood
		handler http2.Handler
		first   func(r *raw)
		say     func(r *raw, i int) error
	}{
		{"rapid reset", http2.FloodReset, untilGone, nil, func(r *raw, i int) error {
			id := uint32(2*i + 1)
			if err := r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(post()...), EndHeaders: true}); err != nil {
				return err
			}
			return r.fr.WriteRSTStream(id, xhttp2.ErrCodeCancel)
		}},
		{"made you reset: zero increments", http2.FloodReset, untilGone, nil, func(r *raw, i int) error {
			id := uint32(2*i + 1)
			if err := r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(post()...), EndHeaders: true}); err != nil {
				return err
			}
			return r.fr.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, id, []byte{0, 0, 0, 0})
		}},
		{"made you reset: data behind the end", http2.FloodReset, waitGone, nil, func(r *raw, i int) error {
			id := uint32(2*i + 1)
			if err := r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields(get...), EndHeaders: true, EndStream: true}); err != nil {
				return err
			}
			return r.fr.WriteData(id, true, []byte("x"))
		}},
		{"made you reset: malformed", http2.FloodReset, hello, nil, func(r *raw, i int) error {
			return r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: r.fields(":method", "GET"), EndHeaders: true, EndStream: true})
		}},
		{"streams beyond the limit", http2.FloodRefused, untilGone, nil, func(r *raw, i int) error {
			return r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: r.fields(post()...), EndHeaders: true})
		}},
		{"continuation", http2.FloodContinuation, hello, func(r *raw) {
			r.check(r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(get...)}))
		}, func(r *raw, _ int) error { return r.fr.WriteContinuation(1, false, nil) }},
		{"continuation, large", http2.FloodContinuation, hello, func(r *raw) {
			r.check(r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(get...)}))
		}, func(r *raw, _ int) error { return r.fr.WriteContinuation(1, false, make([]byte, 16384)) }},
		{"settings", http2.FloodSettings, hello, nil, func(r *raw, _ int) error { return r.fr.WriteSettings() }},
		{"settings acks", http2.FloodSettings, hello, nil, func(r *raw, _ int) error { return r.fr.WriteSettingsAck() }},
		{"ping", http2.FloodPing, hello, nil, func(r *raw, _ int) error { return r.fr.WritePing(false, [8]byte{}) }},
		{"ping acks", http2.FloodPing, hello, nil, func(r *raw, _ int) error { return r.fr.WritePing(true, [8]byte{}) }},
		{"empty data", http2.FloodEmpty, untilGone, func(r *raw) { r.headers(1, false, post()...) },
			func(r *raw, _ int) error { return r.fr.WriteData(1, false, nil) }},
		{"padding only", http2.FloodEmpty, untilGone, func(r *raw) { r.headers(1, false, post()...) },
			func(r *raw, _ int) error { return r.fr.WriteDataPadded(1, false, nil, make([]byte, 10)) }},
		{"window updates", http2.FloodWindow, untilGone, func(r *raw) { r.headers(1, false, post()...) },
			func(r *raw, _ int) error { return r.fr.WriteWindowUpdate(1, 1) }},
		{"window updates of the connection", http2.FloodWindow, hello, nil, func(r *raw, _ int) error { return r.fr.WriteWindowUpdate(0, 1) }},
		{"priority", http2.FloodPriority, hello, nil, func(r *raw, _ int) error { return r.fr.WritePriority(3, xhttp2.PriorityParam{StreamDep: 1}) }},
		{"priority update", http2.FloodPriority, hello, nil, func(r *raw, _ int) error { return r.fr.WritePriorityUpdate(1, "u=1") }},
		{"unknown frames", http2.FloodUnknown, hello, nil, func(r *raw, _ int) error { return r.fr.WriteRawFrame(0x77, 0, 0, []byte("x")) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, false, http2.Options{}, c.handler)
			r := dial(t, s)
			if c.first != nil {
				c.first(r)
			}
			r.flood(20000, func(i int) error { return c.say(r, i) })
			if s.counters.Floods[c.kind].Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

// TestResetsMultiplyNoHandlers: handlers that do not look whether their client is there are bounded all the same.
func TestResetsMultiplyNoHandlers(t *testing.T) {
	var running atomic.Int64
	release := make(chan struct{})
	s := start(t, false, http2.Options{MaxStreams: 4}, func(*http2.Stream) {
		running.Add(1)
		<-release
	})
	defer close(release)
	r := dial(t, s)
	for id := uint32(1); id < 60; id += 2 {
		r.headers(id, true, get...)
		r.check(r.fr.WriteRSTStream(id, xhttp2.ErrCodeCancel))
	}
	r.barrier()
	if n := running.Load(); n > 8 || s.counters.Streams.Load() != 8 {
		t.Errorf("%d handlers, %d streams", n, s.counters.Streams.Load())
	}
}

// waitGone waits for its stream's end without a body to read.
func waitGone(s *http2.Stream) {
	for s.Err() == nil {
		runtime.Gosched()
	}
}
