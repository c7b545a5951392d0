package http2_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// paths routes by :path, for tests that need several kinds of answers.
func paths(m map[string]http2.Handler) http2.Handler {
	return func(s *http2.Stream) {
		var req message.Request
		if err := s.ReadRequest(&req); err != nil {
			refuse(s, err)
			return
		}
		m[string(req.Path)](s)
	}
}

func at(path string, more ...string) []string {
	f := with(more...)
	f[5] = path
	return f
}

func small(s *http2.Stream) { answer(s, 200, helloBody) }

func large(n int) http2.Handler {
	return func(s *http2.Stream) { answer(s, 200, make([]byte, n)) }
}

// TestNoStreamIsHostage: an answer leaves although another stream of the connection waits, for as long as it likes, before its head, or in the middle of its body.
func TestNoStreamIsHostage(t *testing.T) {
	for _, secure := range []bool{false, true} {
		release := make(chan struct{})
		s := start(t, secure, http2.Options{}, paths(map[string]http2.Handler{
			"/fast": small,
			"/silent": func(s *http2.Stream) {
				<-release
				small(s)
			},
			"/begun": func(s *http2.Stream) {
				s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
				s.Write([]byte("first"))
				<-release // a handler that should have flushed and did not: even this must not hold others
				s.Finish(nil)
			},
			"/flushed": func(s *http2.Stream) {
				s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
				s.Write([]byte("first"))
				s.Flush()
				<-release
				s.Write([]byte("second"))
				s.Finish(nil)
			},
		}))
		client, url := s.client(secure)
		slow := make(chan error, 3)
		for _, p := range []string{"/silent", "/begun"} {
			go func() { slow <- fetch(client, url+p, nil) }()
		}
		go func() {
			slow <- fetch(client, url+"/flushed", func() { release <- struct{}{}; release <- struct{}{}; close(release) })
		}()
		for range 50 {
			if err := fetch(client, url+"/fast", nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if err := <-slow; err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAnswersGather: eight requests that arrive together are answered in fewer writes than answers.
func TestAnswersGather(t *testing.T) {
	s := start(t, false, http2.Options{}, hello)
	r := dial(t, s)
	before := s.counters.Flushes.Load()
	const rounds, m = 50, 8
	id := uint32(1)
	for range rounds {
		var buf bytes.Buffer
		fr := xhttp2.NewFramer(&buf, nil)
		for i := range uint32(m) {
			r.check(fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id + 2*i, BlockFragment: r.fields(get...), EndHeaders: true, EndStream: true}))
		}
		r.write(buf.Bytes())
		ended := 0
		r.next(func(f xhttp2.Frame) bool {
			if d, ok := f.(*xhttp2.DataFrame); ok && d.StreamEnded() {
				ended++
			}
			return ended == m
		})
		id += 2 * m
	}
	if writes := s.counters.Flushes.Load() - before; writes > rounds*m/2 {
		t.Errorf("%d writes for %d answers", writes, rounds*m)
	}
}

// TestSlowReaderHoldsNobody: a stream whose client opens no window waits alone.
func TestSlowReaderHoldsNobody(t *testing.T) {
	s := start(t, false, http2.Options{}, paths(map[string]http2.Handler{"/large": large(1 << 20), "/small": small}))
	r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100})
	r.headers(1, true, at("/large")...)
	r.next(func(f xhttp2.Frame) bool { return f.Header().Type == xhttp2.FrameData && f.Header().Length == 100 })
	for id := uint32(3); id < 43; id += 2 {
		r.headers(id, true, at("/small")...)
		if got := r.response(id); !bytes.Equal(got.body, helloBody) {
			t.Fatalf("body %q", got.body)
		}
	}
	r.check(r.fr.WriteWindowUpdate(0, 1<<20))
	r.check(r.fr.WriteWindowUpdate(1, 1<<20))
	if n := r.remainder(1); n != 1<<20-100 {
		t.Fatalf("%d bytes", n)
	}
}

// TestShrunkWindow: SETTINGS may take a window below zero; the stream goes on when it is above again (RFC 9113 §6.9.2).
func TestShrunkWindow(t *testing.T) {
	s := start(t, false, http2.Options{}, large(100_000))
	r := dial(t, s)
	r.headers(1, true, get...)
	got := 0
	r.next(func(f xhttp2.Frame) bool {
		if d, ok := f.(*xhttp2.DataFrame); ok {
			got += len(d.Data())
		}
		return got == 65535
	})
	r.check(r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0}))
	r.check(r.fr.WriteWindowUpdate(0, 1<<20))
	r.check(r.fr.WriteWindowUpdate(1, 65536)) // one above zero
	first := r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.DataFrame); return ok }).(*xhttp2.DataFrame)
	if len(first.Data()) != 1 {
		t.Fatalf("%d bytes in a window of 1", len(first.Data()))
	}
	r.check(r.fr.WriteWindowUpdate(1, 1<<20))
	if rest := r.remainder(1); rest != 100_000-65535-1 {
		t.Fatalf("%d bytes", rest)
	}
}

