package http2_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// TestDrain: the first GOAWAY loses nobody, the second names the last stream, running streams end, then the connection does.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	s := start(t, false, http2.Options{DrainGrace: time.Hour}, paths(map[string]http2.Handler{"/": small, "/slow": func(s *http2.Stream) {
		<-release
		if !s.Closing() {
			panic("not closing")
		}
		small(s)
	}}))
	r := dial(t, s)
	r.headers(1, true, at("/slow")...)
	r.barrier()
	s.conns[0].Drain()
	s.conns[0].Drain() // twice is once
	if g := r.goaway(); g.LastStreamID != 1<<31-1 || g.ErrCode != 0 {
		t.Fatalf("first %v", g)
	}
	ping := *r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.PingFrame); return ok }).(*xhttp2.PingFrame)
	r.headers(3, true, get...) // was on its way
	if got := r.response(3); got.status != "200" {
		t.Fatal(got.status)
	}
	r.check(r.fr.WritePing(true, ping.Data))
	if g := r.goaway(); g.LastStreamID != 3 || g.ErrCode != 0 {
		t.Fatalf("second %v", g)
	}
	r.headers(5, true, get...) // too late: ignored
	r.barrier()
	close(release)
	if got := r.response(1); got.status != "200" {
		t.Fatal(got.status)
	}
	r.check(r.conn.(interface{ CloseWrite() error }).CloseWrite())
	if errs := s.wait(1); errs[0] != nil {
		t.Error(errs[0])
	}
	if n := s.counters.Streams.Load(); n != 2 {
		t.Errorf("%d streams served", n)
	}
}

// TestDrainWithoutAnswer: a client that does not answer the PING is drained after DrainGrace.
func TestDrainWithoutAnswer(t *testing.T) {
	s := start(t, false, http2.Options{DrainGrace: 50 * time.Millisecond}, hello)
	r := dial(t, s)
	r.alive(1)
	s.conns[0].Drain()
	if code := r.end(); code != xhttp2.ErrCodeNo {
		t.Error(code)
	}
}

// TestDrainBeforeServe: a connection that is drained before it is served still says its SETTINGS first, and serves what comes until its client knows.
func TestDrainBeforeServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		c := http2.New(conn, new(http2.Options), hello)
		c.Drain()
		ended <- c.Serve(nil)
	}()
	r := dialSilent(t, &server{t: t, listener: l})
	r.write([]byte(http2.Preface))
	r.check(r.fr.WriteSettings())
	r.headers(1, true, get...)
	if f, err := r.fr.ReadFrame(); err != nil || f.Header().Type != xhttp2.FrameSettings {
		t.Fatalf("first %v %v", f, err)
	}
	ping := *r.next(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.PingFrame); return ok }).(*xhttp2.PingFrame)
	if got := r.response(1); got.status != "200" {
		t.Fatal(got.status)
	}
	r.check(r.fr.WritePing(true, ping.Data))
	if code := r.end(); code != xhttp2.ErrCodeNo {
		t.Error(code)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestTimeouts: every wait for a client has its end, its code and its counter.
func TestTimeouts(t *testing.T) {
	const short = time.Second
	half := func(r *raw) { r.write([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2}) }
	cases := []struct {
		name    string
		o       http2.Options
		silent  bool
		say     func(r *raw)
		want    xhttp2.ErrCode
		counted func(c *http2.Counters) uint64
	}{
		{"idle", http2.Options{IdleTimeout: short}, false, func(r *raw) { r.alive(1) }, xhttp2.ErrCodeNo, func(c *http2.Counters) uint64 { return c.Idle.Load() }},
		{"no preface", http2.Options{HeaderTimeout: short}, true, func(*raw) {}, xhttp2.ErrCodeEnhanceYourCalm, func(c *http2.Counters) uint64 { return c.SlowFrames.Load() }},
		{"half a preface", http2.Options{HeaderTimeout: short}, true, func(r *raw) { r.write([]byte(http2.Preface[:10])) }, xhttp2.ErrCodeEnhanceYourCalm, func(c *http2.Counters) uint64 { return c.SlowFrames.Load() }},
		{"half a frame", http2.Options{HeaderTimeout: short}, false, half, xhttp2.ErrCodeEnhanceYourCalm, func(c *http2.Counters) uint64 { return c.SlowFrames.Load() }},
		{"header block without end", http2.Options{HeaderTimeout: short}, false, func(r *raw) {
			r.check(r.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: r.fields(get...)}))
		}, xhttp2.ErrCodeEnhanceYourCalm, func(c *http2.Counters) uint64 { return c.SlowFrames.Load() }},
		{"settings not acknowledged", http2.Options{SettingsTimeout: short}, true, func(r *raw) {
			r.write([]byte(http2.Preface))
			r.check(r.fr.WriteSettings())
		}, xhttp2.ErrCodeSettingsTimeout, func(c *http2.Counters) uint64 { return c.GoAways.Load() }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.o.Counters = new(http2.Counters)
				r, ended := bubbled(t, &c.o, hello)
				if !c.silent {
					r.greet()
				}
				c.say(r)
				begin := time.Now()
				if code := r.end(); code != c.want {
					t.Errorf("GOAWAY %v", code)
				}
				if took := time.Since(begin); took < short || took > short*3/2 {
					t.Errorf("after %v", took)
				}
				<-ended
				if c.counted(c.o.Counters) != 1 {
					t.Error("not counted")
				}
			})
		})
	}
}

