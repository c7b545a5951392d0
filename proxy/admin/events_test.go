package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// stream is one watcher of /v1/events.
type stream struct {
	*testing.T
	lines *bufio.Scanner
	leave func()
}

// watch begins to watch; the answer's head is there when it returns.
func (s *site) watch(headers ...string) *stream {
	s.Helper()
	return s.stream("/v1/events", headers...)
}

// stream begins to read the server-sent events of a path.
func (s *site) stream(path string, headers ...string) *stream {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute) // a guard, no measure
	s.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		s.Fatal(res.Status, res.Header)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &stream{s.T, lines, cancel}
}

// next is the next frame; false when the stream has ended.
func (w *stream) next() (f admin.Frame, ok bool) {
	w.Helper()
	for w.lines.Scan() {
		if data, ok := strings.CutPrefix(w.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(data), &f); err != nil {
				w.Fatal(err)
			}
			return f, true
		}
	}
	return f, false
}

func (w *stream) expect(seconds int) {
	w.Helper()
	if f, ok := w.next(); !ok || int(f.Seconds) != seconds || len(f.Status.Services) != 1 {
		w.Fatalf("frame %+v %v, want %d", f, ok, seconds)
	}
}

func (w *stream) ended() {
	w.Helper()
	for {
		if _, ok := w.next(); !ok {
			return
		}
	}
}

func (f *fakeControl) emit(n int) {
	f.frames <- n
	<-f.emitted
}

// awaitSeries is the wait for a series of frames to begin or end; its bound is a guard.
func (f *fakeControl) awaitSeries(t *testing.T, want bool) {
	t.Helper()
	select {
	case got := <-f.series:
		if got != want {
			t.Fatalf("a series: began %v, want %v", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("no series began or ended; want began %v", want)
	}
}

// Frames are made once for all who watch, and not at all while nobody does.
func TestEventsAreMadeOnceForAllWatchers(t *testing.T) {
	s := serve(t, admin.Options{})
	a := s.watch()
	s.control.awaitSeries(t, true)
	s.control.emit(1)
	a.expect(1)
	b := s.watch()
	b.expect(1) // the latest at once
	s.control.emit(2)
	a.expect(2)
	b.expect(2)
	a.leave()
	s.control.emit(3)
	b.expect(3)
	select {
	case began := <-s.control.series:
		t.Fatalf("one watcher of two left; a series began: %v", began)
	default:
	}
	b.leave()
	s.control.awaitSeries(t, false)
	c := s.watch()
	s.control.awaitSeries(t, true)
	s.control.emit(4)
	c.expect(4) // and nothing of the series before
}

func TestEventsEndAtShutdownAtOnce(t *testing.T) {
	s := serve(t, admin.Options{})
	w := s.watch()
	s.control.awaitSeries(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatalf("shutdown waits for who watches: %v", err)
	}
	w.ended()
	s.control.awaitSeries(t, false)
}

func TestWatchersAreBounded(t *testing.T) {
	s := serve(t, admin.Options{})
	var all []*stream
	for range 32 {
		all = append(all, s.watch())
	}
	res, body := s.call("GET", "/v1/events", "")
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(res.Status, body)
	}
	checkProblem(t, res, body)
	s.control.awaitSeries(t, true)
	for _, w := range all {
		w.leave()
	}
	s.control.awaitSeries(t, false)
	s.watch()
}

// Who watches by a token that is good no more has to come again with one that is.
func TestAnotherTokenEndsStreams(t *testing.T) {
	s := serve(t, admin.Options{Token: "one"})
	if res, body := s.call("GET", "/v1/events", ""); res.StatusCode != http.StatusUnauthorized {
		t.Fatal(res.Status, body)
	}
	if res, body := s.call("GET", "/v1/events?token=one&access_token=one", ""); res.StatusCode != http.StatusUnauthorized {
		t.Fatal("a token in a URL was taken", res.Status, body)
	}
	w := s.watch("Authorization: Bearer one")
	s.control.awaitSeries(t, true)
	s.control.emit(1)
	w.expect(1)
	if err := s.server.SetToken("one"); err != nil {
		t.Fatal(err)
	}
	s.control.emit(2)
	w.expect(2) // the same token changes nothing
	if err := s.server.SetToken("two"); err != nil {
		t.Fatal(err)
	}
	w.ended()
	s.control.awaitSeries(t, false)
	s.watch("Authorization: Bearer two")
}

func TestHeadOfEventsEnds(t *testing.T) {
	s := serve(t, admin.Options{})
	res, _ := s.call("HEAD", "/v1/events", "")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(res.Status, res.Header)
	}
	select {
	case <-s.control.series:
		t.Fatal("a HEAD began a watch")
	default:
	}
}

// A page of another origin cannot read a stream; it must not take the places of those who can either.
func TestEventsAreNotForOtherOrigins(t *testing.T) {
	s := serve(t, admin.Options{})
	for _, site := range []string{"cross-site", "same-site"} {
		if res, body := s.call("GET", "/v1/events", "", "Sec-Fetch-Site: "+site); res.StatusCode != http.StatusForbidden {
			t.Error(site, res.Status, body)
		}
	}
	s.watch("Sec-Fetch-Site: same-origin")
	s.watch("Sec-Fetch-Site: none")
	s.control.awaitSeries(t, true)
}
