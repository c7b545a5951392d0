package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// statuses asks so often, each time on a connection of its own, and gives the statuses as they came.
func (l *lineage) statuses(path string, n int) (list []int) {
	l.t.Helper()
	at := l.address("http")
	for range n {
		k := dialKept(l.t, at)
		res, _, err := k.do("GET", path, "")
		_ = k.conn.Close()
		if res == nil {
			l.t.Fatal(err)
		}
		list = append(list, res.StatusCode)
	}
	return list
}

// replaced replaces the process and waits for the end of the one before: until its listeners are closed, a moment after the new one serves, it accepts too, and decides by what it knows itself.
func (l *lineage) replaced() {
	l.t.Helper()
	l.upgrade()
	l.over()
}

// said waits for words in a log, which is written to some time after.
func (l *lineage) said(log, words string) {
	l.t.Helper()
	eventually(l.t, 0, "the log says "+words, func() bool {
		b, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(b), words)
	})
}

// refusing is a target that fails every request, and counts them.
func refusing(t *testing.T) (address string, asked func() int64) {
	t.Helper()
	b := newBackend(t, "never")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.served.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "no")
	})}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-ended })
	return l.Addr().String(), b.served.Load
}

// TestE2EUpgradeRemembers: what a process knows of clients and targets by their requests alone, the one that replaces it knows too, and the one after that: a client that has used up its burst stays limited, a
// target that was ejected stays out. A process that cannot read it serves all the same, and says so.
func TestE2EUpgradeRemembers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	bad, asked := refusing(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.blues = append(c.blues, bad)
	c.listeners += "[limit.few]\nkey = \"client_ip\"\nrate = \"1/h\"\nburst = 5\n"
	c.routes = "[[route]]\nname = \"few\"\npath = \"/few\"\nlimits = [\"few\"]\nservice = \"api\"\n" + c.routes
	// Five minutes is the longest that a target is out.
	c.service = "balance = \"round_robin\"\nejection = { consecutive = 0, error_ratio = 0.5, window = \"60s\", base = \"1h\", max_ejected = 0.5 }\nretry = { attempts = 1 }\n"
	l := founded(t, dir, c.String(), nil).begin()
	eventually(t, 0, "the target that fails is ejected", func() bool {
		l.statuses("/", 20)
		return l.number(fmt.Sprintf(`weir_upstream_ejections_total{group="blue",reason="error_ratio",service="api",target=%q}`, bad)) == 1
	})
	until := l.ejected(bad)
	if until == nil {
		t.Fatal("status says nothing of the ejection")
	}
	if got := l.statuses("/few", 3); slices.Contains(got, http.StatusTooManyRequests) {
		t.Fatalf("the first three of five: %v", got)
	}
	for i, want := range [][]int{{200, 200, 429}, {429}, {429}} {
		l.replaced()
		if again := l.ejected(bad); again == nil || again.Sub(*until).Abs() > 10*time.Second {
			t.Errorf("upgrade %d: ejected until %v, was %v", i, again, until)
		}
		before := asked()
		if got := l.statuses("/", 20); slices.Contains(got, http.StatusInternalServerError) || asked() != before {
			t.Errorf("upgrade %d: the ejected target was asked %d times: %v", i, asked()-before, got)
		}
		if got := l.statuses("/few", len(want)); !slices.Equal(got, want) {
			t.Errorf("upgrade %d: a client that has used up its burst got %v, want %v", i, got, want)
		}
	}
	// The other state folder has another secret: nothing of the limits can be understood there.
	replace(t, l.config, strings.Replace(c.String(), "state_dir = \"state\"", "state_dir = \"elsewhere\"", 1))
	l.replaced()
	if got := l.statuses("/few", 6); !slices.Equal(got, []int{200, 200, 200, 200, 200, 429}) {
		t.Errorf("with another secret: %v", got)
	}
	l.said(l.log, "limits begin anew")
	l.end()
	measured(t, "upgrades with a client at its limit and a target ejected", "4 upgrades: 429 and out as before; with another state_dir the limit begins anew and the log says so")
}

