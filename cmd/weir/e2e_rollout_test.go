package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestE2ERolloutKill kills weir at odd moments of a rollout: it goes on where it was, and what it had learnt of green is not lost by more than the last seconds.
func TestE2ERolloutKill(t *testing.T) {
	t.Parallel()
	e, c := weighted(t)
	save(t, e.config, strings.Replace(c.String(), "[service.api]\n", "[service.api]\nrollout = { steps = [10, 50, 100], hold = \"1h\", bake = \"100ms\" }\n", 1))
	e.must("reload")
	now := func() (r admin.Rollout) {
		_, body := e.call(200, "GET", "/v1/services/api/rollout", "")
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	e.call(200, "POST", "/v1/services/api/rollout", `{"to":"green"}`, "X-Weir-Operator", "ann")
	for range count(3, 20) {
		e.signal(syscall.SIGKILL)
		e.wait(40 * time.Second)
		e = launch(t, e.dir, e.config)
		e.ready()
		eventually(t, 20*time.Second, "the rollout goes on at its step", func() bool { return now().Step == 1 })
		if r := now(); r.State != "running" || r.To != "green" || r.Weight != 1000 {
			t.Fatalf("after a kill: %+v", r)
		}
		if got := e.shares(t, 100, nil); got["green"] != 10 {
			t.Fatalf("shares %v", got)
		}
	}
	if out := e.must("status"); !strings.Contains(out, "rollout to green running, step 1 of 3, weight 10 %") {
		t.Errorf("status:\n%s", out)
	}
	e.must("rollout", "api", "abort")
	e.signal(syscall.SIGKILL)
	e.wait(40 * time.Second)
	e = launch(t, e.dir, e.config)
	e.ready()
	if r := now(); r.State != "aborted" || e.status().Services[0].Weights()["blue"] != 10000 {
		t.Errorf("after an abort and a kill: %+v", r)
	}
	if out, code := e.verb("rollout", "api", "status", "--wait"); code != exitRolledBack {
		t.Errorf("exit %d\n%s", code, out)
	}
	e.stop()
}
