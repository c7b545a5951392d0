package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/redistest"
)

func (e *edge) rollout(t *testing.T) (r admin.Rollout) {
	t.Helper()
	_, body := e.call(200, "GET", "/v1/services/api/rollout", "")
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestE2EReplicas: three weirs and a Redis. Weights set on one are in force on all. The one that leads a rollout is killed with -9 in the middle of a step; another leads it to the end, and the
// killed one has that from its first answer on when it is back.
func TestE2EReplicas(t *testing.T) {
	t.Parallel()
	programs(t)
	blue, green := newBackend(t, "blue"), newBackend(t, "green")
	redis := redistest.New(t).Address
	var edges []*edge
	for range 3 {
		dir := folder(t)
		c := newConf(dir, blue.address, green.address)
		c.service = "rollout = { steps = [50, 100], hold = \"0s\", bake = \"0s\", min_effect = 0.5, latency = false }\n"
		c.tls = fmt.Sprintf("[cluster]\nredis = \"redis://%s\"\ntimeout = \"10s\"\n", redis)
		edges = append(edges, run(t, dir, c))
	}
	all := func(list []*edge, what string, is func(*edge) bool) {
		t.Helper()
		for i, e := range list {
			eventually(t, 20*time.Second, fmt.Sprintf("weir %d: %s", i, what), func() bool { return is(e) })
		}
	}
	edges[1].must("weights", "api", "blue=70", "green=30")
	all(edges, "70/30", func(e *edge) bool { return e.status().Services[0].Weights()["green"] == 3000 })
	for _, e := range edges {
		if got := e.shares(t, 100, nil); got["green"] != 30 {
			t.Errorf("shares %v", got)
		}
	}
	edges[2].must("weights", "api", "reset")
	all(edges, "100/0", func(e *edge) bool { return e.status().Services[0].Weights()["green"] == 0 })
	edges[0].call(200, "POST", "/v1/services/api/rollout", `{"to":"green"}`)
	all(edges, "50/50", func(e *edge) bool { return e.status().Services[0].Weights()["green"] == 5000 })
	leader := edges[0].status().Cluster.Replica
	all(edges, "it knows the leader", func(e *edge) bool { return e.rollout(t).Leader == leader })
	edges[0].signal(syscall.SIGKILL)
	edges[0].wait(40 * time.Second)
	killed := time.Now()
	rest := edges[1:]
	all(rest, "another leads", func(e *edge) bool { l := e.rollout(t).Leader; return l != "" && l != leader })
	took := time.Since(killed)
	if out := rest[0].must("status"); !strings.Contains(out, "decided by replica ") {
		t.Errorf("status:\n%s", out)
	}
	requests := 0
	eventually(t, 60*time.Second, "the rollout ends", func() bool {
		rest[requests%2].shares(t, 20, nil)
		requests++
		r := rest[0].rollout(t)
		return r.Over()
	})
	all(rest, "promoted", func(e *edge) bool {
		return e.rollout(t).State == "promoted" && e.status().Services[0].Weights()["green"] == 10000
	})
	back := launch(t, edges[0].dir, edges[0].config)
	back.ready()
	if r := back.rollout(t); r.State != "promoted" || back.status().Services[0].Weights()["green"] != 10000 {
		t.Errorf("back with %+v", r)
	}
	if got := back.shares(t, 100, nil); got["green"] != 100 {
		t.Errorf("shares %v", got)
	}
	measured(t, "another replica leads a rollout whose leader was killed with -9", "after %.1f s, and promotes it on all", took.Seconds())
	for _, e := range append(rest, back) {
		e.stop()
	}
}