// TestE2EUpgradeRemembersPace: a target that is in its slow start goes on in it, and the limit on requests at a time that was found for a target is in force from the first request of the next process on.
func TestE2EUpgradeRemembersPace(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	old, young := newBackend(t, "blue"), newBackend(t, "blue")
	c := newConf(dir, old.address, newBackend(t, "green").address)
	c.service = "balance = \"round_robin\"\nslow_start = \"1h\"\nresponse_timeout = \"10ms\"\nejection = { max_ejected = 0 }\nretry = { attempts = 1 }\nadaptive_concurrency = { min = 2 }\n"
	l := founded(t, dir, c.String(), nil).begin()
	c.blues = append(c.blues, young.address)
	replace(t, l.config, c.String())
	l.must("reload")
	limit := func() int64 {
		return l.number(fmt.Sprintf(`weir_upstream_concurrency_limit{group="blue",service="api",target=%q}`, old.address))
	}
	slow := errand{"GET", fmt.Sprintf("/?ms=%d", held), "", ""}
	client, url := &http.Client{Timeout: time.Minute}, "http://"+l.address("http")+slow.path
	first := limit()
	eventually(t, 0, "a target that answers nothing in time is given less", func() bool {
		var all sync.WaitGroup
		for range first {
			all.Go(func() {
				for range 10 {
					if res, err := slow.over(client, url); res == nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		return limit() < first
	})
	client.CloseIdleConnections() // which the process that is replaced would wait for
	for i := range 3 {
		if i > 0 {
			before := limit()
			l.replaced()
			if got := limit(); got != before {
				t.Errorf("upgrade %d: the limit is %d, was %d", i, got, before)
			}
		}
		before := young.served.Load()
		l.statuses("/", 100)
		if got := young.served.Load() - before; got > 25 { // a twentieth of the other's, which no slow start would make a half of all
			t.Errorf("after %d upgrades the young target served %d of 100", i, got)
		}
	}
	l.end()
	measured(t, "upgrades with a target in its slow start and another that was found slow", "2 upgrades: a twentieth of the traffic and the limit as before")
}

// ejected is until when a target is out, nil when it is not.
func (l *lineage) ejected(address string) *time.Time {
	for _, g := range l.status().Services[0].Groups {
		for _, t := range g.Targets {
			if t.Address == address {
				return t.EjectedUntil
			}
		}
	}
	return nil
}

// TestE2EUpgradeRollout: a rollout goes on over upgrades: its step and since when, what it has counted, the evidence, who began it and the epoch of the assignment; it is counted on in the last process, and ended there.
func TestE2EUpgradeRollout(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	bad, _ := refusing(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.greens = append(c.greens, newBackend(t, "green").address, bad) // a third of its answers are 500s: too few to be taken back for at once
	c.service = "balance = \"round_robin\"\nejection = { max_ejected = 0 }\nretry = { attempts = 1 }\nrollout = { steps = [50, 100], hold = \"1h\", bake = \"0s\", latency = false, max_harm = 10000, alpha = 1e-6, warm_up = \"0s\" }\n"
	l := founded(t, dir, c.String(), nil).begin()
	now := func() (r admin.Rollout) {
		t.Helper()
		_, body := l.call(http.StatusOK, "GET", "/v1/services/api/rollout", "")
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	asked := uint64(0)
	// ask sends requests and waits until the rollout has counted every one of them.
	ask := func(n int) admin.Rollout {
		t.Helper()
		l.statuses("/", n)
		asked += uint64(n)
		eventually(t, 0, "every request is counted", func() bool { r := now(); return r.Green.Requests+r.Others.Requests == asked })
		return now()
	}
	l.call(http.StatusOK, "POST", "/v1/services/api/rollout", `{"to":"green"}`, "X-Weir-Operator", "ann")
	eventually(t, 0, "the first step", func() bool { return now().Step == 1 })
	before, epoch := ask(20), l.status().Services[0].Epoch
	if before.Green.Failed == 0 || before.Evidence <= 1 {
		t.Fatalf("nothing speaks against green yet: %+v", before)
	}
	for i := range 3 {
		l.replaced()
		eventually(t, 0, "the rollout goes on", func() bool { return now().Step == 1 })
		after := now()
		if after.State != "running" || after.To != "green" || after.Weight != before.Weight || after.By != before.By || !after.Started.Equal(before.Started) ||
			after.Green != before.Green || after.Others != before.Others || after.Evidence != before.Evidence || after.Held < before.Held || len(after.Timeline) != len(before.Timeline) {
			t.Fatalf("upgrade %d:\n%+v, was\n%+v", i, after, before)
		}
		if got := l.status().Services[0].Epoch; got != epoch {
			t.Fatalf("upgrade %d: epoch %d, was %d", i, got, epoch)
		}
		before = ask(4)
	}
	l.must("rollout", "api", "promote")
	l.upgrade()
	if r := now(); r.State != "promoted" || r.Green.Requests < before.Green.Requests || l.status().Services[0].Weights()["green"] != 10000 {
		t.Errorf("after its end: %+v", r)
	}
	l.end()
	measured(t, "upgrades during a rollout", "3 upgrades: step, counts, evidence and epoch as before, and counted on; promoted in the last, and still so in the one after it")
}

// TestE2EUpgradeUnconfirmed: a configuration that may yet be taken back is not made to stay by an upgrade: that is refused until it is confirmed or gone.
func TestE2EUpgradeUnconfirmed(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	text := upgradeConf(t, dir).String()
	l := founded(t, dir, text, nil).begin()
	change := func(kib string) {
		t.Helper()
		replace(t, l.config, strings.Replace(text, "[[route]]\n", "[[route]]\nmax_body = \""+kib+"KiB\"\n", 1))
		l.must("reload", "--confirm", "1h")
	}
	refused := func() {
		t.Helper()
		if out, code := l.verb("upgrade"); code != 1 || !strings.Contains(out, "a reload waits to be confirmed") {
			t.Errorf("exit %d: %s", code, out)
		}
		if s := l.status(); s.PID != l.now() || s.Config.Unconfirmed == nil {
			t.Errorf("%+v", s)
		}
	}
	change("10")
	refused()
	l.said(filepath.Join(dir, "access.log"), "upgrade refused")
	l.must("reload", "confirm")
	l.upgrade()
	change("20")
	refused()
	l.must("reload", "revert")
	replace(t, l.config, text)
	l.upgrade()
	l.end()
	measured(t, "upgrade while a reload waits to be confirmed", "refused with exit 1 and what to do; done after confirm, and after revert")
}
