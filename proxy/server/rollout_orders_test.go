package server_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// A rollout moves clients by weights. Where a group drains or is evicted something else deals them, so none begins there; one under way ends where it is, by the order of
// whoever gave it, and does not come back with the resume or a restart.
func TestRolloutAndDrains(t *testing.T) {
	for _, verb := range []string{"drain", "evict"} {
		for _, group := range []string{"green", "blue"} {
			t.Run(verb+" "+group, func(t *testing.T) {
				s := openShop(t, `steps = [50, 100], hold = "1h"`, nil)
				order := func(verb string) {
					t.Helper()
					s.call(http.StatusOK, "POST", "/v1/services/api/"+verb, fmt.Sprintf(`{"group":%q}`, group), "Weir-Operator", "bob")
				}
				if group == "green" { // blue has all the weight, and stays open
					order(verb)
					if out := s.call(http.StatusUnprocessableEntity, "POST", "/v1/services/api/rollout", ""); !strings.Contains(out, "drains or is evicted") {
						t.Errorf("start: %s", out)
					}
					s.call(http.StatusNotFound, "GET", "/v1/services/api/rollout", "")
					order("resume")
				}
				s.start("")
				s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
				order(verb)
				ended := func(when string) {
					t.Helper()
					if r := s.now(); r.State != "aborted" || !strings.Contains(r.Reason, "drains or is evicted") || r.Ended == nil || s.weights() != "blue=50 green=50" {
						t.Errorf("%s: %+v, weights %s", when, r, s.weights())
					}
				}
				ended("at once")
				s.call(http.StatusUnprocessableEntity, "POST", "/v1/services/api/rollout", `{"to":"green"}`)
				s.stop()
				s.running = run(t, s.dir, rolloutText(s.dir, s.rollout, s.blue.address, s.green.address))
				ended("after a restart")
				order("resume")
				ended("after the resume")
				s.start(`{"to":"green"}`)
				s.awaits("step 1 again", func(r admin.Rollout) bool { return r.Step == 1 })
			})
		}
	}
}

// By evidence the weights between the first and the whole are found on the way, told in the status, and kept by a restart. An hour at the whole is more than such a budget
// pays for after some seconds, so that it is never the next.
func TestRolloutByEvidence(t *testing.T) {
	s := openShop(t, `steps = [10, 100], pace = "evidence", hold = "100ms", bake = "1h", min_effect = 0.2, latency = false, max_harm = 100`, nil)
	s.call(http.StatusUnprocessableEntity, "POST", "/v1/services/api/rollout", `{"pace":"fast"}`)
	s.start("")
	crowd := s.ask(8, getOnce)
	s.awaits("a weight that is not in the list", func(r admin.Rollout) bool { return r.Step >= 2 })
	crowd.end()
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/pause", "")
	r := s.now()
	if n := len(r.Steps); r.Pace != "evidence" || n < 3 || r.Steps[0] != 1000 || r.Steps[n-1] != 10000 || r.Steps[r.Step-1] != r.Weight || r.Weight < 1250 || r.Weight > 5000 {
		t.Fatalf("%+v", r)
	}
	s.stop()
	s.running = run(t, s.dir, rolloutText(s.dir, s.rollout, s.blue.address, s.green.address))
	if again := s.now(); again.Step != r.Step || again.Weight != r.Weight || !slices.Equal(again.Steps, r.Steps) {
		t.Errorf("after a restart %+v, before %+v", again, r)
	}
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/promote", "")
	if again := s.now(); s.weights() != "blue=0 green=100" || !slices.Equal(again.Steps, r.Steps) || again.Next != 0 {
		t.Errorf("weights %s, %+v", s.weights(), again)
	}
}

// A target that drains, and a pause of the whole service, are no order about who is dealt where: the rollout goes on.
func TestRolloutGoesOnBesideOrders(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, nil)
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	s.call(http.StatusOK, "POST", "/v1/services/api/pause", "")
	s.call(http.StatusOK, "POST", "/v1/services/api/resume", "")
	s.call(http.StatusOK, "POST", "/v1/services/api/drain", fmt.Sprintf(`{"target":%q}`, s.blue.address))
	if r := s.now(); r.Over() || r.Step != 1 || s.weights() != "blue=50 green=50" {
		t.Errorf("%+v, weights %s", r, s.weights())
	}
}

