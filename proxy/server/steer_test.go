package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// order is one write that must succeed, or be refused with the given status; the state after it.
func (e *stuck) order(want int, verb, body string, header ...string) (s admin.Service) {
	e.t.Helper()
	answer := e.call(want, "POST", "/v1/services/api/"+verb, body, header...)
	if want == http.StatusOK {
		if err := json.Unmarshal([]byte(answer), &s); err != nil {
			e.t.Fatalf("%v", err)
		}
	}
	return s
}

// TestDrain: newcomers go elsewhere, who was there before stays, also over a restart and over a second drain; nobody between open groups moves; a resume brings newcomers back.
func TestDrain(t *testing.T) {
	e := newStuck(t, 50, "sticky = \"cookie\"", "")
	old := peopleOf(t, e.address, 60)
	if s := e.order(http.StatusOK, "drain", `{"group":"green"}`, "Weir-Operator", "ann"); s.Groups[1].State != "draining" || s.Groups[1].Mark == nil || !strings.HasPrefix(s.Groups[1].Mark.By, "ann") {
		t.Errorf("%+v", s.Groups[1])
	}
	stay := func(what string, people []*person) {
		t.Helper()
		for _, p := range people {
			was := p.colour
			if p.ask(t, e.address); p.colour != was || p.given != "" {
				t.Fatalf("%s: %s became %s, Set-Cookie %q", what, was, p.colour, p.given)
			}
		}
	}
	stay("drain", old)
	young := peopleOf(t, e.address, 60)
	if n := count(young, "green"); n != 0 {
		t.Errorf("%d newcomers are green while it drains", n)
	}
	e.restart(t)
	stay("restart", old)
	stay("restart", young)
	e.order(http.StatusOK, "drain", `{"group":"green"}`)
	stay("a drain of what drains", old)
	stay("a drain of what drains", young)
	s := e.order(http.StatusOK, "resume", `{"group":"green"}`)
	if s.Groups[1].State != "live" || s.Groups[1].Mark != nil {
		t.Errorf("%+v", s.Groups[1])
	}
	stay("resume", old)
	for _, p := range young { // dealt by their keys again: some belong to green now
		if p.ask(t, e.address); p.given != "" {
			t.Fatal("a resume gives new cookies")
		}
	}
	near(t, "green of newcomers after the resume", count(young, "green"), len(young), 0.5)
	// A second drain knows all of them.
	e.order(http.StatusOK, "drain", `{"group":"green"}`)
	stay("second drain", old)
	stay("second drain", young)
	// Weights move the clients of a group that drains as they move others.
	e.weigh(100)
	for _, p := range append(old, young...) {
		if p.ask(t, e.address); p.colour != "blue" {
			t.Fatal("green has weight 0 and a client")
		}
	}
}

// TestEvict: clients move at once, testers are refused, and come back with the resume.
func TestEvict(t *testing.T) {
	e := newStuck(t, 50, "sticky = \"cookie\"", "match = { header = \"X-Weir-Group: green\" }\n")
	people := peopleOf(t, e.address, 60)
	colours := make([]string, len(people))
	for i, p := range people {
		colours[i] = p.colour
	}
	e.order(http.StatusOK, "drain", `{"group":"green"}`)
	if p := new(person).ask(t, e.address, "X-Weir-Group: green"); p.colour != "green" {
		t.Errorf("a tester of a group that drains: %d %s", p.status, p.colour)
	}
	if s := e.order(http.StatusOK, "evict", `{"group":"green"}`); s.Groups[1].State != "evicted" {
		t.Errorf("%+v", s.Groups[1])
	}
	for range 2 {
		for _, p := range people {
			if p.ask(t, e.address); p.colour != "blue" || p.given != "" {
				t.Fatalf("%s while green is evicted, Set-Cookie %q", p.colour, p.given)
			}
		}
		if p := new(person).ask(t, e.address, "X-Weir-Group: green"); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "group_evicted") {
			t.Errorf("a tester: %d %s", p.status, p.body)
		}
		e.restart(t)
	}
	e.order(http.StatusOK, "resume", `{"group":"green"}`)
	for i, p := range people {
		if p.ask(t, e.address); p.colour != colours[i] || p.given != "" {
			t.Fatalf("%s, was %s before the evict", p.colour, colours[i])
		}
	}
}

