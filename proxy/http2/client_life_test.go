package http2_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// quietUpstream reads what it is told, answers PINGs if it is asked to, and says nothing else. pings and away are the times of frames.
type quietUpstream struct {
	answers bool
	pings   []time.Duration
	away    time.Duration
}

func (q *quietUpstream) run(conn net.Conn) {
	began := time.Now()
	words := make(chan []byte, 100) // a pipe holds nothing: who writes must not be who reads
	defer close(words)
	go func() {
		for b := range words {
			_, _ = conn.Write(b)
		}
	}()
	fr := xhttp2.NewFramer(writer(words), conn)
	if _, err := io.ReadFull(conn, make([]byte, len(http2.Preface))); err != nil || fr.WriteSettings() != nil || fr.WriteSettingsAck() != nil {
		return
	}
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			_ = conn.Close()
			return
		}
		switch f := f.(type) {
		case *xhttp2.PingFrame:
			q.pings = append(q.pings, time.Since(began))
			if q.answers {
				_ = fr.WritePing(true, f.Data)
			}
		case *xhttp2.GoAwayFrame:
			q.away = time.Since(began)
		}
	}
}

type writer chan<- []byte

func (w writer) Write(p []byte) (int, error) {
	w <- bytes.Clone(p)
	return len(p), nil
}

// inBubble runs do with a client of a quiet upstream, in time that passes by itself.
func inBubble(t *testing.T, q *quietUpstream, do func(c *http2.ClientConn, ended chan error)) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go q.run(there)
		c := http2.NewClientConn(here, http2.ClientOptions{Scheme: "http", Authority: "a", IdleTimeout: time.Minute})
		ended := make(chan error, 1)
		go func() { ended <- c.Serve() }()
		<-c.Ready()
		do(c, ended)
		_ = c.Close()
		synctest.Wait()
	})
}

// emptyPools drops what sync.Pools keep, which takes two collections: a pooled stream brings its timer along, and one of outside never fires in a bubble's time, nor
// may one of a bubble be used outside.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// TestIdleClientLeaves: a connection without streams is asked once whether it lives, half-way, and left after the idle timeout.
func TestIdleClientLeaves(t *testing.T) {
	q := &quietUpstream{answers: true}
	inBubble(t, q, func(_ *http2.ClientConn, ended chan error) {
		if err := <-ended; err != nil {
			t.Errorf("end: %v", err)
		}
	})
	near := func(got, want time.Duration) bool { return got >= want && got <= want+2*time.Second }
	if len(q.pings) != 1 || !near(q.pings[0], 30*time.Second) || !near(q.away, time.Minute) {
		t.Errorf("PING at %v, GOAWAY at %v", q.pings, q.away)
	}
}

// TestSilentUpstreamIsReplaced: when a request was not answered in time its connection is asked whether it lives; until it says so nothing new is risked on it, and if it does
// not it is given up.
func TestSilentUpstreamIsReplaced(t *testing.T) {
	for _, lives := range []bool{true, false} {
		q := &quietUpstream{answers: lives}
		inBubble(t, q, func(c *http2.ClientConn, ended chan error) {
			s := c.Open()
			say(s, request("GET", "/", message.None, 0), nil)
			_ = s.Await(time.Now(), 20*time.Second)
			var resp message.Response
			if err := s.ReadResponse(&resp, message.GET, false); err == nil {
				t.Error("answered")
			}
			s.Release(true)
			if lives {
				synctest.Wait()
				if s := c.Open(); s == nil {
					t.Error("no stream on a connection that lives")
				} else {
					s.Release(false)
				}
				return
			}
			if c.Open() != nil {
				t.Error("a stream on a connection in doubt")
			}
			began := time.Now()
			if err := <-ended; err == nil || time.Since(began) > 13*time.Second {
				t.Errorf("given up after %v: %v", time.Since(began), err)
			}
		})
		if len(q.pings) != 1 {
			t.Errorf("PINGs at %v", q.pings)
		}
	}
}

// TestLongCallIsNotPinged: gRPC servers call it abuse to be asked more often than every five minutes while a call rests.
func TestLongCallIsNotPinged(t *testing.T) {
	q := &quietUpstream{answers: true}
	inBubble(t, q, func(c *http2.ClientConn, _ chan error) {
		s := c.Open()
		say(s, request("GET", "/", message.None, 0), nil)
		_ = s.Await(time.Now(), 16*time.Minute+100*time.Millisecond) // not at a tick of the watcher, which may find an idle connection behind the call's end and ask it
		var resp message.Response
		if err := s.ReadResponse(&resp, message.GET, false); err == nil || c.Over() {
			t.Errorf("%v; connection over: %t", err, c.Over())
		}
		s.Release(false)
	})
	if len(q.pings) < 2 || len(q.pings) > 4 {
		t.Errorf("PINGs at %v", q.pings)
	}
	for i, at := range q.pings {
		if i > 0 && at-q.pings[i-1] < 5*time.Minute {
			t.Errorf("PINGs at %v", q.pings)
		}
	}
}
