package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killable is an edge before two colours that are processes of their own.
type killable struct {
	*edge
	blueAt, greenAt string
	blue            *process
}

func twoProcesses(t *testing.T, service string) *killable {
	t.Helper()
	dir := folder(t)
	k := &killable{blueAt: freeAddress(t), greenAt: freeAddress(t)}
	k.blue = colourProcess(t, "blue", k.blueAt)
	colourProcess(t, "green", k.greenAt)
	c := newConf(dir, k.blueAt, k.greenAt).weights(50)
	c.service = service
	k.edge = run(t, dir, c)
	return k
}

// state is what the edge thinks of blue.
func (k *killable) state() string {
	k.t.Helper()
	for _, g := range k.status().Services[0].Groups {
		if g.Name == "blue" {
			return g.Targets[0].State
		}
	}
	return ""
}

const quickHealth = "health = { path = \"/ready\", interval = \"1s\", timeout = \"1s\", rise = 2, fall = 2 }\n"

// hanging is what a request waits for an upstream that hangs. Others must never come near it, even where the machine stands still for some seconds while they are answered.
func hanging() time.Duration {
	if acceptance() {
		return 3 * time.Second
	}
	return 8 * time.Second
}

// sureHealth finds out who refuses, and takes nobody else for dead who is only slow.
const sureHealth = "health = { path = \"/ready\", interval = \"30s\", timeout = \"30s\", rise = 1, fall = 1 }\n"

// TestE2EKill kills blue again and again under load: not one GET or small PUT may fail, and blue is used again soon after it is back.
func TestE2EKill(t *testing.T) {
	t.Parallel()
	k := twoProcesses(t, quickHealth)
	address := k.address("http")
	traffic := newLoad(t, address, 4, "GET", "PUT")
	n := count(3, 20)
	var slowest time.Duration
	for range n {
		traffic.after(100)
		k.blue.signal(syscall.SIGKILL)
		k.blue.wait(40 * time.Second)
		traffic.after(100)
		eventually(t, 10*time.Second, "blue is seen to be gone", func() bool { return k.state() == "unhealthy" })
		traffic.after(50)
		k.blue = colourProcess(t, "blue", k.blueAt)
		back := eventually(t, 10*time.Second, "blue is healthy again", func() bool { return k.state() == "healthy" })
		used := eventually(t, 5*time.Second, "blue serves again", func() bool {
			res, err := http.Get("http://" + address + "/back")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			return res.Header.Get("X-Color") == "blue"
		})
		slowest = max(slowest, back+used)
	}
	requests := traffic.stop()
	if slowest > promised(2*time.Second) {
		t.Errorf("blue was used again only %s after it answered: probes every 350 ms and two passes make it about 1 s", slowest)
	}
	k.stop()
	measured(t, "kill -9 of blue under load at 50/50", "%d kills, %d GETs and PUTs, 0 failed, slowest %s; blue used again at most %s after it listens",
		n, requests, time.Duration(traffic.longest.Load()).Round(time.Millisecond), slowest.Round(10*time.Millisecond))
}

// patientHealth takes a target that hangs for dead after no less than four seconds: long enough for the first requests to get there before.
const patientHealth = "health = { path = \"/ready\", interval = \"4s\", timeout = \"4s\", rise = 1, fall = 1 }\n"

// TestE2EHang stops blue without closing anything: requests on it end at response_timeout, later ones do not go there.
func TestE2EHang(t *testing.T) {
	t.Parallel()
	k := twoProcesses(t, patientHealth+fmt.Sprintf("response_timeout = \"%s\"\n", hanging()))
	address := k.address("http")
	before := dialKept(t, address) // so that connections to blue exist
	for range 20 {
		if _, _, err := before.do("GET", "/", ""); err != nil {
			t.Fatal(err)
		}
	}
	k.blue.signal(syscall.SIGSTOP)
	var slowest time.Duration
	late := 0
	client := &http.Client{Timeout: time.Minute}
	for from := time.Now(); k.state() != "unhealthy"; {
		if time.Since(from) > time.Minute {
			t.Fatal("blue hangs and is still called healthy")
		}
		begin := time.Now()
		res, err := client.Get("http://" + address + "/hang")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		slowest = max(slowest, time.Since(begin))
		switch res.StatusCode {
		case http.StatusOK:
		case http.StatusGatewayTimeout:
			late++
		default:
			t.Fatalf("%s from a hanging upstream", res.Status)
		}
	}
	if late == 0 || slowest > promised(hanging()+1500*time.Millisecond) {
		t.Errorf("%d timeouts, slowest %s; response_timeout is %s", late, slowest, hanging())
	}
	traffic := newLoad(t, address, 2, "GET", "PUT")
	traffic.after(200)
	traffic.stop()
	k.blue.signal(syscall.SIGCONT)
	eventually(t, 10*time.Second, "blue is healthy again", func() bool { return k.state() == "healthy" })
	k.stop()
	measured(t, fmt.Sprintf("SIGSTOP of blue at 50/50, response_timeout %s", hanging()), "%d requests answered 504, slowest %s, none after the probes saw it", late, slowest.Round(10*time.Millisecond))
}

// TestE2EDeadGroup: with everybody dead the answer is a quick 502 or 503, explain says why, and metrics have it.
func TestE2EDeadGroup(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, freeAddress(t), newBackend(t, "green").address)
	c.service = sureHealth + "when_none_healthy = \"reject\"\n"
	e := run(t, dir, c)
	res, err := http.Get("http://" + e.address("http") + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v: green has weight 0 and must not be used", res.Status, res.Header)
	}
	out := e.must("explain", "http://x/")
	for _, want := range []string{"group blue empty", "unhealthy", "503"} {
		if !strings.Contains(out, want) {
			t.Errorf("explain does not say %q:\n%s", want, out)
		}
	}
	if up := e.metric(`weir_upstream_up{group="blue",service="api",target="` + c.blues[0] + `"}`); up != "0" {
		t.Errorf("weir_upstream_up %q", up)
	}
	for rule, want := range map[string]string{"other": "the others take 60 % of blue", "fail": "60 % of blue answered 503"} {
		half := c.weights(60)
		half.service += "when_empty = \"" + rule + "\"\n"
		replace(t, e.config, half.String())
		e.must("reload")
		if out := e.must("explain", "http://x/"); !strings.Contains(out, want) {
			t.Errorf("when_empty = %s: explain does not say %q:\n%s", rule, want, out)
		}
		codes := map[int]int{}
		k := dialKept(t, e.address("http"))
		for range 100 {
			res, _, err := k.do("GET", "/", "")
			if err != nil {
				t.Fatal(err)
			}
			codes[res.StatusCode]++
		}
		if rule == "other" && codes[200] != 100 || rule == "fail" && (codes[200] != 40 || codes[503] != 60) {
			t.Errorf("when_empty = %s with blue dead at 60 %%: %v", rule, codes)
		}
	}
	e.stop()
}
