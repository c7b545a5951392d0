package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/shadow"
)

// shadowText is a service of two colours, all of it blue's, compared by these keys.
func shadowText(dir, blue, green, keys, more string) string {
	return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n" +
		"[[route]]\nname = \"all\"\nservice = \"api\"\n[service.api]\n" + keys + "\n" + more +
		"[service.api.group.blue]\nweight = 100\ntargets = [\"" + blue + "\"]\n[service.api.group.green]\nweight = 0\ntargets = [\"" + green + "\"]\n"
}

// everything asks again as much as may be. No answer is too late on a machine that stands still.
const everything = `shadow = { to = "green", share = 100, rate = "100000/s", timeout = "2m" }`

// shadowed is a server before two handlers.
func shadowed(t *testing.T, keys string, blue, green http.HandlerFunc) (r *running, text func(keys, more string) string) {
	t.Helper()
	dir := shortDir(t)
	b, g := httptest.NewServer(blue), httptest.NewServer(green)
	text = func(keys, more string) string {
		return shadowText(dir, b.Listener.Addr().String(), g.Listener.Addr().String(), keys, more)
	}
	r = run(t, dir, text(keys, ""))
	t.Cleanup(func() {
		r.stop()
		g.CloseClientConnections()
		b.Close()
		g.Close()
		_ = os.RemoveAll(dir)
	})
	return r, text
}

func (r *running) shadow() (s admin.Shadow) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/services/api/shadow", "")), &s); err != nil {
		r.t.Fatalf("%v", err)
	}
	return s
}

// look is one GET through the edge.
func (r *running) look(path string, header ...string) (body string) {
	r.t.Helper()
	req, err := http.NewRequest("GET", "http://"+r.address+path, nil)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}).Do(req)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s %v", path, res.Status, err)
	}
	return string(b)
}

