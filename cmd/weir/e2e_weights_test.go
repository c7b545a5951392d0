package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func weighted(t *testing.T) (*edge, conf) {
	t.Helper()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	return run(t, dir, c), c
}

// shares sends n requests one after another and counts the colours, calling between after each.
func (e *edge) shares(t *testing.T, n int, between func(i int)) map[string]int {
	t.Helper()
	k := dialKept(t, e.address("http"))
	colours := map[string]int{}
	for i := range n {
		res, body, err := k.do("GET", "/", "")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v %s", res, err, body)
		}
		colours[res.Header.Get("X-Color")]++
		if between != nil {
			between(i)
		}
	}
	return colours
}

func TestE2EWeightsExact(t *testing.T) {
	t.Parallel()
	e, c := weighted(t)
	e.shares(t, 37, nil) // a block of 100 is begun under other weights
	e.must("weights", "api", "blue=30", "green=70")
	n := count(200, 5000)
	reloads := 0
	got := e.shares(t, n, func(i int) {
		if i%17 == 0 { // reloads in the middle of blocks
			replace(t, e.config, strings.Replace(c.String(), "[[route]]\n", fmt.Sprintf("[[route]]\nmax_body = \"%dKiB\"\n", i+1), 1))
			e.call(http.StatusOK, "POST", "/v1/reload", "")
			reloads++
		}
	})
	if got["blue"] != n*30/100 || got["green"] != n*70/100 {
		t.Errorf("30/70 over %d requests: %v", n, got)
	}
	if d := e.status().Services[0].Groups; *d[0].ObservedShare != 30 || d[0].ObservedOf != uint64(n) {
		t.Errorf("observed %v of %d", *d[0].ObservedShare, d[0].ObservedOf)
	}
	e.stop()
	measured(t, "30/70 over sequential requests, with reloads between them", "%d requests, %d reloads: blue %d, green %d", n, reloads, got["blue"], got["green"])
}

func TestE2EWeightsConflict(t *testing.T) {
	t.Parallel()
	e, _ := weighted(t)
	h, _ := e.call(200, "GET", "/v1/services/api", "")
	tag := h.Get("ETag")
	e.call(200, "PUT", "/v1/services/api/weights", `{"blue":75,"green":25}`, "If-Match", tag)
	e.call(http.StatusPreconditionFailed, "PUT", "/v1/services/api/weights", `{"blue":10,"green":90}`, "If-Match", tag)
	for _, bad := range []string{`{"blue":75}`, `{"blue":75,"green":24}`, `{"blue":-1,"green":101}`, `{"blue":75,"green":25,"red":0}`, `{}`} {
		e.call(http.StatusUnprocessableEntity, "PUT", "/v1/services/api/weights", bad)
	}
	e.call(http.StatusBadRequest, "PUT", "/v1/services/api/weights", `{"blue":`)
	e.call(http.StatusNotFound, "PUT", "/v1/services/nobody/weights", `{"blue":75,"green":25}`)
	if w := e.status().Services[0].Weights(); w["blue"] != 7500 {
		t.Errorf("weights %v after refused writes", w)
	}
	// Many writers that read first: exactly one of those that read the same state wins.
	h, _ = e.call(200, "GET", "/v1/services/api", "")
	tag = h.Get("ETag")
	var won, lost atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			switch status, _, body := e.try("PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, i, 100-i), "If-Match", tag); status {
			case http.StatusOK:
				won.Add(1)
			case http.StatusPreconditionFailed:
				lost.Add(1)
			default:
				t.Errorf("%d %s", status, body)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 15 {
		t.Errorf("%d writers won, %d lost", won.Load(), lost.Load())
	}
	e.stop()
	measured(t, "16 writers with the same If-Match", "1 wins, 15 get 412")
}

// TestE2EOverlayKill kills weir right after the answer to a write: the weights are in force after the restart, and everybody is told.
func TestE2EOverlayKill(t *testing.T) {
	t.Parallel()
	e, c := weighted(t)
	n := count(5, 50)
	for i := range n {
		blue := 1 + i%99
		e.call(200, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, blue, 100-blue), "X-Weir-Operator", "ann")
		e.signal(syscall.SIGKILL)
		e.wait(40 * time.Second)
		e = launch(t, e.dir, e.config)
		e.ready()
		if w := e.status().Services[0].Weights(); int(w["blue"]) != blue*100 {
			t.Fatalf("kill %d: weights %v, want blue %d", i, w, blue)
		}
		e.overlaySaid(t, fmt.Sprintf("service api: file 100/0, overlay %d/%d since", blue, 100-blue))
	}
	if got := e.shares(t, 100, nil); got["blue"] != 1+(n-1)%99 {
		t.Errorf("shares %v", got)
	}
	e.must("weights", "api", "reset")
	if out := e.must("status"); strings.Contains(out, "overlay") {
		t.Errorf("after reset:\n%s", out)
	}
	e.must("weights", "api", "blue=40", "green=60")
	renamed := strings.ReplaceAll(c.String(), "group.green", "group.red")
	replace(t, e.config, renamed)
	out := e.must("reload")
	for _, said := range []string{out, e.must("status"), e.must("check", "-c", e.config)} {
		if !strings.Contains(said, "void") || !strings.Contains(said, "red") {
			t.Errorf("nobody says that the overlay is void:\n%s", said)
		}
	}
	if w := e.status().Services[0].Weights(); w["blue"] != 10000 || w["red"] != 0 {
		t.Errorf("weights %v with a void overlay", w)
	}
	replace(t, e.config, c.String())
	e.must("reload")
	if w := e.status().Services[0].Weights(); w["blue"] != 4000 {
		t.Errorf("weights %v, want the overlay's: its groups are back", w)
	}
	e.stop()
	measured(t, "kill -9 right after the 200 to a PUT of weights", "%d kills, %d times the new weights in force after the restart; status and check say so", n, n)
}

