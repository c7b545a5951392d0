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
	"github.com/valor-ivx/weir/proxy/redistest"
)

// edge is three weirs on one Redis in front of the same two colours.
type edge struct {
	t           *testing.T
	redis       *redistest.Server
	blue, green *colour
	rollout     string
	replicas    []*shop
}

// openEdge starts an edge; green is its handler, nil: like blue.
func openEdge(t *testing.T, rollout string, green http.HandlerFunc) *edge {
	redis := redistest.New(t)
	return openEdgeOn(t, redis, rollout, green, redis.Address)
}

// openEdgeOn is openEdge on a Redis that the first replica has another way to.
func openEdgeOn(t *testing.T, redis *redistest.Server, rollout string, green http.HandlerFunc, first string) *edge {
	e := &edge{t: t, redis: redis, blue: newColour(t, "blue"), green: &colour{name: "green", address: "127.0.0.1:0"}, rollout: rollout}
	if green != nil {
		e.green.handler = green
	}
	e.green.start(t)
	t.Cleanup(func() {
		e.blue.kill()
		e.green.kill()
	})
	for _, link := range []string{first, redis.Address, redis.Address} {
		e.add(link)
	}
	for _, r := range e.replicas {
		eventually(t, "all see all", func() bool { return r.status().Cluster.Replicas == 3 })
	}
	return e
}

