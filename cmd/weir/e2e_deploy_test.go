package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/deploy"
)

// swift is a rollout that is over after some requests.
const swift = "rollout = { steps = [50, 100], hold = \"50ms\", bake = \"50ms\", min_effect = 0.5, latency = false }\n"

// deploying starts weir deploy beside an edge and does not wait for it.
func (e *edge) deploying(args ...string) *process {
	e.t.Helper()
	cmd := exec.Command(filepath.Join(programs(e.t), "weir"), append([]string{"deploy", "api"}, args...)...)
	cmd.Dir, cmd.Env = e.dir, append(os.Environ(), "WEIR_ADMIN=unix://"+e.socket, "USER=ann")
	return start(e.t, cmd)
}

// says waits for a line of progress.
func (p *process) says(words string) {
	p.t.Helper()
	eventually(p.t, time.Minute, "it says "+words, func() bool {
		said := strings.Contains(p.errs.String(), words)
		if !said && !p.running() {
			p.t.Fatalf("ended with %d before it said %q:\n%s%s", p.wait(0), words, p.errs.String(), p.out.String())
		}
		return said
	})
}

// verdict is what weir deploy --json printed: one document, with no field that the schema has not.
func (p *process) verdict() (v deploy.Verdict) {
	p.t.Helper()
	d := json.NewDecoder(strings.NewReader(p.out.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		p.t.Fatalf("%v in %s", err, p.out.String())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		p.t.Fatalf("there is more than one document: %s", p.out.String())
	}
	if v.Schema != deploy.Schema || v.ExitCode != p.cmd.ProcessState.ExitCode() || v.Service != "api" || v.To != "green" || !strings.Contains(v.Command, "weir deploy api --") {
		p.t.Errorf("verdict %+v, exit %d", v, p.cmd.ProcessState.ExitCode())
	}
	return v
}

// visits asks an address from a hundred client addresses in turn, until end, and counts answers of 500 and more.
func visits(t *testing.T, address, path string) (failed *atomic.Int64, end func()) {
	t.Helper()
	failed = &atomic.Int64{}
	var stop atomic.Bool
	var all sync.WaitGroup
	for lane := range 2 {
		all.Go(func() {
			var clients []*http.Client
			for i := range 50 {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 8, byte(lane), byte(1+i))}}
				transport := &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1}
				clients = append(clients, &http.Client{Transport: transport, Timeout: time.Minute})
				defer transport.CloseIdleConnections()
			}
			for i := 0; !stop.Load(); i++ {
				res, err := clients[i%len(clients)].Get("http://" + address + path)
				if err != nil {
					t.Errorf("visit: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body) // what counts is the status
				_ = res.Body.Close()
				if res.StatusCode >= http.StatusInternalServerError {
					failed.Add(1)
				}
			}
		})
	}
	end = sync.OnceFunc(func() {
		stop.Store(true)
		all.Wait()
	})
	t.Cleanup(end)
	return failed, end
}

// deployStage is weir in front of two colours of this process.
func deployStage(t *testing.T, settings string) (*edge, conf) {
	t.Helper()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.service = settings
	return run(t, dir, c), c
}

func TestE2EDeployPromotes(t *testing.T) {
	t.Parallel()
	e, c := deployStage(t, sureHealth+swift)
	failed, end := visits(t, e.address("http"), "/")
	file := filepath.Join(e.dir, "evidence.md")
	p := e.deploying("--to", "green="+c.greens[0], "--wait", "--json", "--evidence", file)
	if code := p.wait(2 * time.Minute); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	end()
	v := p.verdict()
	if v.Word != deploy.Promoted || v.Weights["green"] != 10000 || len(v.Steps) != 2 || v.Steps[0].Weight != 5000 || v.Group.Requests == 0 || v.Others.Requests == 0 || v.Group.Failed != 0 {
		t.Errorf("verdict %+v", v)
	}
	if sum := v.Steps[0].Group.Requests + v.Steps[1].Group.Requests; v.Steps[0].Group.Requests == 0 || sum > v.Group.Requests {
		t.Errorf("steps of %d requests in %d: %+v", sum, v.Group.Requests, v.Steps)
	}
	if n := failed.Load(); n != 0 {
		t.Errorf("%d visits failed", n)
	}
	for _, words := range []string{"green is healthy: " + c.greens[0], "step 1 of 2, weight 50 %", "promoted, step 2 of 2"} {
		if !strings.Contains(p.errs.String(), words) {
			t.Errorf("progress without %q:\n%s", words, p.errs.String())
		}
	}
	b, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(b), "## Deploy of green to service api: promoted") || !strings.Contains(string(b), "| 50 % |") {
		t.Errorf("evidence: %v\n%s", err, b)
	}
	e.stop()
}

