package shadow_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/proxy/shadow"
)

// TestGreenIsAskedBetweenTwoBlues: the order, the marker, and what is left out and put in of a request.
func TestGreenIsAskedBetweenTwoBlues(t *testing.T) {
	type heard struct {
		by string
		r  *http.Request
	}
	asked := make(chan heard, 3)
	tell := func(by string) func(net.Conn, *http.Request) bool {
		return func(conn net.Conn, r *http.Request) bool {
			asked <- heard{by, r}
			return says(page(`{"a":1}`))(conn, r)
		}
	}
	s := newStage(t, colour(t, tell("blue")), colour(t, tell("green")), nil)
	r := request("/a", "Accept", "application/json", "If-None-Match", `"x"`, "Range", "bytes=0-1", "Accept-Encoding", "br", "X-Weir-Shadow", "forged")
	r.Head.Query = []byte("page=2")
	s.Take(r)
	s.until(shadow.ResultSame, 1)
	for _, by := range []string{"blue", "green", "blue"} {
		h := <-asked
		if h.by != by || h.r.URL.String() != "/a?page=2" || h.r.Host != "x" {
			t.Errorf("%s was asked %s of %s, want %s", h.by, h.r.URL, h.r.Host, by)
		}
		for name, want := range map[string]string{
			"X-Weir-Shadow": by, "X-Request-Id": "id-1", "Accept": "application/json", "Accept-Encoding": "identity", "If-None-Match": "", "Range": "",
		} {
			if got := strings.Join(h.r.Header.Values(name), "|"); got != want {
				t.Errorf("%s: %s %q, want %q", by, name, got, want)
			}
		}
	}
	if st := s.Stat(); st.Asked["blue"] != 2 || st.Asked["green"] != 1 || st.Compared != 1 {
		t.Errorf("%+v", st)
	}
	for _, p := range s.blue.Snapshot() { // what is asked here is in nobody's books
		if p.Requests != 0 || p.InFlight != 0 || p.Failures != 0 {
			t.Errorf("in the books: %+v", p)
		}
	}
}

// TestWhatGreenMayDo: a green that answers something else, badly, or not at all is a difference, and no end of anything.
func TestWhatGreenMayDo(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for _, c := range []struct {
		name  string
		green func(net.Conn, *http.Request) bool
		where string
		from  string
		to    string
		quick bool // green's time is up at once
	}{
		{"another value", says(page(`{"price":12.5}`)), "$.price", "12", "12.5", false},
		{"another kind", says("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n{\"price\":12}"), "header content-type", "application/json", "text/html", false},
		{"another status", says("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), "status", "200", "500", false},
		{"no JSON", says(page(`{"price":`)), "body", "12 bytes", "9 bytes", false},
		{"garbage", says("HTTQ/1.1 no\r\n\r\n"), "answer", "200", "invalid", false},
		{"the end", func(net.Conn, *http.Request) bool { return false }, "answer", "200", "broken", false},
		{"half a body", func(conn net.Conn, _ *http.Request) bool {
			_, _ = io.WriteString(conn, jsonHead+"Content-Length: 12\r\n\r\n{\"pri")
			return false
		}, "answer", "200", "broken", false},
		{"nothing", func(net.Conn, *http.Request) bool { <-hang; return false }, "answer", "200", "timeout", true},
		{"a body that stops", func(conn net.Conn, _ *http.Request) bool {
			_, _ = io.WriteString(conn, jsonHead+"Content-Length: 12\r\n\r\n{\"pri")
			<-hang
			return false
		}, "answer", "200", "timeout", true},
		{"a body without end", func(conn net.Conn, _ *http.Request) bool {
			_, err := io.WriteString(conn, jsonHead+"Transfer-Encoding: chunked\r\n\r\n")
			for junk := chunk(strings.Repeat(" ", 8<<10)); err == nil; {
				_, err = io.WriteString(conn, junk)
			}
			return false
		}, "body", "12 bytes", "more than 65536 bytes", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, colour(t, says(page(`{"price":12}`))), colour(t, c.green), func(o *shadow.Options) {
				if c.quick {
					o.Timeout = 2 * time.Second // blue has as long: it answers at once
				}
			})
			for s.Stat().Differing == 0 { // a machine that stands still may cost blue its time too
				before := s.total()
				s.Take(request("/"))
				s.eventually("what became of it", func() bool { return s.total() > before })
			}
			d := s.Report().Differences[0]
			if d.Where != c.where || d.Differing != 1 || !strings.HasPrefix(d.Samples[0].From, c.from) || !strings.HasPrefix(d.Samples[0].To, c.to) || d.Samples[0].RequestID != "id-1" {
				t.Errorf("%+v", d)
			}
		})
	}
}

// TestBlueThatFailsIsLeftAlone: a group that answers clients and has failed a comparison is not asked again at once.
func TestBlueThatFailsIsLeftAlone(t *testing.T) {
	s := newStage(t, porttest.Reserve(t), colour(t, says(page(`{}`))), nil)
	s.Take(request("/"))
	s.until(shadow.ResultFailed, 1)
	if st := s.Stat(); st.Asked["green"] != 0 || st.Asked["blue"] != 1 {
		t.Errorf("asked %v", st.Asked)
	}
	if why := s.State(); why != "" && !strings.Contains(why, "group blue has failed") { // "": the rest is over
		t.Errorf("state %q", why)
	}
}

