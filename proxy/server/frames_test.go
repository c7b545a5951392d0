package server_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/proxy/admin"
)

// watched is what a watcher of /v1/events has seen so far.
type watched struct {
	t      *testing.T
	lines  *bufio.Scanner
	body   io.Closer
	frames int
	last   admin.Frame

	counts  map[string]float64 // rates times seconds: what happened since the watch began
	latency *admin.Quantiles
	errors  []admin.RequestError
}

func (r *running) watch(t *testing.T) *watched {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://weir/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.admin.Transport.RoundTrip(req) // without the client's timeout
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	w := &watched{t: t, lines: bufio.NewScanner(res.Body), body: res.Body, counts: map[string]float64{}}
	w.lines.Buffer(nil, 1<<20)
	return w
}

// next takes one frame; false when the stream has ended.
func (w *watched) next() bool {
	w.t.Helper()
	for w.lines.Scan() {
		data, ok := strings.CutPrefix(w.lines.Text(), "data: ")
		if !ok {
			continue
		}
		var f admin.Frame
		if err := json.Unmarshal([]byte(data), &f); err != nil {
			w.t.Fatal(err)
		}
		w.add(f)
		return true
	}
	return false
}

func (w *watched) add(f admin.Frame) {
	w.frames++
	w.last = f
	if (f.Seconds == 0) != (w.frames == 1) {
		w.t.Errorf("frame %d is over %g seconds", w.frames, f.Seconds)
	}
	for _, g := range f.Groups {
		name := g.Service + "/" + g.Group
		w.counts[name] += g.Requests * f.Seconds
		w.counts[name+" 4xx"] += g.ClientErrors * f.Seconds
		w.counts[name+" 5xx"] += g.ServerErrors * f.Seconds
		if g.Latency != nil && name == "api/blue" {
			w.latency = g.Latency
		}
	}
	for _, e := range f.Ended {
		w.counts[e.Reason] += e.PerSecond * f.Seconds
	}
	for _, l := range f.Limits {
		w.counts["limit "+l.Name] += l.Limited * f.Seconds
	}
	w.errors = append(w.errors, f.Errors...)
}

// until takes frames until the counts are all as wanted.
func (w *watched) until(want map[string]float64) {
	w.t.Helper()
	for {
		missing := ""
		for name, n := range want {
			if got := w.counts[name]; got > n+0.5 {
				w.t.Fatalf("%s: %g, want %g", name, got, n)
			} else if got < n-0.5 {
				missing = fmt.Sprintf("%s: %g of %g", name, got, n)
			}
		}
		if missing == "" {
			return
		}
		if !w.next() {
			w.t.Fatalf("the stream has ended: %s (%v)", missing, w.lines.Err())
		}
	}
}

// TestEventsEndToEnd: what goes through the real listener comes out as rates, quantiles and errors, each once; a stop ends the stream and is clean.
func TestEventsEndToEnd(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	dir := shortDir(t)
	defer func() { _ = os.RemoveAll(dir) }()
	blue := &colour{name: "blue", address: "127.0.0.1:0", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/bad"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasPrefix(r.URL.Path, "/missing"):
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	blue.start(t)
	defer blue.kill()
	dead := deadPort(t)
	r := run(t, dir, protectText(dir, blue.address, "[limit.one]\nrate = \"1/h\"\nburst = 1\nkey = \"route\"\n"+
		"[[route]]\npath = \"/once\"\nservice = \"api\"\nlimits = [\"one\"]\n[[route]]\npath = \"/dead\"\nservice = \"gone\"\n[service.gone.group.only]\ntargets = [\""+dead+"\"]\n", ""))
	get := func(want int, paths ...string) {
		t.Helper()
		for _, path := range paths {
			res, err := http.Get("http://" + r.address + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Fatalf("%s: %s, want %d", path, res.Status, want)
			}
		}
	}
	get(http.StatusInternalServerError, "/bad/before")
	eventually(t, "the failure before the watch is kept", func() bool { return strings.Contains(r.call(http.StatusOK, "GET", "/v1/errors", ""), "/bad/before") })
	w := r.watch(t)
	if !w.next() || w.last.Status.Generation != 1 || len(w.errors) != 0 {
		t.Fatalf("first frame %+v", w.last)
	}
	get(http.StatusOK, "/", "/a", "/b", "/c", "/once")
	get(http.StatusTooManyRequests, "/once", "/once")
	get(http.StatusNotFound, "/missing/1", "/missing/2")
	get(http.StatusInternalServerError, "/bad/%3Cimg%20src=x%3E;jsessionid=secret?token=secret")
	get(http.StatusBadGateway, "/dead/1")
	w.until(map[string]float64{
		"api/blue": 8, "api/blue 4xx": 2, "api/blue 5xx": 1, "gone/only": 1, "gone/only 5xx": 1, "rate_limited": 2, "limit one": 2, "connection_refused": 1,
	})
	for len(w.errors) < 2 && w.next() { // a request is counted first and described then
	}
	if w.latency == nil || w.latency.P50 <= 0 || w.latency.P99 < w.latency.P50 {
		t.Errorf("quantiles %+v", w.latency)
	}
	if len(w.errors) != 2 || w.errors[0].Path != "/bad/%3Cimg%20src=x%3E" || w.errors[0].Status != 500 || w.errors[0].Reason != "" || w.errors[0].Target != blue.address ||
		w.errors[1].Reason != "connection_refused" || w.errors[1].Service != "gone" || w.errors[1].Group != "only" || w.errors[1].Error == "" {
		t.Errorf("errors %+v", w.errors)
	}
	var kept admin.RequestErrors
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/errors", "")), &kept); err != nil || len(kept.Errors) != 3 || kept.Errors[2] != w.errors[1] {
		t.Errorf("%+v %v", kept, err)
	}
	http.DefaultClient.CloseIdleConnections()
	stopped := make(chan bool)
	go func() {
		for w.next() {
		}
		close(stopped)
	}()
	r.stop()
	await(t, stopped, "the stream's end")
	_ = w.body.Close()
	blue.kill()
	nothingLeft(t, ignore, -1)
}
