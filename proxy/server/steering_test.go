package server_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// steering is a server with sticky clients and the model it is held against.
type steering struct {
	*stuck
	colours [2]*colour
	alive   [2]bool

	file    int // blue's weight there, per cent
	overlay int // blue's by an operator; -1: none
	marks   [2]struct {
		evicted bool
		round   uint32 // 0: does not drain
	}
	round  uint32
	epoch  int
	paused bool
	people []*citizen
}

// citizen is a client and what is known of it: of two groups it is green's if green's weight is above a threshold of its own, which lies from low to below high.
type citizen struct {
	person
	round     uint32
	epoch     int
	low, high int
}

// TestSteering plays random sequences of weights, orders, dying upstreams, reloads, restarts and resets before sticky clients. Each answer must be one that the rules
// allow for a client with the history that this one has: nobody flips, nobody is lost, no group gets what it must not.
func TestSteering(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &steering{stuck: &stuck{}, file: 50, overlay: -1, epoch: 1, alive: [2]bool{true, true}}
		s.blue, s.green = newColour(rt, "blue"), newColour(rt, "green")
		s.colours = [2]*colour{s.blue, s.green}
		dir := shortDir(rt)
		s.running = run(rt, dir, s.text(dir))
		defer func() {
			s.stop()
			s.blue.kill()
			s.green.kill()
			_ = os.RemoveAll(dir)
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"": s.everybody, "newcomer": s.newcomer, "weights": s.weights, "drain": s.mark("drain"), "evict": s.mark("evict"), "resume": s.mark("resume"),
			"pause": s.pause, "go on": s.goOn, "kill or start": s.killOrStart, "reload": s.reload, "restart": s.again, "reset": s.reset,
		})
	})
}

func (s *steering) text(dir string) string {
	return stuckText(dir, s.blue.address, s.green.address, s.file, "sticky = \"cookie\"", "")
}

// weight is a group's in force.
func (s *steering) weight(g int) int {
	blue := s.file
	if s.overlay >= 0 {
		blue = s.overlay
	}
	return [2]int{blue, 100 - blue}[g]
}

// takes reports whether a group takes a client that was dealt in a round.
func (s *steering) takes(g int, round uint32) bool {
	m := s.marks[g]
	return s.weight(g) > 0 && !m.evicted && (m.round == 0 || round < m.round)
}

func (s *steering) open(g int) bool { return s.takes(g, s.round) }

// outcome is the colour that serves a client of a group, or why none does.
func (s *steering) outcome(g int) string {
	switch {
	case s.paused:
		return "pause_timeout"
	case g < 0:
		return "no_group"
	case s.alive[g]:
		return s.colours[g].name
	case s.open(1-g) && s.alive[1-g]:
		return s.colours[1-g].name
	}
	return "nobody"
}

// answered is an answer in the same words.
func answered(p *person) string {
	for _, reason := range []string{"pause_timeout", "no_group"} {
		if p.status == http.StatusServiceUnavailable && strings.Contains(p.body, `"reason":"`+reason+`"`) {
			return reason
		}
	}
	if p.status == http.StatusOK {
		return p.colour
	}
	return "nobody"
}

// ask has a client ask and holds the answer to the model.
func (s *steering) ask(t *rapid.T, c *citizen) {
	known := c.cookie != "" && c.epoch == s.epoch
	c.person.ask(t, s.address)
	if known && c.given != "" || !known && (c.given != "") != (c.status == http.StatusOK) {
		t.Fatalf("known %t, %d, Set-Cookie %q", known, c.status, c.given)
	}
	if !known {
		c.round, c.epoch, c.low, c.high = s.round, s.epoch, 0, 100
	}
	var may []int
	for g := range 2 {
		if s.takes(g, c.round) {
			may = append(may, g)
		}
	}
	if len(may) == 0 {
		may = []int{-1}
	}
	var fit []int
	for _, g := range may {
		contradicts := len(may) == 2 && (g == 1 && s.weight(1) <= c.low || g == 0 && s.weight(1) >= c.high)
		if s.outcome(g) == answered(&c.person) && !contradicts {
			fit = append(fit, g)
		}
	}
	switch {
	case len(fit) == 0:
		t.Fatalf("client of round %d, threshold %d to %d: %s (%d %s), groups that take it %v, weights %d/%d, marks %+v, alive %v, round %d", c.round, c.low, c.high, answered(&c.person), c.status,
			c.body, may, s.weight(0), s.weight(1), s.marks, s.alive, s.round)
	case len(fit) == 1 && len(may) == 2 && fit[0] == 1:
		c.high = min(c.high, s.weight(1))
	case len(fit) == 1 && len(may) == 2:
		c.low = max(c.low, s.weight(1))
	}
	if !known && c.given == "" {
		c.epoch = 0 // it was served by nobody, and has no cookie of this epoch
	}
}

