package server_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// shop is a server with two colours, in front of which clients of many addresses ask.
type shop struct {
	*running
	t           *testing.T
	blue, green *colour
	rollout     string // the service's, in the file
}

// rolloutText is a configuration of two colours with all weight on blue.
func rolloutText(dir, rollout, blue, green string) string {
	text := configText(dir, 100, 64, false, []string{blue}, green)
	if rollout != quickWithProbes { // a busy machine misses probes, which is not what is tried here
		text = strings.Replace(text, "health = { path = \"/\", interval = \"600ms\", timeout = \"600ms\", rise = 1, fall = 1 }\n", "", 1)
	}
	return strings.Replace(text, "[service.api]\n", "[service.api]\nretry = { attempts = 2, budget = 1.0 }\nrollout = { "+rollout+" }\n", 1)
}

// openShop starts a server in front of blue, which answers everything, and green with a handler of its own; nil: like blue.
func openShop(t *testing.T, rollout string, green http.HandlerFunc) *shop {
	s := &shop{t: t, blue: newColour(t, "blue"), green: &colour{name: "green", address: "127.0.0.1:0"}, rollout: rollout}
	if green != nil {
		s.green.handler = green
	}
	s.green.start(t)
	dir := shortDir(t)
	s.running = run(t, dir, rolloutText(dir, rollout, s.blue.address, s.green.address))
	t.Cleanup(func() {
		s.stop()
		s.blue.kill()
		s.green.kill()
		_ = os.RemoveAll(dir)
	})
	return s
}

// healthyBut answers health checks (GET) of green and leaves the rest to a handler.
func healthyBut(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Color", "green")
		if r.Header.Get("X-Request-ID") != "" { // a health check has none
			h(w, r)
		}
	}
}

func (s *shop) now() (r admin.Rollout) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.call(http.StatusOK, "GET", "/v1/services/api/rollout", "")), &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *shop) start(body string) {
	s.t.Helper()
	s.call(http.StatusOK, "POST", "/v1/services/api/rollout", body, "Weir-Operator", "ann")
}

// awaits polls the rollout until it is as wanted.
func (s *shop) awaits(what string, is func(admin.Rollout) bool) (r admin.Rollout) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		r = s.now()
		return is(r) || r.Over()
	})
	if !is(r) {
		s.t.Fatalf("not %s but %s at step %d: %s", what, r.State, r.Step, r.Reason)
	}
	return r
}

func (s *shop) weights() string {
	s.t.Helper()
	return s.status().Services[0].Weights().String()
}

// askers are clients of addresses of their own, each on one connection, that ask one after the other until told to stop.
type askers struct {
	answers [2]struct{ ok, failed atomic.Int64 } // by blue and green
	stop    atomic.Bool
	done    sync.WaitGroup
}

// ask sends requests from n addresses of 127.0.0.0/8.
func (s *shop) ask(n int, request string) *askers {
	c := &askers{}
	const lanes = 8
	for a := range lanes {
		c.done.Go(func() {
			var list []*connection
			for i := a; i < n; i += lanes {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 7, byte(i/250), byte(1+i%250))}}
				conn, err := d.Dial("tcp", s.address)
				if err != nil {
					s.t.Errorf("%v", err)
					return
				}
				defer func() { _ = conn.Close() }()
				list = append(list, &connection{conn: conn, r: bufio.NewReader(conn)})
			}
			for i := 0; !c.stop.Load(); i++ {
				status, colour, err := list[i%len(list)].say(request)
				if err != nil {
					s.t.Errorf("%v", err)
					return
				}
				c.count(status, colour)
			}
		})
	}
	return c
}

func (c *askers) count(status int, colour string) {
	side := &c.answers[0]
	if colour == "green" {
		side = &c.answers[1]
	}
	if status == http.StatusOK {
		side.ok.Add(1)
	} else {
		side.failed.Add(1)
	}
}

// end stops the crowd and waits for it.
func (c *askers) end() {
	c.stop.Store(true)
	c.done.Wait()
}

func (c *connection) say(request string) (status int, colour string, err error) {
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c.conn, request); err != nil {
		return 0, "", err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("X-Color"), err
}

const (
	postOnce = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
	getOnce  = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
)