// TestDrainTarget: a target gets no new requests, whoever's they are, and its group goes on without it; the last one's group is empty.
func TestDrainTarget(t *testing.T) {
	e := newStuck(t, 100, "", "")
	other := newColour(t, "other")
	t.Cleanup(other.kill)
	text, err := os.ReadFile(e.dir + "/weir.toml")
	if err != nil {
		t.Fatal(err)
	}
	e.write(strings.Replace(string(text), fmt.Sprintf("targets = [%q]", e.blue.address), fmt.Sprintf("targets = [%q, %q]", e.blue.address, other.address), 1))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if out := e.call(http.StatusUnprocessableEntity, "POST", "/v1/services/api/drain", `{"target":"127.0.0.1:1"}`); !strings.Contains(out, "there is no target") {
		t.Errorf("%s", out)
	}
	for i := range 3 {
		s := e.order(http.StatusOK, "drain", fmt.Sprintf(`{"target":%q}`, other.address))
		for _, target := range s.Groups[0].Targets {
			if drains := target.Mark != nil; drains != (target.Address == other.address) || target.State != "healthy" {
				t.Errorf("%+v", target)
			}
		}
		for range 40 {
			if p := new(person).ask(t, e.address); p.colour != "blue" {
				t.Fatalf("%d from %q", p.status, p.colour)
			}
		}
		switch i {
		case 0:
			e.restart(t)
		case 1: // a reload makes the group another pool
			e.write(strings.Replace(string(text), fmt.Sprintf("targets = [%q]", e.blue.address), fmt.Sprintf("targets = [%q, { address = %q, weight = 3 }]", e.blue.address, other.address), 1))
			e.call(http.StatusOK, "POST", "/v1/reload", "")
		}
	}
	e.order(http.StatusOK, "evict", fmt.Sprintf(`{"group":"blue","target":%q}`, e.blue.address))
	if p := new(person).ask(t, e.address); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "destination_unavailable") {
		t.Errorf("nobody is left but green, which has weight 0: %d %s %s", p.status, p.colour, p.body)
	}
	e.order(http.StatusOK, "resume", fmt.Sprintf(`{"target":%q}`, e.blue.address))
	e.order(http.StatusOK, "resume", fmt.Sprintf(`{"target":%q}`, other.address))
	seen := map[string]bool{}
	eventually(t, "both serve again", func() bool { seen[new(person).ask(t, e.address).colour] = true; return seen["blue"] && seen["other"] })
}

// TestPause: requests wait, none reaches an upstream, and those that waited go on with the weights that are in force at the resume; the bounds refuse with their reason.
func TestPause(t *testing.T) {
	e := newStuck(t, 100, "", "")
	e.order(http.StatusOK, "pause", `{"max_waiting":3,"timeout":"50s"}`)
	colours := make(chan *person, 8)
	for range 3 {
		go func() { colours <- new(person).ask(t, e.address) }()
	}
	eventually(t, "three wait", func() bool { s := e.service(); return s.Pause != nil && s.Pause.Waiting == 3 })
	e.scraped(t, `weir_pause_waiting{service="api"} 3`)
	if p := new(person).ask(t, e.address); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "pause_full") || p.header.Get("Retry-After") == "" {
		t.Errorf("the fourth: %d %s", p.status, p.body)
	}
	if out := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(out, "paused since") {
		t.Errorf("explain: %s", out)
	}
	e.weigh(0)
	e.write(stuckText(e.dir, e.blue.address, e.green.address, 90, "", ""))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if len(colours) != 0 {
		t.Errorf("weights or a reload end the pause: %+v", <-colours)
	}
	if s := e.order(http.StatusOK, "resume", ""); s.Pause != nil {
		t.Errorf("%+v", s.Pause)
	}
	for range 3 {
		if p := await(t, colours, "one that waited"); p.status != http.StatusOK || p.colour != "green" {
			t.Errorf("%d from %s, blue has weight 0", p.status, p.colour)
		}
	}
	e.scraped(t, `weir_service_paused{service="api"} 0`)
	e.order(http.StatusOK, "pause", `{"timeout":"10ms"}`)
	e.restart(t)
	if p := new(person).ask(t, e.address); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "pause_timeout") {
		t.Errorf("after the time, and a restart: %d %s", p.status, p.body)
	}
	e.order(http.StatusOK, "pause", `{"max_waiting":0}`)
	if p := new(person).ask(t, e.address); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "pause_full") {
		t.Errorf("none may wait: %d %s", p.status, p.body)
	}
	e.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	if p := new(person).ask(t, e.address); p.status != http.StatusOK {
		t.Errorf("after weights reset: %d", p.status)
	}
}

