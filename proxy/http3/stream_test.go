package http3_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/message"
)

// handle runs a handler for one raw request and returns what its client got.
func handle(t *testing.T, o http3.Options, request []byte, handler func(*http3.Stream, *message.Request)) answer {
	t.Helper()
	s := start(t, o, func(s *http3.Stream) {
		var req message.Request
		if err := s.ReadRequest(&req); err != nil {
			t.Error(err)
		}
		handler(s, &req)
	})
	p := s.call(t, false)
	return p.answer(p.ask(request))
}

// TestAnswers: what handlers say is what clients hear, and what is not whole does not look whole.
func TestAnswers(t *testing.T) {
	const internal = 0x102
	head := func(status int, framing message.Framing, length int64, fields ...string) *message.Response {
		r := &message.Response{Status: status, Framing: framing, ContentLength: length}
		for i := 0; i < len(fields); i += 2 {
			r.Header.Add(fields[i], fields[i+1])
		}
		return r
	}
	for _, c := range []struct {
		name   string
		method string
		do     func(*http3.Stream)
		status int
		body   string
		code   uint64 // 0: ends well
	}{
		{"body", "GET", func(s *http3.Stream) {
			s.WriteHead(head(200, message.Length, 4), nil, false)
			s.Write([]byte("weir"))
			s.Finish(nil)
		}, 200, "weir", 0},
		{"no body", "GET", func(s *http3.Stream) {
			s.WriteHead(head(204, message.None, 0), nil, false)
			s.Write([]byte("weir"))
			s.Finish(nil)
		}, 204, "", 0},
		{"not modified", "GET", func(s *http3.Stream) { s.WriteHead(head(304, message.Length, 9), nil, false); s.Finish(nil) }, 304, "", 0},
		{"head", "HEAD", func(s *http3.Stream) {
			s.WriteHead(head(200, message.Length, 4), nil, false)
			s.Write([]byte("weir"))
			s.Finish(nil)
		}, 200, "", 0},
		{"until close", "GET", func(s *http3.Stream) {
			s.WriteHead(head(201, message.UntilClose, 0), nil, false)
			s.Write([]byte("we"))
			s.Flush()
			s.Write([]byte("ir"))
			s.Finish(nil)
		}, 201, "weir", 0},
		{"no such status in the table", "GET", func(s *http3.Stream) { s.WriteHead(head(418, message.None, 0), nil, false); s.Finish(nil) }, 418, "", 0},
		{"too long", "GET", func(s *http3.Stream) {
			s.WriteHead(head(200, message.Length, 2), nil, false)
			s.Write([]byte("weir"))
			s.Finish(nil)
		}, 200, "we", 0},
		{"too short", "GET", func(s *http3.Stream) {
			s.WriteHead(head(200, message.Length, 9), nil, false)
			s.Write([]byte("weir"))
			s.Flush()
			s.Finish(nil)
		}, 0, "", internal},
		{"no answer", "GET", func(*http3.Stream) {}, 0, "", internal},
		{"head alone", "GET", func(s *http3.Stream) { s.WriteHead(head(200, message.Chunked, 0), nil, false); s.Flush() }, 0, "", internal},
		{"aborted", "GET", func(s *http3.Stream) {
			s.WriteHead(head(200, message.Chunked, 0), nil, false)
			s.Flush()
			s.Abort(http3.InternalError)
			s.Finish(nil)
		}, 0, "", internal},
	} {
		a := handle(t, http3.Options{}, headers(":method", c.method, ":scheme", "https", ":path", "/", ":authority", "a"), func(s *http3.Stream, _ *message.Request) { c.do(s) })
		if c.code == 0 && (a.status != c.status || string(a.body) != c.body || !a.ended) || c.code != 0 && (a.ended || a.code != c.code) {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	a := handle(t, http3.Options{}, with(), func(s *http3.Stream, _ *message.Request) {
		s.WriteInterim(head(103, message.None, 0, "Link", "</a>"))
		s.WriteInterim(head(101, message.None, 0))
		long := strings.Repeat("x", 5000)
		s.WriteHead(head(200, message.Chunked, 0, "Content-Type", "a/b", "Content_Type", "alias", "Connection", "close", "Keep-Alive", "1", "Transfer-Encoding", "chunked", "X-Request-ID", "theirs", "X-Long", long),
			[]byte("X-Own: 1\r\nConnection: Upgrade\r\nDate: today\r\n"), false)
		var trailers message.Header
		trailers.Add("X-Sum", "1")
		s.Write([]byte("weir"))
		s.Finish(&trailers)
	})
	want := []string{"content-type: a/b", "content_type: alias", "x-long: " + strings.Repeat("x", 5000), "x-own: 1", "date: today"}
	if !slices.Equal(a.fields, want) || !slices.Equal(a.interim, []int{103}) || !slices.Equal(a.trailer, []string{"x-sum: 1"}) || string(a.body) != "weir" {
		t.Errorf("fields %q, interim %v, trailer %q, body %q", a.fields, a.interim, a.trailer, a.body)
	}
}

// TestLargeAnswer: more than any window, read slowly at first.
func TestLargeAnswer(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	a := handle(t, http3.Options{}, with(), func(s *http3.Stream, _ *message.Request) { reply(s, http.StatusOK, body) })
	if !a.ended || !bytes.Equal(a.body, body) {
		t.Errorf("%d bytes, %v", len(a.body), a.err)
	}
}

// TestClientGone: a client that does not want its answer any more is seen to be gone, by a waiting handler and by a writing one; one that reads nothing is given up.
func TestClientGone(t *testing.T) {
	left, arrived := make(chan error, 1), make(chan struct{}, 4)
	s := start(t, http3.Options{WriteTimeout: 2 * time.Second}, func(s *http3.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		arrived <- struct{}{}
		if string(req.Path) == "/wait" {
			for err := error(nil); err == nil; {
				_, err = s.Body().Read(make([]byte, 1)) // until the client's reset
			}
			for !s.ClientGone() { // two frames, perhaps in two packets
				runtime.Gosched()
			}
			left <- s.Err()
			return
		}
		s.WriteHead(&message.Response{Status: 200, Framing: message.Chunked}, nil, false)
		for s.Err() == nil {
			s.Write(make([]byte, 10000))
		}
		left <- s.Err()
	})
	p := s.call(t, false)
	q := p.open(headers(":method", "POST", ":scheme", "https", ":path", "/wait", ":authority", "a"), data("x"))
	<-arrived
	q.CancelRead(0x10c)
	q.CancelWrite(0x10c)
	var gone *http3.GoneError
	if err := <-left; !errors.As(err, &gone) || gone.Code != http3.RequestCancelled || !gone.Remote {
		t.Errorf("%v", err)
	}
	q = p.ask(with())
	<-arrived
	q.CancelRead(0x10c)
	if err := <-left; !errors.As(err, &gone) || gone.Code != http3.RequestCancelled {
		t.Errorf("%v", err)
	}
	p.ask(with())
	if err := <-left; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing was read: %v", err)
	}
	p.ask(with())
	<-arrived // of the one before
	<-arrived
	_ = p.conn.CloseWithError(0x100, "")
	if err := <-left; err == nil {
		t.Error("the connection's end was not seen")
	}
}

// TestBodyInSteps: at hand or not, stopped and taken up again in the middle of a frame's head, too slow.
func TestBodyInSteps(t *testing.T) {
	stopped := make(chan struct{})
	a := make(chan string, 1)
	s := start(t, http3.Options{BodyTimeout: patience}, func(s *http3.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		b, buf := s.Body(), make([]byte, 100)
		if whole, ok := b.AtHand(); ok {
			t.Errorf("at hand: %q", whole)
		}
		var got []byte
		for len(got) < 3 { // what there is, once it is there, and then nothing
			n := b.ReadNow(buf)
			got = append(got, buf[:n]...)
			runtime.Gosched()
		}
		if n := b.ReadNow(buf); n != 0 {
			t.Errorf("%d bytes that nobody sent", n)
		}
		go func() { _ = s.StopReading() }()
		n, err := b.Read(buf)
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("stopped: %d %v", n, err)
		}
		_ = s.AwaitBody(time.Now())
		if _, err = b.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("stopped for good: %v", err)
		}
		_ = s.ResumeReading()
		close(stopped)
		for !b.Complete() {
			_ = s.AwaitBody(time.Now())
			n, err := b.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil && !b.Complete() {
				t.Error(err)
				break
			}
		}
		a <- string(got)
		reply(s, http.StatusOK, nil)
	})
	p := s.call(t, false)
	q := p.open(post("content-length", "6"), data("one"), []byte{0x0}) // half a frame's head
	<-stopped
	p.say(q, []byte{0x3, 't', 'w', 'o'})
	_ = q.Close()
	if got := <-a; got != "onetwo" {
		t.Errorf("%q", got)
	}
	p.answer(q)
}