// faultyAPI runs the bundled API, which fails so large a part of its requests.
func faultyAPI(t *testing.T, dir, colour, errors string) (address string) {
	t.Helper()
	address = freeAddress(t)
	cmd := exec.Command(filepath.Join(programs(t), "valor-api"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VALOR_ENV=demo", "VALOR_ADDRESS="+address, "VALOR_COLOR="+colour, "VALOR_DATABASE=file:"+filepath.Join(dir, colour+".db"),
		"VALOR_JWT_SECRET="+strings.Repeat("s", 64), "VALOR_FAULT_ERRORS="+errors)
	start(t, cmd)
	return address
}

func TestE2EDeployRollsBack(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, faultyAPI(t, dir, "blue", "0"), faultyAPI(t, dir, "green", "0.8"))
	c.service = strings.Replace(quickHealth, "/ready", "/api/readiness", 1) + "retry = { attempts = 2, budget = 1.0 }\nrollout = { steps = [10, 100], hold = \"1h\", latency = false }\n"
	e := run(t, dir, c)
	eventually(t, time.Minute, "blue is healthy", func() bool { return e.status().Services[0].Groups[0].Targets[0].State == "healthy" })
	failed, end := visits(t, e.address("http"), "/api/financial-data/AAPL")
	file := filepath.Join(dir, "evidence.md")
	p := e.deploying("--to", "green", "--wait", "--json", "--evidence", file)
	if code := p.wait(3 * time.Minute); code != exitRolledBack {
		t.Fatalf("exit %d", code)
	}
	end()
	v := p.verdict()
	if v.Word != deploy.RolledBack || v.Cause == "" || v.Reason == "" || v.Weights["blue"] != 10000 || v.Group.Failed == 0 || v.Others.Failed != 0 || len(v.Steps) != 1 {
		t.Errorf("verdict %+v", v)
	}
	if n := failed.Load(); n != 0 { // every one was a read, which blue was asked for
		t.Errorf("%d visits failed", n)
	}
	b, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(b), "rolled back") || !strings.Contains(string(b), "Evidence against green") || !strings.Contains(string(b), "--evidence=") {
		t.Errorf("evidence: %v\n%s", err, b)
	}
	e.stop()
	measured(t, "weir deploy --wait of a green that fails 80 % of its requests", "exit %d after %.1f s by %s, green failed %d of %d, clients saw none of it", v.ExitCode, v.Seconds, v.Cause,
		v.Group.Failed, v.Group.Requests)
}

func TestE2EDeployNeverHealthy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, freeAddress(t))
	c.service = quickHealth + swift
	e := run(t, dir, c)
	for _, s := range []struct{ to, says string }{
		{"green", c.greens[0] + " is un"}, // unhealthy, or not yet known to be
		{"green=127.0.0.1:1", "its targets are " + c.greens[0] + ", not 127.0.0.1:1: name them in the configuration"},
	} {
		p := e.deploying("--to", s.to, "--wait", "--json", "--healthy-timeout", "2s", "--evidence", "evidence.md")
		if code := p.wait(time.Minute); code != exitTimedOut {
			t.Fatalf("exit %d", code)
		}
		if v := p.verdict(); v.Word != deploy.Unhealthy || !strings.Contains(v.Reason, s.says) || v.Started != nil {
			t.Errorf("%+v", v)
		}
		if !strings.Contains(p.errs.String(), "waiting for green, 2s at most") {
			t.Errorf("progress:\n%s", p.errs.String())
		}
	}
	e.call(http.StatusNotFound, "GET", "/v1/services/api/rollout", "")
	if s := e.status().Services[0]; s.Weights()["blue"] != 10000 || s.Overlay != nil {
		t.Errorf("weights %v, overlay %+v: nothing was to be begun", s.Weights(), s.Overlay)
	}
	if p := e.deploying("--to", "red", "--wait"); p.wait(time.Minute) != exitInvalid || !strings.Contains(p.errs.String(), `no group "red"`) {
		t.Errorf("exit %d: %s", p.wait(0), p.errs.String())
	}
	if p := e.deploying("--to", "green", "--wait", "--evidence", "no/such/folder.md"); p.wait(time.Minute) != exitInvalid || !strings.Contains(p.errs.String(), "evidence: ") {
		t.Errorf("exit %d: %s", p.wait(0), p.errs.String())
	}
	e.stop()
}