// everyNth fails one of n requests.
func everyNth(n int64) http.HandlerFunc {
	var served atomic.Int64
	return healthyBut(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%n == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
}

// A green that fails one request in five is rolled back at 5 % by evidence: clients of 200 addresses see no error of blue, and nothing comes to green afterwards. How many
// requests and errors a rollback takes is TestBadIsRolledBack's to say, and TestEvidenceDetects': here it is also a matter of how fast this machine is.
func TestRolloutGoesBack(t *testing.T) {
	s := openShop(t, `steps = [5, 100], hold = "1h"`, everyNth(5))
	s.start(`{"to":"green"}`)
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	c := s.ask(200, postOnce)
	r := s.awaits("rolled back", func(r admin.Rollout) bool { return r.State == "rolled_back" })
	c.end()
	if r.Cause != "evidence" || r.Evidence < r.Threshold || !strings.Contains(r.Reason, "evidence") {
		t.Errorf("%+v", r)
	}
	if failed := c.answers[1].failed.Load(); failed == 0 || c.answers[0].failed.Load() != 0 {
		t.Errorf("%d errors by green, %d by blue", failed, c.answers[0].failed.Load())
	}
	t.Logf("%d requests, %d errors, evidence %.0f", c.answers[0].ok.Load()+c.answers[1].ok.Load(), c.answers[1].failed.Load(), r.Evidence)
	if w := s.weights(); w != "blue=100 green=0" {
		t.Errorf("weights %s", w)
	}
	for range 200 {
		if status, colour := s.client.get(t); status != http.StatusOK || colour != "blue" {
			t.Fatalf("%d by %s after the rollback", status, colour)
		}
	}
	metrics := s.call(http.StatusOK, "GET", "/metrics", "")
	for _, want := range []string{`weir_rollout_rollbacks_total{reason="evidence",service="api"} 1`, `weir_rollout_state{service="api",state="rolled_back"} 1`, `weir_rollout_threshold{service="api"} 1000`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if d := s.status().Services[0]; d.Epoch != 2 || d.Rollout == nil || d.Rollout.State != "rolled_back" || d.Rollout.Curve != nil {
		t.Errorf("%+v", d)
	}
	if n := len(r.Timeline); n != 3 || r.Timeline[1].Weight != 500 || r.Timeline[2].State != "rolled_back" || r.Timeline[2].Green.Failed == 0 {
		t.Errorf("timeline %+v", r.Timeline)
	}
	if last := r.Curve[len(r.Curve)-1]; last.EvidenceLog < 3 || last.Failed == 0 {
		t.Errorf("the curve ends with %+v", last)
	}
	s.start("") // over is over: the next one may begin
	s.awaits("under way again", func(r admin.Rollout) bool { return r.State == "running" || r.State == "holding" })
}

// Where nothing can come of asking twice a green that fails everything is not seen by any client.
func TestRolloutHidesErrorsOfReads(t *testing.T) {
	s := openShop(t, `steps = [5, 100], hold = "1h"`, everyNth(1))
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	c := s.ask(50, getOnce)
	r := s.awaits("rolled back", func(r admin.Rollout) bool { return r.State == "rolled_back" })
	c.end()
	if n := c.answers[0].failed.Load() + c.answers[1].failed.Load(); n != 0 {
		t.Errorf("%d clients saw an error", n)
	}
	if r.Green.Failed == 0 {
		t.Errorf("%+v", r)
	}
	if metrics := s.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(metrics, `weir_upstream_retries_total{reason="server_error",service="api"} `) ||
		strings.Contains(metrics, `weir_upstream_retries_total{reason="server_error",service="api"} 0`) {
		t.Error("no retry was counted")
	}
}

const quick = `steps = [50, 100], hold = "50ms", bake = "50ms", min_effect = 0.5, latency = false`

// quickWithProbes is quick for the one test that needs health checks.
const quickWithProbes = quick + ", max_harm = 51"

func TestRolloutPromotes(t *testing.T) {
	s := openShop(t, quick, nil)
	s.start("")
	c := s.ask(20, getOnce)
	r := s.awaits("promoted", func(r admin.Rollout) bool { return r.State == "promoted" })
	c.end()
	if w := s.weights(); w != "blue=0 green=100" || r.Step != 2 || r.Ended == nil || r.By == "" {
		t.Errorf("weights %s, %+v", w, r)
	}
	if n := c.answers[0].failed.Load() + c.answers[1].failed.Load(); n != 0 {
		t.Errorf("%d errors", n)
	}
	if status, colour := s.client.get(t); status != http.StatusOK || colour != "green" {
		t.Errorf("%d by %s", status, colour)
	}
}

// Time alone brings nothing: without requests the first step is the last, and needs says what is missing.
func TestRolloutWithoutTraffic(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "0s", bake = "0s"`, nil)
	s.start("")
	r := s.awaits("a second at the first step", func(r admin.Rollout) bool { return time.Duration(r.Held) >= time.Second })
	if r.State != "holding" || r.Step != 1 || r.Needs < 100 || r.Weight != 5000 {
		t.Errorf("%+v", r)
	}
	if w := s.weights(); w != "blue=50 green=50" {
		t.Errorf("weights %s", w)
	}
}

// A green that is not there is waited for, at no weight.
func TestRolloutWaitsForGreen(t *testing.T) {
	s := openShop(t, quickWithProbes, nil)
	s.green.kill()
	eventually(t, "green is known to be dead", func() bool { return s.status().Services[0].Groups[1].State == "empty" })
	s.start("")
	r := s.awaits("holding", func(r admin.Rollout) bool { return r.State == "holding" })
	if r.Step != 0 || r.Weight != 0 || !strings.Contains(r.Reason, "no live target") {
		t.Errorf("%+v", r)
	}
	s.green.start(t)
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
}

// A green that was healthy when it was last asked, and has gone since, gets nobody: what counts is a probe that the rollout itself has asked for.
func TestRolloutDoubtsWhatItKnew(t *testing.T) {
	s := openShop(t, quickWithProbes, nil)
	s.stop()
	s.running = run(t, s.dir, strings.Replace(rolloutText(s.dir, s.rollout, s.blue.address, s.green.address), `interval = "600ms"`, `interval = "1h"`, 1))
	eventually(t, "green is known to be healthy", func() bool { return s.status().Services[0].Groups[1].Targets[0].State == "healthy" })
	s.green.kill()
	s.start("")
	r := s.awaits("holding", func(r admin.Rollout) bool { return r.State == "holding" })
	if r.Step != 0 || r.Weight != 0 || !strings.Contains(r.Reason, "no live target") {
		t.Errorf("%+v", r)
	}
	eventually(t, "it was asked", func() bool { return s.status().Services[0].Groups[1].State == "empty" })
	s.green.start(t)
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
}

func TestRolloutIsTold(t *testing.T) {
	s := openShop(t, quick, nil)
	const at = "/v1/services/api/rollout"
	s.call(http.StatusNotFound, "GET", at, "")
	s.call(http.StatusNotFound, "DELETE", at, "")
	s.call(http.StatusNotFound, "POST", "/v1/services/nobody/rollout", "")
	for _, bad := range []string{`{"to":"red"}`, `{"steps":[50]}`, `{"steps":[50,5,100]}`, `{"alpha":0}`, `{"to":"blue"}`} {
		s.call(http.StatusUnprocessableEntity, "POST", at, bad)
	}
	s.start(`{"to":"green"}`)
	if out := s.call(http.StatusConflict, "POST", at, ""); !strings.Contains(out, "under way") {
		t.Errorf("a second one: %s", out)
	}
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	s.call(http.StatusOK, "POST", at+"/pause", "", "Weir-Operator", "bob")
	c := s.ask(10, getOnce)
	r := s.awaits("paused past its hold, with all that it needs", func(r admin.Rollout) bool {
		return r.Needs == 0 && time.Duration(r.Held) > time.Second
	})
	c.end()
	if r.Step != 1 || r.State != "holding" || !strings.Contains(r.Reason, "paused by bob") {
		t.Errorf("%+v", r)
	}
	s.call(http.StatusOK, "POST", at+"/resume", "")
	s.awaits("step 2", func(r admin.Rollout) bool { return r.Step == 2 })
	s.call(http.StatusOK, "DELETE", at, "")
	if r := s.now(); r.State != "aborted" || s.weights() != "blue=100 green=0" {
		t.Errorf("aborted: %+v, weights %s", r, s.weights())
	}
	s.call(http.StatusConflict, "POST", at+"/pause", "")
	s.start("")
	s.call(http.StatusOK, "POST", at+"/promote", "")
	if r := s.now(); r.State != "promoted" || s.weights() != "blue=0 green=100" {
		t.Errorf("promoted: %+v, weights %s", r, s.weights())
	}
}

// Who sets weights by hand means them: the rollout is over.
func TestRolloutYieldsToAHand(t *testing.T) {
	s := openShop(t, quick, nil)
	for _, c := range []struct{ method, body, weights, reason string }{
		{"PUT", `{"blue":80,"green":20}`, "blue=80 green=20", "weights were set by ann"},
		{"DELETE", "", "blue=100 green=0", "reset"},
	} {
		s.start("")
		s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
		s.call(http.StatusOK, c.method, "/v1/services/api/weights", c.body, "Weir-Operator", "ann")
		if r := s.now(); r.State != "aborted" || !strings.Contains(r.Reason, c.reason) || s.weights() != c.weights {
			t.Errorf("%+v, weights %s", r, s.weights())
		}
		crowd := s.ask(8, getOnce) // nothing goes on behind its back
		s.call(http.StatusOK, "GET", "/metrics", "")
		crowd.end()
		if w := s.weights(); w != c.weights {
			t.Errorf("weights %s after traffic", w)
		}
		s.call(http.StatusOK, "PUT", "/v1/services/api/weights", `{"blue":100,"green":0}`)
	}
}

// A reload leaves a rollout alone, unless it takes away what is rolled out.
func TestRolloutAndReloads(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, nil)
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	crowd := s.ask(8, getOnce)
	s.awaits("some requests", func(r admin.Rollout) bool { return r.Green.Requests > 20 })
	s.write(rolloutText(s.dir, `steps = [10, 100], hold = "0s"`, s.blue.address, s.green.address))
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	before := s.now()
	after := s.awaits("more requests", func(r admin.Rollout) bool { return r.Green.Requests > before.Green.Requests+20 })
	crowd.end()
	if after.Step != 1 || len(after.Steps) != 2 || after.Steps[0] != 5000 || s.weights() != "blue=50 green=50" {
		t.Errorf("%+v, weights %s", after, s.weights())
	}
	s.write(strings.ReplaceAll(rolloutText(s.dir, quick, s.blue.address, s.green.address), "group.green", "group.red"))
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	if r := s.now(); r.State != "aborted" || !strings.Contains(r.Reason, "configuration has changed") || s.weights() != "blue=100 red=0" {
		t.Errorf("%+v, weights %s", r, s.weights())
	}
}

// A restart goes on where the process before stopped, with what it had learnt.
func TestRolloutSurvivesARestart(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, nil)
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	crowd := s.ask(8, getOnce)
	s.awaits("some requests", func(r admin.Rollout) bool { return r.Green.Requests > 50 })
	crowd.end()
	var last admin.Rollout
	eventually(t, "every request is counted", func() bool {
		n := uint64(crowd.answers[0].ok.Load() + crowd.answers[1].ok.Load())
		last = s.now()
		return last.Green.Requests+last.Others.Requests == n
	})
	s.stop()
	s.running = run(t, s.dir, rolloutText(s.dir, `steps = [50, 100], hold = "1h"`, s.blue.address, s.green.address))
	again := s.now()
	if again.State != "running" || again.Step != 1 || again.Green.Requests != last.Green.Requests || again.Others.Requests != last.Others.Requests || s.weights() != "blue=50 green=50" {
		t.Errorf("%+v, weights %s, before %+v", again, s.weights(), last)
	}
	crowd = s.ask(8, getOnce)
	s.awaits("more requests", func(r admin.Rollout) bool { return r.Green.Requests > last.Green.Requests+20 })
	crowd.end()
	if out := s.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(out, "asked again if green fails") {
		t.Errorf("explain: %s", out)
	}
}

// What a process before left in a state that cannot be gone on with is over, said so, and its weights stay.
func TestRolloutNotResumed(t *testing.T) {
	s := openShop(t, quick, nil)
	s.start(`{"hold":"1h"}`)
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	s.stop()
	path := s.dir + "/state/overlay.json"
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(stored), `"step": 1`, `"step": 77`, 1)
	if broken == string(stored) {
		t.Fatalf("no step in %s", stored)
	}
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	s.running = run(t, s.dir, rolloutText(s.dir, quick, s.blue.address, s.green.address))
	if r := s.now(); r.State != "aborted" || !strings.Contains(r.Reason, "step 77 of 2") || s.weights() != "blue=50 green=50" {
		t.Errorf("%+v, weights %s", r, s.weights())
	}
	s.start(`{"to":"green","steps":[100]}`)
}