// What testers ask of green is no evidence: they ask for the group, and were not dealt to it. Here green fails them alone, and all of them.
func TestRolloutLeavesTestersOut(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h", max_harm = 1`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Color", "green")
		if r.Header.Get("X-Weir-Group") != "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s.write(rolloutText(s.dir, s.rollout, s.blue.address, s.green.address) + "match = { header = \"X-Weir-Group: green\" }\n")
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := &connection{conn: conn, r: bufio.NewReader(conn)}
	for range 100 { // one after the other: a request is read when the one before is in the books
		if status, colour, err := c.say("POST / HTTP/1.1\r\nHost: x\r\nX-Weir-Group: green\r\nContent-Length: 0\r\n\r\n"); err != nil || status != http.StatusInternalServerError || colour != "green" {
			t.Fatalf("a tester: %d by %q, %v", status, colour, err)
		}
	}
	const dealt = 200
	for range dealt {
		if status, _, err := c.say(postOnce); err != nil || status != http.StatusOK {
			t.Fatalf("%d, %v", status, err)
		}
	}
	r := s.awaits("everything dealt is counted", func(r admin.Rollout) bool { return r.Green.Requests+r.Others.Requests >= dealt })
	if r.Green.Requests != dealt/2 || r.Others.Requests != dealt/2 || r.Green.Failed != 0 || r.State == "rolled_back" {
		t.Errorf("%+v", r)
	}
}

// Where clients stay with their group the unit is the client: however often green fails one, it is one bad event at each step, also for clients who share an address.
func TestRolloutCountsAStickyClientOnceAStep(t *testing.T) {
	var asked atomic.Int64
	s := openShop(t, `steps = [50, 60, 100], hold = "0s", min_effect = 0.5, alpha = 0.000000001, max_harm = 100000, latency = false`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Color", "green")
		if r.Method == http.MethodPost && asked.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s.write(strings.Replace(rolloutText(s.dir, s.rollout, s.blue.address, s.green.address), "[service.api]\n", "[service.api]\nsticky = \"cookie\"\n", 1))
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	people := peopleOf(t, s.address, 24) // before the rollout: these requests are nobody's event
	var conns []*connection
	for range people {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		conns = append(conns, &connection{conn: conn, r: bufio.NewReader(conn)})
	}
	// everybody asks six times, and all of it is awaited in the books; how many clients green has failed, and how often.
	said := uint64(0)
	ask := func() (clients, failures uint64) {
		t.Helper()
		for i, p := range people {
			bad := uint64(0)
			for range 6 {
				status, colour, err := conns[i].say("POST / HTTP/1.1\r\nHost: x\r\nCookie: " + p.cookie + "\r\nContent-Length: 0\r\n\r\n")
				if err != nil || status != http.StatusOK && colour != "green" {
					t.Fatalf("%d by %q, %v", status, colour, err)
				}
				if status != http.StatusOK {
					bad++
				}
			}
			if failures += bad; bad > 0 {
				clients++
			}
		}
		said += 6 * uint64(len(people))
		s.awaits("all is counted", func(r admin.Rollout) bool { return r.Green.Requests+r.Others.Requests >= said })
		return clients, failures
	}
	s.start(`{"to":"green"}`)
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/pause", "")
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/resume", "")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/pause", "")
	n, failures := ask()
	// Their places in a table of 4096 may fall together, and count as one; half of them never.
	r := s.now()
	if n < 2 || failures < 2*n || r.Green.Failed != failures || r.Green.Errors > n || r.Green.Errors <= n/2 {
		t.Fatalf("%d clients, %d failures: %+v", n, failures, r)
	}
	before := r.Green.Errors
	ask()
	if r = s.now(); r.Green.Errors > uint64(len(people)) || r.Step != 1 {
		t.Fatalf("asking again at the same step: %+v", r)
	}
	first := r.Green.Errors
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/resume", "")
	// How many requests the step needs depends on who was dealt to green: by chance.
	for round := 0; s.now().Step == 1; round++ {
		if round == 200 {
			t.Fatalf("no step after %d requests: %+v", said, s.now())
		}
		ask()
	}
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout/pause", "")
	n, failures = ask()
	// Both steps have each client once at most, and this one has those of the last round, whose places may fall together.
	if r = s.now(); r.Step != 2 || r.Green.Errors > 2*uint64(len(people)) || r.Green.Errors <= first+n/2 || first < before {
		t.Errorf("%d clients with %d failures at the next step, %d events before: %+v", n, failures, first, r)
	}
}
