package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

func (f *fakeControl) Rollout(name string) (admin.Rollout, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case name != "api":
		return admin.Rollout{}, admin.ErrNotFound
	case f.rollout == nil:
		return admin.Rollout{}, admin.ErrNoRollout
	}
	return *f.rollout, nil
}

func (f *fakeControl) StartRollout(_ context.Context, name string, q admin.RolloutRequest, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state()
	switch {
	case name != "api":
		return before, before, admin.ErrNotFound
	case !c.Match.Holds(before.Version):
		return before, before, admin.ErrConflict
	case f.rollout != nil && !f.rollout.Over():
		return before, before, &admin.BusyError{Detail: "a rollout to green is under way"}
	case q.To == "red":
		return before, before, &admin.InvalidError{Title: "rollout not acceptable", Details: []admin.Detail{{Message: "there is no group red"}}}
	}
	f.asked = q
	f.rollout = &admin.Rollout{To: "green", State: "running", Step: 1, By: c.By}
	return before, f.state(), nil
}

func (f *fakeControl) TellRollout(_ context.Context, _ string, cmd admin.RolloutCommand, _ admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.state()
	switch {
	case f.rollout == nil:
		return before, before, admin.ErrNoRollout
	case f.rollout.Over():
		return before, before, &admin.BusyError{Detail: "the rollout is over"}
	}
	next := *f.rollout
	next.State = map[admin.RolloutCommand]string{admin.RolloutPause: "holding", admin.RolloutResume: "running", admin.RolloutPromote: "promoted", admin.RolloutAbort: "aborted"}[cmd]
	f.rollout = &next
	return before, f.state(), nil
}

func TestRolloutEndpoints(t *testing.T) {
	s := serve(t, admin.Options{})
	f := s.control
	for _, c := range []struct {
		method, path, body string
		header             string
		status             int
		says               string
	}{
		{"GET", "", "", "", http.StatusNotFound, "has had no rollout"},
		{"DELETE", "", "", "", http.StatusNotFound, "has had no rollout"},
		{"POST", "", `{"to":"green"`, "", http.StatusBadRequest, "read rollout"},
		{"POST", "", `{"group":"green"}`, "", http.StatusBadRequest, "unknown field"},
		{"POST", "", `{"hold":60}`, "", http.StatusBadRequest, `duration in quotes`},
		{"POST", "", `{"hold":"soon"}`, "", http.StatusBadRequest, `\"soon\" is not a duration`},
		{"POST", "", `{"steps":[1.234,100]}`, "", http.StatusBadRequest, "two decimals"},
		{"POST", "", `{} {}`, "", http.StatusBadRequest, "something after"},
		{"POST", "", `{"to":"red"}`, "", http.StatusUnprocessableEntity, "no group red"},
		{"POST", "", `{}`, `If-Match: "stale"`, http.StatusPreconditionFailed, "If-Match"},
		{"POST", "", `{"to":"green","steps":[0.5,25,100],"hold":"90s","bake":"1h","warm_up":"5s","tolerance":2,"alpha":0.01,"max_harm":9,"min_effect":0.05,"latency":false}`, "", http.StatusOK, `"state":"running"`},
		{"POST", "", "", "", http.StatusConflict, "under way"},
		{"GET", "", "", "", http.StatusOK, `"to":"green"`},
		{"POST", "/pause", "", "", http.StatusOK, `"state":"holding"`},
		{"POST", "/resume", "", "", http.StatusOK, `"state":"running"`},
		{"POST", "/resume", `{"a":1}`, "", http.StatusBadRequest, "body"},
		{"GET", "/pause", "", "", http.StatusMethodNotAllowed, "POST"},
		{"POST", "/promote", "", "", http.StatusOK, `"state":"promoted"`},
		{"POST", "/pause", "", "", http.StatusConflict, "over"},
		{"POST", "", "", "", http.StatusOK, `"state":"running"`},
		{"DELETE", "", "", "", http.StatusOK, `"state":"aborted"`},
	} {
		header := []string{"Weir-Operator: ann"}
		if c.header != "" {
			header = append(header, c.header)
		}
		res, body := s.call(c.method, "/v1/services/api/rollout"+c.path, c.body, header...)
		if res.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %s: %d %s, want %d and %q", c.method, c.path, c.body, res.StatusCode, body, c.status, c.says)
		}
		if c.method == "POST" && strings.Contains(c.body, "min_effect") {
			var want admin.RolloutRequest
			if err := json.Unmarshal([]byte(c.body), &want); err != nil {
				t.Fatal(err)
			}
			if q := f.asked; time.Duration(*q.Hold) != 90*time.Second || q.Steps[0] != 50 || *q.MaxHarm != 9 || *q.Latency || *q.Tolerance != *want.Tolerance {
				t.Errorf("asked for %+v", q)
			}
		}
	}
	entries := s.audit.TakeAll()
	last := entries[len(entries)-1].ContextMap()
	if last["event.action"] != "abort rollout" || last["weir.audit.before"] != "blue=100 green=0, rollout to green running at step 1" || last["weir.audit.after"] != "blue=100 green=0, rollout to green aborted at step 1" {
		t.Errorf("audit %v", last)
	}
}