// remainder counts the DATA of a response whose head was read.
func (r *raw) remainder(id uint32) (n int) {
	r.next(func(f xhttp2.Frame) bool {
		d, ok := f.(*xhttp2.DataFrame)
		if ok && d.StreamID == id {
			n += len(d.Data())
			return d.StreamEnded()
		}
		return false
	})
	return n
}

// TestPriorities: when the connection is what lacks, urgent streams go first, incremental ones of the same urgency share, others go one by one.
func TestPriorities(t *testing.T) {
	cases := []struct {
		name  string
		prios [3]string
		want  string // streams in the order of their DATA frames, repetitions dropped
	}{
		{"urgency", [3]string{"u=5", "u=1", "u=3"}, "3 5 1"},
		{"in order", [3]string{"u=3", "", "u=3, i=?0"}, "1 3 5"},
		{"shared", [3]string{"i", "i", "i"}, "1 3 5 1 3 5 1 3 5"},
		{"updated", [3]string{"u=1", "u=2", "update"}, "5 1 3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			const size = 3 * 16384
			s := start(t, false, http2.Options{}, paths(map[string]http2.Handler{"/drain": large(65535), "/": large(size)}))
			r := dial(t, s)
			r.headers(101, true, at("/drain")...)
			r.response(101) // the connection's window is empty now
			for i, p := range c.prios {
				id := uint32(103 + 2*i)
				r.headers(id, true, with("priority", p)...)
				r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.HeadersFrame); return ok })
				if p == "update" {
					r.check(r.fr.WritePriorityUpdate(id, "u=0"))
				}
			}
			r.barrier()
			order, last := "", uint32(0)
			for left := 3 * size; left > 0; {
				r.check(r.fr.WriteWindowUpdate(0, 16384)) // a frame at a time, so that every frame is a choice
				d := r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.DataFrame); return ok && f.Header().Length > 0 }).(*xhttp2.DataFrame)
				left -= len(d.Data())
				if d.StreamID != last {
					order += fmt.Sprint(d.StreamID-102, " ")
					last = d.StreamID
				}
			}
			if order != c.want+" " {
				t.Errorf("got %s, want %s", order, c.want)
			}
		})
	}
}

// barrier waits until the server has handled what was sent.
func (r *raw) barrier() {
	r.t.Helper()
	r.check(r.fr.WritePing(false, [8]byte{1}))
	r.next(func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && p.IsAck() })
}

// TestStalledStream: who opens no window for WriteTimeout loses the stream, not the connection.
func TestStalledStream(t *testing.T) {
	s := start(t, false, http2.Options{WriteTimeout: time.Second}, paths(map[string]http2.Handler{"/large": large(100), "/": func(s *http2.Stream) { answer(s, 200, nil) }}))
	r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
	r.headers(1, true, at("/large")...)
	if code := r.reset(1); code != xhttp2.ErrCodeCancel {
		t.Errorf("reset with %v", code)
	}
	r.alive(3)
	if s.counters.Stalls.Load() != 1 {
		t.Error("not counted")
	}
}

// TestStalledSocket: a client that reads nothing at all loses the connection.
func TestStalledSocket(t *testing.T) {
	s := start(t, false, http2.Options{WriteTimeout: time.Second}, large(64<<20))
	r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.check(r.fr.WriteWindowUpdate(0, 1<<30))
	r.headers(1, true, get...)
	s.wait(1)
	if s.counters.WriteTimeouts.Load() != 1 {
		t.Error("not counted")
	}
}

// TestUnreadControl: who asks for answers and does not read them is cut off before they fill memory.
func TestUnreadControl(t *testing.T) {
	s := start(t, false, http2.Options{}, large(64<<20))
	r := dial(t, s, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
	r.check(r.fr.WriteWindowUpdate(0, 1<<30))
	r.headers(1, true, get...)
	for r.fr.WritePing(false, [8]byte{}) == nil {
		if s.counters.Floods[http2.FloodPing].Load()+s.counters.Floods[http2.FloodBacklog].Load() > 0 {
			return
		}
	}
	s.wait(1)
	if s.counters.Floods[http2.FloodPing].Load()+s.counters.Floods[http2.FloodBacklog].Load() == 0 {
		t.Error("cut off for another reason")
	}
}