// TestBodyAtHand: a short body of known length is one slice.
func TestBodyAtHand(t *testing.T) {
	s := start(t, http3.Options{}, func(s *http3.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		if whole, ok := s.Body().AtHand(); ok {
			reply(s, http.StatusOK, whole)
			return
		}
		echo2(s)
	})
	p := s.call(t, false)
	for range 20 { // it may take longer than a glance: then the body must still be whole
		if a := p.answer(p.ask(post("content-length", "6"), data("one"), data("two"))); string(a.body) != "onetwo" {
			t.Fatalf("%+v", a)
		}
	}
}

// echo2 is echo behind ReadRequest.
func echo2(s *http3.Stream) {
	var got []byte
	buf := make([]byte, 4)
	for b := s.Body(); !b.Complete(); {
		_ = s.AwaitBody(time.Now())
		n, err := b.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil && !b.Complete() {
			refuse(s, err)
			return
		}
	}
	reply(s, http.StatusOK, got)
}

// TestSlowBody: a body that stops coming ends with the timeout.
func TestSlowBody(t *testing.T) {
	got := make(chan error, 1)
	s := start(t, http3.Options{BodyTimeout: 50 * time.Millisecond}, func(s *http3.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		for {
			_ = s.AwaitBody(time.Now())
			if _, err := s.Body().Read(make([]byte, 100)); err != nil {
				got <- err
				return
			}
		}
	})
	p := s.call(t, false)
	p.open(post(), data("half"))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestDrain: requests that run and those that come before the client can know are answered; later ones are rejected; then the connection closes.
func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}, 2000), make(chan struct{}) // room for requests that come before the second GOAWAY
	s := start(t, http3.Options{DrainGrace: 2 * time.Second}, func(s *http3.Stream) {
		var req message.Request
		_ = s.ReadRequest(&req)
		arrived <- struct{}{}
		<-release
		reply(s, http.StatusOK, []byte("done"))
	})
	p := s.call(t, false)
	one := p.ask(with())
	<-arrived
	c := <-s.conns
	c.Drain()
	c.Drain()
	two := p.ask(with())
	answered := []*quic.Stream{one, two}
	for waits := true; waits; {
		select {
		case <-arrived:
			waits = false
		case <-time.After(time.Millisecond):
			if s.counters.Rejected.Load() > 0 { // the machine stood still: two is one of the later ones
				waits, answered = false, answered[:1]
				if a := p.answer(two); a.code != uint64(http3.RequestRejected) {
					t.Errorf("%+v", a)
				}
			}
		}
	}
	for tries := 0; !rejectedNow(p, s); tries++ {
		if tries > 1000 {
			t.Fatal("requests go on")
		}
	}
	close(release)
	for _, q := range answered {
		if a := p.answer(q); string(a.body) != "done" || !a.ended {
			t.Errorf("%+v", a)
		}
	}
	if code := p.ended(); code != uint64(http3.NoError) {
		t.Errorf("%#x", code)
	}
}

// rejectedNow opens a stream and reports whether the server has counted a rejection.
func rejectedNow(p *peer, s *server) bool {
	q := p.ask(with())
	_ = q.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = q.Read(make([]byte, 1))
	return s.counters.Rejected.Load() > 0
}

// TestIdle: a connection without requests is sent away.
func TestIdle(t *testing.T) {
	s := start(t, http3.Options{IdleTimeout: 2 * time.Second, DrainGrace: time.Millisecond}, echo)
	p := s.call(t, false)
	if a := p.answer(p.ask(with())); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	select {
	case <-p.conn.Context().Done():
	case <-time.After(patience):
		t.Error("goes on")
	}
}