// TestPauseOfClientsThatLeave: who hangs up while the service is paused gives its place back.
func TestPauseOfClientsThatLeave(t *testing.T) {
	e := newStuck(t, 100, "", "")
	e.order(http.StatusOK, "pause", `{"max_waiting":2,"timeout":"50s"}`)
	gone := connect(t, e.address)
	if _, err := gone.conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it waits", func() bool { return e.service().Pause.Waiting == 1 })
	done := make(chan *person, 1)
	go func() { done <- new(person).ask(t, e.address) }()
	eventually(t, "two wait", func() bool { return e.service().Pause.Waiting == 2 })
	_ = gone.conn.Close()
	eventually(t, "one waits", func() bool { return e.service().Pause.Waiting == 1 })
	e.order(http.StatusOK, "resume", "{}")
	if p := await(t, done, "the other one"); p.status != http.StatusOK {
		t.Errorf("%d", p.status)
	}
}

// TestOrdersRefused: what cannot be, is said and changes nothing.
func TestOrdersRefused(t *testing.T) {
	e := newStuck(t, 100, "sticky = \"cookie\"", "")
	before := e.service()
	for _, c := range []struct {
		verb, body string
		status     int
		says       string
	}{
		{"drain", "", http.StatusUnprocessableEntity, "say which group or target to drain"},
		{"drain", `{"group":"red"}`, http.StatusUnprocessableEntity, "no group \\\"red\\\" (groups: blue, green)"},
		{"drain", `{"group":"blue"}`, http.StatusUnprocessableEntity, "no group would take new clients"},
		{"evict", `{"group":"blue"}`, http.StatusUnprocessableEntity, "no group would take new clients"},
		{"evict", `{"target":"nowhere"}`, http.StatusUnprocessableEntity, "no target"},
		{"evict", `{"group":"green","target":"` + e.blue.address + `"}`, http.StatusUnprocessableEntity, "no target"},
		{"drain", `{"grup":"green"}`, http.StatusBadRequest, "grup"},
		{"drain", `[]`, http.StatusBadRequest, "must be a JSON object"},
		{"drain", `{"group":"green"} x`, http.StatusBadRequest, "after the JSON object"},
		{"drain", `{"group":"green","timeout":"1s"}`, http.StatusUnprocessableEntity, "are for pause"},
		{"pause", `{"group":"green"}`, http.StatusUnprocessableEntity, "paused as a whole"},
		{"pause", `{"timeout":"2h"}`, http.StatusUnprocessableEntity, "at most 1h0m0s"},
		{"pause", `{"timeout":"-1s"}`, http.StatusUnprocessableEntity, "timeout"},
		{"pause", `{"max_waiting":-1}`, http.StatusUnprocessableEntity, "max_waiting must be"},
		{"pause", `{"max_waiting":1000001}`, http.StatusUnprocessableEntity, "max_waiting must be"},
		{"resume", `{"group":"red"}`, http.StatusUnprocessableEntity, "no group"},
	} {
		if out := e.call(c.status, "POST", "/v1/services/api/"+c.verb, c.body); !strings.Contains(out, c.says) {
			t.Errorf("%s %s: %s", c.verb, c.body, out)
		}
	}
	e.call(http.StatusNotFound, "POST", "/v1/services/nobody/drain", `{"group":"green"}`)
	e.call(http.StatusMethodNotAllowed, "GET", "/v1/services/api/drain", "")
	e.order(http.StatusPreconditionFailed, "drain", `{"group":"green"}`, "If-Match", `"0123456789abcdef"`)
	if after := e.service(); after.Version != before.Version {
		t.Errorf("%+v", after)
	}
	// Weights may not take the last open group away either.
	e.order(http.StatusOK, "drain", `{"group":"green"}`, "If-Match", `"`+before.Version+`"`)
	if out := e.call(http.StatusUnprocessableEntity, "PUT", "/v1/services/api/weights", `{"blue":0,"green":100}`); !strings.Contains(out, "no group would take new clients") {
		t.Errorf("%s", out)
	}
	e.order(http.StatusPreconditionFailed, "resume", `{"group":"green"}`, "If-Match", `"`+before.Version+`"`)
}