// TestBusyIsNotSlow: a connection whose reads always end inside a frame is not taken for one that dribbles, however long it lasts; one that stops there is.
func TestBusyIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		counters := new(http2.Counters)
		ended := make(chan error)
		go func() {
			ended <- http2.Serve(server, &http2.Options{HeaderTimeout: time.Second, Counters: counters}, hello)
		}()
		go func() { _, _ = io.Copy(io.Discard, client) }()
		say := func(b []byte) {
			if _, err := client.Write(b); err != nil {
				t.Error(err)
			}
		}
		ping := []byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
		say([]byte(http2.Preface))
		say([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
		say([]byte{0, 0, 0, 4, 1, 0, 0, 0, 0}) // and the acknowledgement of theirs
		say(ping[:5])
		for range 100 {
			time.Sleep(500 * time.Millisecond) // of the bubble's clock
			say(ping[5:])
			say(ping[:5])
		}
		if counters.SlowFrames.Load() != 0 {
			t.Fatal("taken for slow")
		}
		begun := time.Now()
		if err := <-ended; err == nil || counters.SlowFrames.Load() != 1 {
			t.Fatalf("ended with %v", err)
		}
		if took := time.Since(begun); took < time.Second || took > 2500*time.Millisecond { // one second, a tick, and the lingering
			t.Errorf("after %v", took)
		}
		_ = client.Close()
	})
}

// TestClientGone: handlers hear of a reset and of a lost connection, readers and writers both.
func TestClientGone(t *testing.T) {
	result := make(chan error, 2)
	s := start(t, false, http2.Options{}, paths(map[string]http2.Handler{
		"/read": func(s *http2.Stream) {
			_, err := s.Body().Next()
			result <- err
		},
		"/write": func(s *http2.Stream) {
			large(1 << 20)(s)
			result <- s.Err()
		},
	}))
	r := dial(t, s)
	f := append(post()[:5:5], "/read", ":authority", "a.example")
	r.headers(1, false, f...)
	r.headers(3, true, at("/write")...)
	r.barrier()
	r.check(r.fr.WriteRSTStream(1, xhttp2.ErrCodeCancel))
	r.check(r.fr.WriteRSTStream(3, xhttp2.ErrCodeCancel))
	for range 2 {
		var gone *http2.GoneError
		if err := <-result; !errors.As(err, &gone) || !gone.Remote || gone.Code != http2.Cancel {
			t.Errorf("got %v", err)
		}
	}
	r.headers(5, false, f...)
	r.headers(7, true, at("/write")...)
	r.barrier()
	_ = r.conn.Close()
	for range 2 {
		if err := <-result; err != http2.ErrClosed {
			t.Errorf("got %v", err)
		}
	}
}

// TestEarlyBytes: what the caller has read of the preface, and behind it, is not lost.
func TestEarlyBytes(t *testing.T) {
	for _, n := range []int{0, 1, len(http2.Preface), len(http2.Preface) + 9, len(http2.Preface) + 15} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			early := make([]byte, n)
			if _, err := io.ReadFull(conn, early); err != nil {
				ended <- err
				return
			}
			ended <- http2.New(conn, new(http2.Options), hello).Serve(early)
		}()
		r := dialSilent(t, &server{t: t, listener: l})
		r.write([]byte(http2.Preface))
		r.check(r.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 0}))
		r.alive(1)
		_ = r.conn.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = l.Close()
	}
}