// add starts one more replica, in a folder of its own.
func (e *edge) add(link string) *shop {
	e.t.Helper()
	dir := shortDir(e.t)
	s := &shop{t: e.t, blue: e.blue, green: e.green, rollout: e.rollout}
	s.running = run(e.t, dir, e.text(dir, link))
	e.replicas = append(e.replicas, s)
	e.t.Cleanup(func() {
		if s.running != nil {
			s.stop()
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// clusterTable is what joins a replica to those of a Redis. Its patience is a busy machine's.
func clusterTable(link string) string {
	return fmt.Sprintf("[cluster]\nredis = \"redis://%s\"\ntimeout = \"10s\"\n", link)
}

func (e *edge) text(dir, link string) string {
	return rolloutText(dir, e.rollout, e.blue.address, e.green.address) + clusterTable(link)
}

// leave stops a replica and takes it out of the edge.
func (e *edge) leave(i int) (dir string) {
	s := e.replicas[i]
	e.replicas = append(e.replicas[:i:i], e.replicas[i+1:]...)
	s.stop()
	dir, s.running = s.dir, nil
	return dir
}

// all waits until every replica is as wanted.
func (e *edge) all(what string, is func(*shop) bool) {
	e.t.Helper()
	for i, r := range e.replicas {
		eventually(e.t, fmt.Sprintf("replica %d: %s", i, what), func() bool { return is(r) })
	}
}

func (e *edge) allWeigh(want string) {
	e.t.Helper()
	e.all("weights "+want, func(s *shop) bool { return s.weights() == want })
}

func (e *edge) allUp() {
	e.t.Helper()
	e.all("redis is there", func(s *shop) bool { return s.status().Cluster.Up })
}

func (s *shop) tag() string {
	return `"` + s.status().Services[0].Version + `"`
}

const weightsPath = "/v1/services/api/weights"

// TestReplicasShareTheOverlay: what is set on one replica is in force on all of them, by one revision: who did not see it is refused as by If-Match on one machine, and changes at
// the same time come one after the other. Who joins has it before it is ready.
func TestReplicasShareTheOverlay(t *testing.T) {
	e := openEdge(t, quick, nil)
	a, b, c := e.replicas[0], e.replicas[1], e.replicas[2]
	unseen := b.tag()
	a.call(http.StatusOK, "PUT", weightsPath, `{"blue":70,"green":30}`, "Weir-Operator", "ann")
	b.call(http.StatusPreconditionFailed, "PUT", weightsPath, `{"blue":1,"green":99}`, "If-Match", unseen)
	e.allWeigh("blue=70 green=30")
	if d := c.status().Services[0]; d.Overlay == nil || !strings.HasPrefix(d.Overlay.By, "ann ") || a.tag() != b.tag() || b.tag() != c.tag() {
		t.Errorf("%+v, tags %s %s %s", d.Overlay, a.tag(), b.tag(), c.tag())
	}
	b.call(http.StatusOK, "PUT", weightsPath, `{"blue":60,"green":40}`, "If-Match", b.tag())
	e.allWeigh("blue=60 green=40")
	c.call(http.StatusOK, "POST", "/v1/services/api/drain", `{"group":"green"}`)
	e.all("green drains", func(s *shop) bool {
		m := s.status().Services[0].Groups[1].Mark
		return m != nil && m.State == "draining"
	})
	before := a.status().Cluster.Revision
	var writers sync.WaitGroup
	for i, r := range e.replicas {
		writers.Go(func() {
			for n := range 3 {
				green := 1 + 10*i + n
				status, answer, err := r.try("PUT", weightsPath, fmt.Sprintf(`{"blue":%d,"green":%d}`, 100-green, green))
				if err != nil || status != http.StatusOK {
					t.Errorf("%d %s %v", status, answer, err)
				}
			}
		})
	}
	writers.Wait()
	e.all("nine changes", func(s *shop) bool { return s.status().Cluster.Revision == before+9 })
	if w := a.weights(); w != b.weights() || w != c.weights() {
		t.Errorf("%s, %s, %s", w, b.weights(), c.weights())
	}
	if !metric(t, c.running, fmt.Sprintf("weir_cluster_overlay_revision %d", before+9)) {
		t.Error("no gauge of the revision")
	}
	e.leave(2)
	a.call(http.StatusOK, "PUT", weightsPath, `{"blue":15,"green":85}`)
	if d := e.add(e.redis.Address); d.weights() != "blue=15 green=85" || d.status().Services[0].Groups[1].Mark == nil {
		t.Errorf("ready with weights %s, %+v", d.weights(), d.status().Services[0].Groups[1].Mark)
	}
	a.call(http.StatusOK, "DELETE", weightsPath, "")
	e.allWeigh("blue=100 green=0")
}

// TestOverlayWithoutRedis: while Redis is away nothing that is for all can be changed, and everything stays, also through a restart. Afterwards it can be; a Redis that has lost
// everything is given it back.
func TestOverlayWithoutRedis(t *testing.T) {
	e := openEdge(t, quick, nil)
	a, b := e.replicas[0], e.replicas[1]
	a.call(http.StatusOK, "PUT", weightsPath, `{"blue":70,"green":30}`)
	e.allWeigh("blue=70 green=30")
	e.redis.Kill()
	for _, r := range e.replicas {
		if out := r.call(http.StatusServiceUnavailable, "PUT", weightsPath, `{"blue":1,"green":99}`); !strings.Contains(out, "nothing was changed here") {
			t.Error(out)
		}
		r.call(http.StatusServiceUnavailable, "POST", "/v1/services/api/rollout", `{"to":"green"}`)
	}
	dir := e.leave(2)
	again := &shop{t: t, running: run(t, dir, e.text(dir, e.redis.Address))}
	e.replicas = append(e.replicas, again)
	t.Cleanup(again.stop)
	if w := strings.Join(again.status().Warnings, "\n"); again.weights() != "blue=70 green=30" || !strings.Contains(w, "stay as of revision 1") {
		t.Errorf("weights %s, warnings %s", again.weights(), w)
	}
	// The way out where Redis stays away: this replica alone, by its file.
	again.write(rolloutText(dir, quick, e.blue.address, e.green.address))
	again.call(http.StatusOK, "POST", "/v1/reload", "")
	again.call(http.StatusOK, "PUT", weightsPath, `{"blue":90,"green":10}`)
	again.write(e.text(dir, e.redis.Address))
	again.call(http.StatusOK, "POST", "/v1/reload", "")
	if w := again.weights(); w != "blue=90 green=10" {
		t.Errorf("weights %s", w)
	}
	e.redis.Start()
	e.allWeigh("blue=70 green=30") // of those who agreed
	e.allUp()
	b.call(http.StatusOK, "PUT", weightsPath, `{"blue":60,"green":40}`)
	e.allWeigh("blue=60 green=40")
	e.redis.Kill()
	e.redis.Forget()
	e.redis.Start()
	e.all("the third revision", func(s *shop) bool { st := s.status().Cluster; return st.Up && st.Revision == 3 })
	e.allWeigh("blue=60 green=40")
	e.allUp()
	a.call(http.StatusOK, "PUT", weightsPath, `{"blue":50,"green":50}`)
	e.allWeigh("blue=50 green=50")
}

// TestOverlayJoinsTheOthers: the first weir that is given [cluster] brings what is set there, and who comes later gives way.
func TestOverlayJoinsTheOthers(t *testing.T) {
	redis := redistest.New(t)
	s := openShop(t, quick, nil)
	other := openShop(t, quick, nil)
	s.call(http.StatusOK, "PUT", weightsPath, `{"blue":70,"green":30}`)
	other.call(http.StatusOK, "PUT", weightsPath, `{"blue":5,"green":95}`)
	for _, r := range []*shop{s, other} {
		r.write(rolloutText(r.dir, quick, r.blue.address, r.green.address) + clusterTable(redis.Address))
		r.call(http.StatusOK, "POST", "/v1/reload", "")
		eventually(t, "it has joined", func() bool { return r.weights() == "blue=70 green=30" && r.status().Cluster.Revision == 1 })
	}
	other.call(http.StatusOK, "PUT", weightsPath, `{"blue":50,"green":50}`)
	eventually(t, "together", func() bool { return s.weights() == "blue=50 green=50" })
}

// leaders are the replicas' words on who leads, and how many there are of them.
func (e *edge) leaders() map[string]int {
	said := map[string]int{}
	for _, r := range e.replicas {
		var d admin.Rollout
		if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/services/api/rollout", "")), &d); err != nil {
			e.t.Fatal(err)
		}
		said[d.Leader]++
	}
	return said
}

// TestReplicasJudgeTogether: one replica leads, without any traffic of its own; what the clients of the two others see is its evidence. The green that fails goes back everywhere, once.
func TestReplicasJudgeTogether(t *testing.T) {
	e := openEdge(t, `steps = [5, 100], hold = "1h"`, everyNth(5))
	a, b, c := e.replicas[0], e.replicas[1], e.replicas[2]
	a.start(`{"to":"green"}`)
	e.all("step 1", func(s *shop) bool { d := s.status().Services[0].Rollout; return d != nil && d.Step == 1 })
	e.allWeigh("blue=95 green=5")
	eventually(t, "all know who leads", func() bool { return e.leaders()[a.status().Cluster.Replica] == 3 })
	if out := b.call(http.StatusConflict, "POST", "/v1/services/api/rollout", ""); !strings.Contains(out, "under way") {
		t.Error(out)
	}
	if out := c.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(out, "which decides by what all replicas count") {
		t.Errorf("explain: %s", out)
	}
	crowds := []*askers{b.ask(100, postOnce), c.ask(100, postOnce)}
	e.all("rolled back", func(s *shop) bool { return s.now().State == "rolled_back" })
	for _, crowd := range crowds {
		crowd.end()
	}
	e.allWeigh("blue=100 green=0")
	first := a.now()
	for _, r := range e.replicas {
		d := r.now()
		if d.Cause != "evidence" || d.Evidence < d.Threshold || !d.Ended.Equal(*first.Ended) || d.Green != first.Green || r.status().Services[0].Epoch != 2 {
			t.Errorf("%+v, epoch %d", d, r.status().Services[0].Epoch)
		}
		for range 50 {
			if status, colour := r.client.get(t); status != http.StatusOK || colour != "blue" {
				t.Fatalf("%d by %s after the rollback", status, colour)
			}
		}
	}
}

// TestRolloutChangesHands: the leader is stopped in the middle of a step, and another one goes on with all that was counted, to the end on all. A command is for whoever is asked.
func TestRolloutChangesHands(t *testing.T) {
	e := openEdge(t, `steps = [50, 100], hold = "0s", bake = "0s", min_effect = 0.5, latency = false`, nil)
	a := e.replicas[0]
	a.start(`{"to":"green"}`)
	e.allWeigh("blue=50 green=50")
	e.replicas[1].call(http.StatusOK, "POST", "/v1/services/api/rollout/pause", "", "Weir-Operator", "bob")
	e.all("paused", func(s *shop) bool { return strings.Contains(s.now().Reason, "paused by bob") })
	crowd := e.replicas[1].ask(10, getOnce)
	eventually(t, "the leader has heard of it", func() bool { return a.now().Green.Requests > 100 })
	crowd.end()
	sent := uint64(crowd.answers[0].ok.Load() + crowd.answers[1].ok.Load())
	eventually(t, "the leader has heard of all", func() bool { d := a.now(); return d.Green.Requests+d.Others.Requests == sent })
	e.leave(0)
	eventually(t, "another leads", func() bool { l := e.leaders(); return len(l) == 1 && l[""] == 0 })
	e.all("nothing is lost, nothing twice", func(s *shop) bool { d := s.now(); return d.Green.Requests+d.Others.Requests == sent })
	e.replicas[1].call(http.StatusOK, "POST", "/v1/services/api/rollout/resume", "")
	crowd = e.replicas[0].ask(10, getOnce)
	e.all("promoted", func(s *shop) bool { return s.now().State == "promoted" })
	crowd.end()
	e.allWeigh("blue=0 green=100")
}

// TestLeaderCutOff: a leader that cannot reach Redis goes no step further, and can go back. Another one takes its place, and what is set there holds here when it comes back: no
// two weights stay.
func TestLeaderCutOff(t *testing.T) {
	redis := redistest.New(t)
	wire := newWire(t, redis.Address)
	e := openEdgeOn(t, redis, `steps = [50, 100], hold = "1h"`, nil, wire.address)
	a, b := e.replicas[0], e.replicas[1]
	a.start(`{"to":"green"}`)
	e.allWeigh("blue=50 green=50")
	wire.cut()
	eventually(t, "it knows", func() bool { return !a.status().Cluster.Up })
	a.call(http.StatusServiceUnavailable, "POST", "/v1/services/api/rollout/promote", "")
	a.call(http.StatusServiceUnavailable, "PUT", weightsPath, `{"blue":1,"green":99}`)
	name := a.status().Cluster.Replica
	eventually(t, "another leads", func() bool { l := b.now().Leader; return l != "" && l != name })
	b.call(http.StatusOK, "POST", "/v1/services/api/rollout/promote", "")
	if w := a.weights(); w != "blue=50 green=50" || a.now().Step != 1 {
		t.Errorf("cut off, with weights %s: %+v", w, a.now())
	}
	wire.mend()
	e.allWeigh("blue=0 green=100")
	e.all("promoted", func(s *shop) bool { return s.now().State == "promoted" })
}

// TestRollbackAlone: a leader that cannot reach Redis takes back a green that fails, and so do the others when they hear of it.
func TestRollbackAlone(t *testing.T) {
	redis := redistest.New(t)
	wire := newWire(t, redis.Address)
	e := openEdgeOn(t, redis, `steps = [5, 100], hold = "1h"`, everyNth(5), wire.address)
	a, b := e.replicas[0], e.replicas[1]
	a.start(`{"to":"green"}`)
	e.allWeigh("blue=95 green=5")
	wire.cut()
	crowd := a.ask(100, postOnce)
	a.awaits("rolled back", func(r admin.Rollout) bool { return r.State == "rolled_back" })
	crowd.end()
	if w, others := a.weights(), b.weights(); w != "blue=100 green=0" || others != "blue=95 green=5" {
		t.Errorf("weights %s here, %s there", w, others)
	}
	wire.mend()
	e.all("rolled back", func(s *shop) bool { return s.now().State == "rolled_back" })
	e.allWeigh("blue=100 green=0")
	e.allUp()
	e.all("a new deal", func(s *shop) bool { return s.status().Services[0].Epoch == 2 })
	if r := b.now(); r.Cause != "evidence" || !r.Ended.Equal(*a.now().Ended) {
		t.Errorf("%+v", r)
	}
	b.call(http.StatusOK, "PUT", weightsPath, `{"blue":60,"green":40}`)
	e.allWeigh("blue=60 green=40")
}