// TestOrdersOfManyAtOnce: of writers that have read the same state one wins.
func TestOrdersOfManyAtOnce(t *testing.T) {
	e := newStuck(t, 100, "", "")
	tag := `"` + e.service().Version + `"`
	won := make(chan bool, 16)
	var all sync.WaitGroup
	for i := range 16 {
		verb, body := "pause", ""
		if i%2 == 0 {
			verb, body = "drain", `{"group":"green"}`
		}
		all.Go(func() {
			switch status, answer, err := e.try("POST", "/v1/services/api/"+verb, body, "If-Match", tag); {
			case err == nil && status == http.StatusOK:
				won <- true
			case err != nil || status != http.StatusPreconditionFailed:
				t.Errorf("%d %s %v", status, answer, err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d won", len(won))
	}
}

// TestOverlayOfGroupsThatLeft: orders about groups that the file no longer has are void and said so, a pause holds, and what is ordered next does not bring them back.
func TestOverlayOfGroupsThatLeft(t *testing.T) {
	e := newStuck(t, 50, "", "")
	e.order(http.StatusOK, "drain", `{"group":"green"}`)
	e.order(http.StatusOK, "pause", `{"timeout":"10ms"}`)
	renamed := strings.Replace(stuckText(e.dir, e.blue.address, e.green.address, 50, "", ""), "group.green", "group.red", 1)
	e.write(renamed)
	if out := e.call(http.StatusOK, "POST", "/v1/reload", ""); !strings.Contains(out, "is void") || !strings.Contains(out, "paused since") {
		t.Errorf("reload: %s", out)
	}
	s := e.service()
	if s.Overlay == nil || !strings.Contains(s.Overlay.Void, `"green"`) || s.Pause == nil || s.Groups[1].State != "live" {
		t.Errorf("%+v", s)
	}
	if p := new(person).ask(t, e.address); !strings.Contains(p.body, "pause_timeout") {
		t.Errorf("%d %s", p.status, p.body)
	}
	if s = e.order(http.StatusOK, "resume", ""); s.Overlay != nil {
		t.Errorf("%+v", s.Overlay)
	}
	e.order(http.StatusOK, "drain", `{"group":"blue"}`)
	if p := new(person).ask(t, e.address); p.colour != "green" { // red is what green was
		t.Errorf("%d %s", p.status, p.colour)
	}
	e.write(stuckText(e.dir, e.blue.address, e.green.address, 100, "", ""))
	if out := e.call(http.StatusOK, "POST", "/v1/reload", ""); !strings.Contains(out, "no group takes new clients") {
		t.Errorf("reload: %s", out)
	}
	if p := new(person).ask(t, e.address); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "no_group") {
		t.Errorf("%d %s", p.status, p.body)
	}
	if out := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(out, "503 no_group") {
		t.Errorf("explain: %s", out)
	}
	e.order(http.StatusOK, "resume", `{"group":"blue"}`)
	if p := new(person).ask(t, e.address); p.colour != "blue" {
		t.Errorf("%d %s", p.status, p.colour)
	}
}