func (e *edge) overlaySaid(t *testing.T, want string) {
	t.Helper()
	for verb, out := range map[string]string{"status": e.must("status"), "weights": e.must("weights", "api"), "check": e.must("check", "-c", e.config), "reload": e.must("reload")} {
		if !strings.Contains(out, want) {
			t.Errorf("weir %s does not say %q:\n%s", verb, want, out)
		}
	}
}

func TestE2EOverlayUnreadable(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"truncated": `{"version":1,"services":{"api":{"weights":{"blue":40`, "empty": "", "newer": `{"version":99,"services":{}}`, "no object": "[]", "binary": "\x00\xff",
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "state", "overlay.json")
			save(t, path, content)
			c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
			e := run(t, dir, c)
			if w := e.status().Services[0].Weights(); w["blue"] != 10000 {
				t.Errorf("weights %v, want the file's", w)
			}
			if out := e.must("status"); !strings.Contains(out, "set aside") {
				t.Errorf("status does not say it:\n%s", out)
			}
			aside, err := os.ReadFile(path + ".unreadable")
			if err != nil || string(aside) != content {
				t.Errorf("the file was not kept: %v %q", err, aside)
			}
			eventually(t, 5*time.Second, "the log says it", func() bool { return strings.Contains(e.out.String(), "overlay was set aside") })
			e.must("weights", "api", "blue=60", "green=40")
			e.stop()
		})
	}
}

func TestE2EExplain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.routes = "[[route]]\nname = \"shop\"\nhost = [\"shop.test\"]\npath = \"/api\"\nservice = \"api\"\n"
	c.service = quickHealth
	e := run(t, dir, c)
	e.must("weights", "api", "blue=25", "green=75")
	for _, q := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"http://shop.test/api/x"}, []string{"route shop chosen", "group blue live", "25 %", "overlay", "ann", "=> forwarded to api"}},
		{[]string{"http://other.test/api"}, []string{"=> 404", "other.test"}},
		{[]string{"http://shop.test/elsewhere"}, []string{"=> 404 no route"}},
		{[]string{"http://shop.test/api/a/../b"}, []string{"path /api/b", "=> forwarded"}},
		{[]string{"TRACE", "http://shop.test/api"}, []string{"=> 405"}},
	} {
		out := e.must(append([]string{"explain"}, q.args...)...)
		for _, want := range q.wants {
			if !strings.Contains(out, want) {
				t.Errorf("explain %v does not say %q:\n%s", q.args, want, out)
			}
		}
	}
	if out, code := e.verb("explain", "/only/a/path"); code == 0 {
		t.Errorf("explain of a path alone: exit 0\n%s", out)
	}
	e.stop()
}

// TestE2EAdminToken reaches an admin API on TCP that wants a token.
func TestE2EAdminToken(t *testing.T) {
	t.Parallel()
	dir, at := folder(t), freeAddress(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.admin = fmt.Sprintf("address = %q\ntoken = \"${E2E_TOKEN:-secret-token}\"\nstate_dir = \"state\"\n", at)
	config := filepath.Join(dir, "weir.toml")
	save(t, config, c.String())
	e := launch(t, dir, config)
	e.admin, e.base, e.token = &http.Client{Timeout: 60 * time.Second}, "http://"+at, "secret-token"
	e.ready()
	e.must("status")
	e.token = "wrong"
	if out, code := e.verb("status"); code != 1 || !strings.Contains(out, "token") {
		t.Errorf("wrong token: exit %d %s", code, out)
	}
	e.token = ""
	if status, _, _ := e.try("GET", "/v1/status", ""); status != http.StatusUnauthorized {
		t.Errorf("no token: %d", status)
	}
	e.token = "secret-token"
	_, view := e.call(200, "GET", "/v1/config", "")
	if strings.Contains(view, "secret-token") {
		t.Errorf("the configuration shows the token: %s", view)
	}
	save(t, config, strings.Replace(c.String(), "secret-token", "another-token", 1))
	if out, code := e.verb("reload"); code != 0 && !strings.Contains(out, "token") { // the file watch may be faster: then the old token is refused already
		t.Errorf("reload: exit %d %s", code, out)
	}
	if status, _, _ := e.try("GET", "/v1/status", ""); status != http.StatusUnauthorized {
		t.Errorf("the old token after the reload: %d", status)
	}
	e.token = "another-token"
	e.must("status")
	e.stop()
}
