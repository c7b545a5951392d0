package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/redistest"
)

// TestE2EReplicasUpgrade: of three replicas the one that leads a rollout is replaced in the middle of a step, again and again. Somebody leads on with what had been counted; it stays the one rollout at its step everywhere, no answer is
// counted twice or lost, and its end is that of all.
func TestE2EReplicasUpgrade(t *testing.T) {
	t.Parallel()
	programs(t)
	blue, green := newBackend(t, "blue"), newBackend(t, "green")
	redis := redistest.New(t).Address
	var edges []*lineage
	for range 3 {
		dir := folder(t)
		c := newConf(dir, blue.address, green.address)
		c.service = "rollout = { steps = [50, 100], hold = \"1h\", bake = \"0s\", latency = false, warm_up = \"0s\" }\n"
		c.tls = fmt.Sprintf("[cluster]\nredis = \"redis://%s\"\ntimeout = \"10s\"\n", redis)
		edges = append(edges, founded(t, dir, c.String(), nil).begin())
	}
	leads := func() (l *lineage) {
		t.Helper()
		eventually(t, 0, "a replica that is there leads", func() bool {
			l = nil
			for _, e := range edges {
				if name := e.status().Cluster.Replica; e.rollout(t).Leader == name {
					l = e
				}
			}
			return l != nil
		})
		return l
	}
	all := func(what string, is func(*lineage) bool) {
		t.Helper()
		for i, e := range edges {
			eventually(t, 0, fmt.Sprintf("weir %d: %s", i, what), func() bool { return is(e) })
		}
	}
	edges[0].call(200, "POST", "/v1/services/api/rollout", `{"to":"green"}`, "X-Weir-Operator", "ann")
	all("50/50", func(e *lineage) bool { return e.status().Services[0].Weights()["green"] == 5000 })
	began, asked := edges[0].rollout(t), uint64(0)
	counted := func(l *lineage) {
		t.Helper()
		eventually(t, 0, "every answer is counted once", func() bool { r := l.rollout(t); return r.Green.Requests+r.Others.Requests == asked })
	}
	n := count(3, 10)
	for i := range n {
		for _, e := range edges {
			e.statuses("/", 10)
			asked += 10
		}
		leader := leads()
		counted(leader)
		leader.replaced()
		heir := leads()
		counted(heir)
		if r := heir.rollout(t); r.State != "holding" && r.State != "running" || r.Step != 1 || !r.Started.Equal(began.Started) || r.By != began.By {
			t.Fatalf("upgrade %d: %+v, was %+v", i, r, began)
		}
		all("50/50, still", func(e *lineage) bool { return e.status().Services[0].Weights()["green"] == 5000 })
	}
	edges[1].must("rollout", "api", "promote")
	all("promoted", func(e *lineage) bool {
		return e.rollout(t).State == "promoted" && e.status().Services[0].Weights()["green"] == 10000
	})
	var ended time.Time
	for i, e := range edges {
		r := e.rollout(t)
		if i == 0 {
			ended = *r.Ended
		}
		if !r.Started.Equal(began.Started) || !r.Ended.Equal(ended) || len(r.Timeline) != len(edges[0].rollout(t).Timeline) {
			t.Errorf("weir %d: %+v", i, r)
		}
	}
	measured(t, "the replica that leads a rollout is replaced in mid-step", "%d upgrades of whoever led: one rollout, %d answers of three replicas counted once each, promoted on all", n, asked)
	for _, e := range edges {
		e.end()
	}
}