// TestShadowEndToEnd: a field that green alone has otherwise is found through the real listener, a counter that differs in every answer is noise, secrets and strings are not shown; nothing of it is in
// the books of groups and targets, and the client has blue's answer.
func TestShadowEndToEnd(t *testing.T) {
	var ticks atomic.Int64
	var forged atomic.Bool
	app := func(price string, marked bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			mark := r.Header.Get("X-Weir-Shadow")
			if mark == "forged" || marked && mark == "" {
				forged.Store(true)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"now":%d,"items":[{"price":%s,"name":"n%s","token":"t%s"}],"id":7}`, ticks.Add(1), price, price, price)
		}
	}
	r, _ := shadowed(t, everything, app("12", false), app("12.5", true))
	r.scraped(t, `weir_shadow_requests_total{result="differs",service="api"} 0`)
	r.scraped(t, `weir_shadow_upstream_requests_total{group="green",service="api"} 0`)
	const requests = 20
	for i := range requests {
		if body := r.look(fmt.Sprintf("/users/%d", 1000+i), "X-Weir-Shadow", "forged"); !strings.Contains(body, `"price":12,`) {
			t.Fatal(body)
		}
		// The one that carries the marker is not asked again; one at a time, so that none is dropped.
		r.look(fmt.Sprintf("/users/%d", 1000+i))
		r.scraped(t, fmt.Sprintf(`weir_shadow_requests_total{result="differs",service="api"} %d`, i+1))
	}
	s := r.shadow()
	if s.Compared != requests || s.Differing != requests || s.Places != 3 || s.State != "asking" || s.From != "blue" || s.To != "green" {
		t.Errorf("%+v", s)
	}
	want := map[string]string{"$.items[].price": "differs 12 → 12.5", "$.items[].name": "differs string(3) → string(5)", "$.items[].token": "differs (masked) → (masked)", "$.now": "noise"}
	for _, d := range s.Differences {
		got := d.Verdict
		if len(d.Samples) > 0 {
			got += " " + d.Samples[0].From + " → " + d.Samples[0].To
		}
		if d.Endpoint != "GET /users/*" || want[d.Where] != got || d.Compared != requests {
			t.Errorf("%+v", d)
		}
	}
	if len(s.Differences) != len(want) {
		t.Errorf("%d places", len(s.Differences))
	}
	if forged.Load() {
		t.Error("a client's marker reached the application, or green was asked without one")
	}
	// Nothing of it counts: clients made twice as many requests, all of them blue's.
	r.scraped(t, fmt.Sprintf(`weir_group_requests_total{code="200",group="blue",service="api"} %d`, 2*requests))
	r.scraped(t, `weir_group_requests_total{code="200",group="green",service="api"} 0`)
	r.scraped(t, fmt.Sprintf(`weir_http_requests_total{code="200",listener="http",method="GET",proto="HTTP/1.1",route="all"} %d`, 2*requests))
	r.scraped(t, fmt.Sprintf(`weir_shadow_upstream_requests_total{group="blue",service="api"} %d`, 2*requests))
	r.scraped(t, fmt.Sprintf(`weir_shadow_upstream_requests_total{group="green",service="api"} %d`, requests))
	r.scraped(t, `weir_shadow_differing_places{service="api"} 3`)
	service := r.status().Services[0]
	if b := service.Shadow; b == nil || b.To != "green" || b.Compared != requests || b.Places != 3 || len(b.First) != 3 || b.First[0].Verdict != "differs" {
		t.Errorf("status %+v", b)
	}
	if g := service.Groups[1]; g.Requests != 0 || g.Targets[0].Failures != 0 {
		t.Errorf("green's books: %+v", g)
	}
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "100 % asked again of green") {
		t.Error(got)
	}
}

// TestShadowThatHangs: green holds what it is asked for as long as it likes, and clients have their answers; stopping does not wait for it.
func TestShadowThatHangs(t *testing.T) {
	before := goleak.IgnoreCurrent()
	held := make(chan struct{}, 1000)
	release := make(chan struct{})
	t.Run("clients", func(t *testing.T) {
		r, _ := shadowed(t, everything, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "blue") }, func(_ http.ResponseWriter, r *http.Request) {
			held <- struct{}{}
			select {
			case <-r.Context().Done():
			case <-release:
			}
		})
		for range 2 { // both workers are held
			r.look("/")
			await(t, held, "green is asked")
		}
		for range 200 { // 64 wait, the others are dropped
			if body := r.look("/"); body != "blue" {
				t.Fatal(body)
			}
		}
		r.scraped(t, `weir_shadow_requests_total{result="dropped",service="api"} 136`)
	})
	close(release)
	nothingLeft(t, before, -1)
}

// TestShadowSurvivesReloads: what was found stays as long as the keys of the shadow do, whatever else changes, and begins anew with them; without them it ends.
func TestShadowSurvivesReloads(t *testing.T) {
	r, text := shadowed(t, everything, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a") }, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "b") })
	once := func(n uint64) {
		t.Helper()
		r.look("/")
		eventually(t, "a comparison", func() bool { return r.shadow().Compared == n })
	}
	reload := func(keys, more string) {
		t.Helper()
		r.write(text(keys, more))
		r.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	once(1)
	reload(everything+"\nconnect_timeout = \"3s\"", "")
	once(2)
	r.call(http.StatusOK, "PUT", "/v1/services/api/weights", `{"blue":90,"green":10}`) // a new snapshot, the same shadow
	once(3)
	r.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	if d := r.shadow().Differences; len(d) != 1 || d[0].Where != "body" || d[0].Differing != 3 {
		t.Errorf("%+v", d)
	}
	r.call(http.StatusOK, "DELETE", "/v1/services/api/shadow", "")
	once(1)
	reload(strings.Replace(everything, "2m", "3m", 1), "")
	if n := r.shadow().Compared; n != 0 {
		t.Errorf("%d compared by another shadow", n)
	}
	once(1)
	reload("", "")
	r.call(http.StatusNotFound, "GET", "/v1/services/api/shadow", "")
	r.look("/")
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); strings.Contains(m, "weir_shadow_requests_total{") {
		t.Error("series of a shadow that is none")
	}
}

// TestShadowGivesWay: a service that is paused, whose requests wait, or a group that is evicted or not healthy is not asked.
func TestShadowGivesWay(t *testing.T) {
	hold := make(chan struct{})
	entered := make(chan struct{}, 8)
	var health atomic.Int64
	health.Store(http.StatusOK)
	r, _ := shadowed(t, everything+"\nbreaker = { max_requests = 1 }\nhealth = { path = \"/healthy\", interval = \"50ms\", timeout = \"50ms\", rise = 1, fall = 1 }",
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hold" && r.Header.Get("X-Weir-Shadow") == "" {
				entered <- struct{}{}
				<-hold
			}
		}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthy" {
				w.WriteHeader(int(health.Load()))
			}
		})
	waits := func(why string) {
		t.Helper()
		eventually(t, why, func() bool {
			s := r.shadow()
			return s.State == "waiting" && strings.Contains(s.Reason, why)
		})
	}
	asks := func() {
		t.Helper()
		eventually(t, "nothing stands against it", func() bool { return r.shadow().State == "asking" })
	}
	asks()
	r.call(http.StatusOK, "POST", "/v1/services/api/pause", "")
	waits("the service is paused")
	r.call(http.StatusOK, "POST", "/v1/services/api/resume", "")
	asks()
	r.call(http.StatusOK, "POST", "/v1/services/api/evict", `{"group":"green"}`)
	waits("group green is evicted")
	r.call(http.StatusOK, "POST", "/v1/services/api/resume", `{"group":"green"}`)
	asks()
	ended := make(chan string, 1)
	go func() { ended <- r.look("/hold") }()
	await(t, entered, "the one request that may be in flight")
	waits("requests wait")
	close(hold)
	await(t, ended, "its answer")
	asks()
	health.Store(http.StatusServiceUnavailable)
	waits("no target of group green is healthy")
}

// TestShadowLeavesOut: what may change something, has a body, says who it is from, or is not answered by an upstream is not asked again.
func TestShadowLeavesOut(t *testing.T) {
	var green atomic.Int64
	r, _ := shadowed(t, everything, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
	}, func(http.ResponseWriter, *http.Request) { green.Add(1) })
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/", ""}, {"DELETE", "/", ""}, {"PUT", "/", "x"}, {"GET", "/body", "x"}, {"PATCH", "/", "x"}, {"GET", "/events", ""},
	} {
		req, err := http.NewRequest(c.method, "http://"+r.address+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	r.look("/", "Cookie", "a=b")
	r.look("/?token=x")
	r.scraped(t, `weir_shadow_requests_total{result="private",service="api"} 2`)
	r.look("/")
	r.scraped(t, `weir_shadow_requests_total{result="same",service="api"} 1`)
	if n := green.Load(); n != 1 {
		t.Errorf("green was asked %d times", n)
	}
}

// TestShadowPathsAreWhatTheCheckTakes: the configuration and the shadow read the same paths, which neither may import from the other.
func TestShadowPathsAreWhatTheCheckTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`\$?([.]|\[\]|[a-c]|\[|\]|[*]){0,8}`).Draw(t, "path")
		text := shadowText("/d", "127.0.0.1:1", "127.0.0.1:2", `shadow = { to = "green", ignore_paths = ["`+path+`"] }`, "")
		_, refused := configs.Parse("weir.toml", []byte(text), configs.Options{})
		if _, err := shadow.ParsePattern(path); (err == nil) != (refused == nil) {
			t.Fatalf("%q: the shadow says %v, the check %v", path, err, refused)
		}
	})
}