func (s *steering) everybody(t *rapid.T) {
	s.t = t
	for _, c := range s.people {
		s.ask(t, c)
	}
	got := s.service()
	if got.Epoch != uint64(s.epoch) || int(got.Groups[0].Weight) != 100*s.weight(0) || (got.Pause != nil) != s.paused {
		t.Fatalf("epoch %d, weights %v, pause %v; want epoch %d, blue %d, paused %t", got.Epoch, got.Weights(), got.Pause, s.epoch, s.weight(0), s.paused)
	}
	for g, m := range s.marks {
		want := ""
		if m.evicted {
			want = "evicted"
		} else if m.round > 0 {
			want = "draining"
		}
		state := ""
		if got.Groups[g].Mark != nil {
			state = got.Groups[g].Mark.State
		}
		if state != want {
			t.Fatalf("group %d is %q, want %q", g, state, want)
		}
	}
}

func (s *steering) newcomer(t *rapid.T) {
	s.t = t
	if len(s.people) == 6 {
		s.people = s.people[1:]
	}
	c := &citizen{}
	s.ask(t, c)
	s.people = append(s.people, c)
}

// none reports that no group would be open.
func (s *steering) none() bool { return !s.open(0) && !s.open(1) }

func (s *steering) weights(t *rapid.T) {
	s.t = t
	was := s.overlay
	s.overlay = rapid.SampledFrom([]int{0, 5, 25, 50, 75, 100}).Draw(t, "blue")
	want := http.StatusOK
	body := fmt.Sprintf(`{"blue":%d,"green":%d}`, s.overlay, 100-s.overlay)
	if s.none() {
		want, s.overlay = http.StatusUnprocessableEntity, was
	}
	s.call(want, "PUT", "/v1/services/api/weights", body)
}

func (s *steering) mark(verb string) func(*rapid.T) {
	return func(t *rapid.T) {
		s.t = t
		g := rapid.IntRange(0, 1).Draw(t, "group")
		marks, round := s.marks, s.round
		switch m := &s.marks[g]; {
		case verb == "resume":
			m.evicted, m.round = false, 0
		case verb == "evict":
			m.evicted, m.round = true, 0
		case m.round == 0:
			s.round++
			m.evicted, m.round = false, s.round
		}
		want := http.StatusOK
		if verb != "resume" && s.none() {
			want, s.marks, s.round = http.StatusUnprocessableEntity, marks, round
		}
		s.order(want, verb, fmt.Sprintf(`{"group":%q}`, s.colours[g].name))
	}
}

func (s *steering) pause(t *rapid.T) {
	s.t = t
	s.order(http.StatusOK, "pause", `{"timeout":"1ms"}`)
	s.paused = true
}

func (s *steering) goOn(t *rapid.T) {
	s.t = t
	s.order(http.StatusOK, "resume", "")
	s.paused = false
}

func (s *steering) killOrStart(t *rapid.T) {
	s.t = t
	g := rapid.IntRange(0, 1).Draw(t, "group")
	if s.alive[g] {
		s.colours[g].kill()
	} else {
		s.colours[g].start(t)
	}
	s.alive[g] = !s.alive[g]
}

func (s *steering) reload(t *rapid.T) {
	s.t = t
	s.file = rapid.SampledFrom([]int{0, 10, 50, 90, 100}).Draw(t, "blue in the file")
	s.write(s.text(s.dir))
	s.call(http.StatusOK, "POST", "/v1/reload", "")
}

func (s *steering) again(t *rapid.T) {
	s.t = t
	s.stop()
	s.running = run(t, s.dir, s.text(s.dir))
}

func (s *steering) reset(t *rapid.T) {
	s.t = t
	s.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	for g := range s.marks {
		if m := &s.marks[g]; m.evicted || m.round > 0 || s.overlay >= 0 {
			s.epoch++
			break
		}
	}
	s.marks[0], s.marks[1] = struct {
		evicted bool
		round   uint32
	}{}, struct {
		evicted bool
		round   uint32
	}{}
	s.overlay, s.paused = -1, false
}