// TestLargeAnswersAreNotCompared: green is not even asked.
func TestLargeAnswersAreNotCompared(t *testing.T) {
	s := newStage(t, colour(t, says(page(strings.Repeat(" ", 64<<10+1)))), colour(t, says(page(`{}`))), nil)
	s.Take(request("/"))
	s.until(shadow.ResultLarge, 1)
	if st := s.Stat(); st.Asked["green"] != 0 || st.Compared != 0 {
		t.Errorf("%+v", st)
	}
}

// TestADeadConnectionIsReplaced: one that the target closed while it rested is no failure of the target.
func TestADeadConnectionIsReplaced(t *testing.T) {
	answer := page(`{}`)
	once := func(conn net.Conn, r *http.Request) bool { return says(answer)(conn, r) && false } // and closes, without a word of it
	s := newStage(t, colour(t, once), colour(t, once), nil)
	for n := range uint64(20) {
		s.Take(request("/"))
		s.until(shadow.ResultSame, n+1)
	}
}

// TestWhatDoesNotFitIsDropped: with the worker held by a green that does not answer, the queue fills, and more is dropped without waiting; Close ends it all.
func TestWhatDoesNotFitIsDropped(t *testing.T) {
	hang, held := make(chan struct{}), make(chan struct{}, 1)
	defer close(hang)
	green := func(net.Conn, *http.Request) bool {
		held <- struct{}{}
		<-hang
		return false
	}
	s := newStage(t, colour(t, says(page(`{}`))), colour(t, green), nil)
	s.Take(request("/"))
	<-held
	for range shadow.Waiting + 10 {
		s.Take(request("/"))
	}
	if n := s.Stat().Results[shadow.ResultDropped]; n != 10 {
		t.Errorf("%d dropped", n)
	}
	s.Close()
	s.Wait() // though green holds its answer, and Timeout is a minute
	s.Take(request("/"))
	if st := s.Stat(); st.Compared != 0 || s.total() != 11 || st.Results[shadow.ResultDropped]+st.Results[shadow.ResultBusy] != 11 { // by whether the queue is full still
		t.Errorf("after the end: %+v", st)
	}
}

// TestWhatIsNotTaken: obstacles, credentials and the rate are counted by their names, and nobody is asked.
func TestWhatIsNotTaken(t *testing.T) {
	var asked atomic.Int64
	count := func(conn net.Conn, r *http.Request) bool {
		asked.Add(1)
		return says(page(`{}`))(conn, r)
	}
	s := newStage(t, colour(t, count), colour(t, count), func(o *shadow.Options) { o.Rate = 1e-9 })
	why := "the service is paused"
	s.obstacle.Store(&why)
	s.Take(request("/"))
	s.obstacle.Store(nil)
	s.Take(request("/", "Authorization", "Basic eDp5"))
	known := request("/")
	known.Known = true
	s.Take(known)
	s.Take(request("/")) // the bucket's one token
	s.until(shadow.ResultSame, 1)
	s.Take(request("/"))
	got := s.Stat().Results
	for result, want := range map[string]uint64{shadow.ResultBusy: 1, shadow.ResultPrivate: 2, shadow.ResultLimited: 1, shadow.ResultSame: 1} {
		if got[result] != want {
			t.Errorf("%s: %d, want %d", result, got[result], want)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("%d requests were sent", n)
	}
}

// TestAnObstacleEndsAComparison: what begins to be too much between two askings is not finished.
func TestAnObstacleEndsAComparison(t *testing.T) {
	why := "the service's requests wait"
	var s *stage
	ready := make(chan struct{})
	green := func(conn net.Conn, r *http.Request) bool {
		<-ready
		s.obstacle.Store(&why)
		return says(page(`{}`))(conn, r)
	}
	s = newStage(t, colour(t, says(page(`{}`))), colour(t, green), nil)
	close(ready)
	s.Take(request("/"))
	s.until(shadow.ResultBusy, 1)
	if st := s.Stat(); st.Asked["blue"] != 1 || st.Compared != 0 || s.State() != why {
		t.Errorf("%+v %q", st, s.State())
	}
}

// TestCredentialsWhereTheyAreAllowed: then they are sent on.
func TestCredentialsWhereTheyAreAllowed(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	tell := func(conn net.Conn, r *http.Request) bool {
		mu.Lock()
		seen = append(seen, r.Header.Get("Cookie"))
		mu.Unlock()
		return says(page(`{}`))(conn, r)
	}
	s := newStage(t, colour(t, tell), colour(t, tell), func(o *shadow.Options) { o.Credentials = true })
	s.Take(request("/", "Cookie", "a=b"))
	s.until(shadow.ResultSame, 1)
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(seen) != "[a=b a=b a=b]" {
		t.Error(seen)
	}
}

// TestResetForgetsWhatWasFound: but not what metrics count.
func TestResetForgetsWhatWasFound(t *testing.T) {
	s := newStage(t, colour(t, says(page(`{"a":1}`))), colour(t, says(page(`{"a":2}`))), nil)
	s.Take(request("/"))
	s.until(shadow.ResultDiffers, 1)
	if d := s.only(); d.Where != "$.a" || d.Verdict != shadow.Unsure {
		t.Errorf("%+v", d)
	}
	s.Reset()
	if r := s.Report(); r.Compared != 0 || r.Differing != 0 || len(r.Differences) != 0 || len(r.Results) != 0 {
		t.Errorf("%+v", r)
	}
	if n := s.Stat().Results[shadow.ResultDiffers]; n != 1 {
		t.Errorf("metrics lost their count: %d", n)
	}
}
