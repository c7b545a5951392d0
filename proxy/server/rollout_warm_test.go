package server_test

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// guestbook notes who asks green to be warm, and what of.
type guestbook struct {
	mu     sync.Mutex // guards what follows
	visits map[string]int
	bad    []string
}

func (g *guestbook) note(r *http.Request) (visit bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.UserAgent() != "weir-prewarm" {
		return false
	}
	if g.visits == nil {
		g.visits = map[string]int{}
	}
	g.visits[r.Host+r.URL.RequestURI()]++
	if r.Method != http.MethodGet || r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "" || r.Header.Get("X-Forwarded-Proto") != "http" || r.ContentLength != 0 {
		g.bad = append(g.bad, r.Method+" "+r.RequestURI)
	}
	return true
}

// remembers asks blue for pages until a rollout finds as many as wanted to warm green by, and returns that rollout, over.
func (s *shop) remembers(pages int) (r admin.Rollout) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := &connection{conn: conn, r: bufio.NewReader(conn)}
	heads := []string{"/ HTTP/1.1\r\nHost: x\r\n", "/about HTTP/1.1\r\nHost: y\r\n", "/about?me=1 HTTP/1.1\r\nHost: x\r\n", "/me HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n",
		"/key HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer b\r\n"}
	eventually(s.t, "the pages are known", func() bool {
		slices.Reverse(heads) // one page is kept in a while: the first that may be, of each time
		for _, head := range heads {
			if status, colour, err := c.say("GET " + head + "\r\n"); err != nil || status != http.StatusOK || colour != "blue" {
				s.t.Fatalf("%s: %d by %q, %v", head, status, colour, err)
			}
		}
		s.start("")
		r = s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
		s.call(http.StatusOK, "DELETE", "/v1/services/api/rollout", "")
		return r.Prewarm != nil && r.Prewarm.Pages >= pages
	})
	return r
}

// Before its first client green is asked for what anybody asked blue for, and for nothing that somebody in particular did.
func TestRolloutWarmsGreen(t *testing.T) {
	var book guestbook
	s := openShop(t, `steps = [5, 100], hold = "1h", prewarm = "5m"`, func(w http.ResponseWriter, r *http.Request) { book.note(r) })
	r := s.remembers(2)
	if r.Prewarm.Pages != 2 || r.Prewarm.Requests != 2 || r.Prewarm.Failed != 0 || r.Green.Requests != 0 {
		t.Errorf("%+v, prewarm %+v", r, r.Prewarm)
	}
	book.mu.Lock()
	defer book.mu.Unlock()
	var asked []string
	for what := range book.visits {
		asked = append(asked, what)
	}
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"x/", "y/about"}) || len(book.bad) > 0 {
		t.Errorf("green was asked for %q, %q", asked, book.bad)
	}
}

// What green makes of it is told, and no evidence: no client was there.
func TestRolloutWarmingIsNoEvidence(t *testing.T) {
	var book guestbook
	s := openShop(t, `steps = [5, 100], hold = "1h", prewarm = "5m", max_harm = 1`, func(w http.ResponseWriter, r *http.Request) {
		if book.note(r) {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r := s.remembers(2)
	if r.Prewarm.Failed != r.Prewarm.Requests || r.Prewarm.Requests != 2 || r.Green.Requests != 0 || r.Green.Failed != 0 || r.State != "running" {
		t.Errorf("%+v, prewarm %+v", r, r.Prewarm)
	}
	if d := s.status().Services[0].Groups[1]; d.Requests != 0 || d.Targets[0].Failures != 0 || d.Targets[0].EjectedUntil != nil {
		t.Errorf("%+v", d)
	}
}

// A green that does not answer is not waited for longer than prewarm says; an abort and a stop end it at once.
func TestRolloutWarmingEnds(t *testing.T) {
	var book guestbook
	visited := make(chan bool, 100)
	s := openShop(t, `steps = [5, 100], hold = "1h", prewarm = "300ms"`, func(_ http.ResponseWriter, r *http.Request) {
		if book.note(r) {
			visited <- true
			<-r.Context().Done()
		}
	})
	r := s.remembers(1)
	if r.Prewarm.Requests != 0 || r.Prewarm.Failed != 0 {
		t.Errorf("%+v", r.Prewarm)
	}
	for len(visited) > 0 {
		<-visited
	}
	s.start(`{"prewarm":"10m"}`)
	<-visited
	if r := s.awaits("warming", func(r admin.Rollout) bool { return strings.Contains(r.Reason, "to be warm") }); r.Step != 0 || r.State != "running" || r.Weight != 0 {
		t.Errorf("%+v", r)
	}
	s.call(http.StatusOK, "DELETE", "/v1/services/api/rollout", "")
	s.start(`{"prewarm":"0s"}`) // not at all
	if r := s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 }); r.Prewarm != nil {
		t.Errorf("%+v", r.Prewarm)
	}
	s.call(http.StatusOK, "DELETE", "/v1/services/api/rollout", "")
	s.start(`{"prewarm":"10m"}`)
	<-visited
	s.stop() // waits for what warms
	s.running = run(t, s.dir, rolloutText(s.dir, s.rollout, s.blue.address, s.green.address))
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 }) // nothing is known to this process to warm by
}