func TestE2EDeployWithoutTraffic(t *testing.T) {
	t.Parallel()
	e, _ := deployStage(t, sureHealth+swift)
	if p := e.deploying("--to", "green"); p.wait(time.Minute) != exitOK {
		t.Fatalf("exit %d", p.wait(0))
	}
	eventually(t, time.Minute, "the rollout holds at its first step", func() bool {
		_, body := e.call(http.StatusOK, "GET", "/v1/services/api/rollout", "")
		return strings.Contains(body, `"state":"holding"`) && strings.Contains(body, `"step":1`)
	})
	p := e.deploying("--to", "green", "--wait", "--json", "--wait-timeout", "3s")
	if code := p.wait(time.Minute); code != exitTimedOut {
		t.Fatalf("exit %d", code)
	}
	if v := p.verdict(); v.Word != deploy.TimedOut || v.Started == nil || v.Ended != nil || v.Weights["green"] != 5000 || !strings.Contains(v.Reason, "it goes on") {
		t.Errorf("verdict %+v", v)
	}
	if _, body := e.call(http.StatusOK, "GET", "/v1/services/api/rollout", ""); !strings.Contains(body, `"state":"holding"`) {
		t.Errorf("the rollout does not go on: %s", body)
	}
	e.must("rollout", "api", "abort")
	e.stop()
}

// TestE2EDeployKill kills weir while a deploy follows a rollout: the next process goes on with it, and so does the command.
func TestE2EDeployKill(t *testing.T) {
	t.Parallel()
	e, _ := deployStage(t, sureHealth+swift)
	p := e.deploying("--to", "green", "--wait", "--json")
	for range count(2, 10) {
		p.says("step 1 of 2")
		e.signal(syscall.SIGKILL)
		e.wait(time.Minute)
		p.says("weir does not answer")
		e = launch(t, e.dir, e.config)
		e.ready()
		p.says("weir answers again")
		p.errs.clear()
		eventually(t, time.Minute, "the rollout goes on", func() bool {
			_, body := e.call(http.StatusOK, "GET", "/v1/services/api/rollout", "")
			return strings.Contains(body, `"step":1`)
		})
		p.tellAgain(t, e)
	}
	_, end := visits(t, e.address("http"), "/")
	if code := p.wait(2 * time.Minute); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	end()
	if v := p.verdict(); v.Word != deploy.Promoted || v.Weights["green"] != 10000 {
		t.Errorf("verdict %+v", v)
	}
	e.stop()
}

// clear forgets what was written so far.
func (o *text) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}

// tellAgain makes the rollout be told of anew: by a pause and a resume.
func (p *process) tellAgain(t *testing.T, e *edge) {
	t.Helper()
	e.must("rollout", "api", "pause")
	p.says("paused by ann")
	p.errs.clear()
	e.must("rollout", "api", "resume")
}

func TestE2EDeployIsLeft(t *testing.T) {
	t.Parallel()
	e, _ := deployStage(t, sureHealth+swift)
	p := e.deploying("--to", "green", "--wait", "--json", "--evidence", "evidence.md")
	p.says("step 1 of 2")
	p.signal(syscall.SIGINT)
	p.says("weir rollout api abort")
	p.signal(syscall.SIGINT)
	if code := p.wait(time.Minute); code != 128+int(syscall.SIGINT) {
		t.Fatalf("exit %d", code)
	}
	if v := p.verdict(); v.Word != deploy.Interrupted || v.Started == nil || !strings.Contains(v.Reason, "goes on") {
		t.Errorf("verdict %+v", v)
	}
	again := e.deploying("--to", "green", "--wait", "--json")
	again.says("following that one")
	again.says("step 1 of 2")
	again.signal(syscall.SIGTERM)
	if code := again.wait(time.Minute); code != 128+int(syscall.SIGTERM) {
		t.Fatalf("exit %d", code)
	}
	busy := e.deploying("--to", "green", "--steps", "10,100", "--wait")
	if code := busy.wait(time.Minute); code != exitInvalid || !strings.Contains(busy.errs.String(), "a rollout to green is under way") {
		t.Errorf("exit %d: %s", code, busy.errs.String())
	}
	third := e.deploying("--to", "green", "--wait", "--json")
	third.says("step 1 of 2")
	e.must("rollout", "api", "abort")
	if code := third.wait(time.Minute); code != exitRolledBack {
		t.Fatalf("exit %d", code)
	}
	if v := third.verdict(); v.Word != deploy.Aborted || !strings.Contains(v.Reason, "aborted by ann") || v.Weights["blue"] != 10000 {
		t.Errorf("verdict %+v", v)
	}
	fourth := e.deploying("--to", "green", "--json") // not waited for
	if code := fourth.wait(time.Minute); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	if v := fourth.verdict(); v.Word != deploy.Started {
		t.Errorf("verdict %+v", v)
	}
	e.must("weights", "api", "reset")
	e.stop()
	measured(t, "Ctrl-C at weir deploy --wait", "the first says what goes on, the second leaves with 130; the rollout runs on and the same command follows it")
}
