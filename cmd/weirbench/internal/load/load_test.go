package load_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/load"
)

// The test binary doubles as a "weir demo": a real process that serves until it is told to end.
const demoAddress = "WEIRBENCH_TEST_DEMO"

func TestMain(m *testing.M) {
	if addr := os.Getenv(demoAddress); addr != "" {
		fmt.Println("demo says:", os.Args[1:])
		fmt.Println(http.ListenAndServe(addr, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestTargets(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		want int // requests in a turn; 0: refused
	}{
		"mix":            {"http://127.0.0.1:8080", 5},
		"mix with slash": {"https://127.9.9.9:8443/", 5},
		"one path":       {"http://[::1]:8080/api/health?x=1", 1},
		"mapped":         {"http://[::ffff:127.0.0.1]:1/x", 1},
		"localhost":      {"http://localhost:8080/x", 1},
		"another host":   {"http://192.0.2.7:8080/x", 0},
		"unspecified":    {"http://0.0.0.0:8080/x", 0},
		"mapped other":   {"http://[::ffff:192.0.2.7]/x", 0},
		"no scheme":      {"127.0.0.1:8080", 0},
		"file":           {"file:///etc/passwd", 0},
		"userinfo":       {"http://127.0.0.1@192.0.2.7/", 0},
		"no host":        {"http:///x", 0},
	} {
		got, err := load.Targets(t.Context(), c.url)
		if len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s: %d targets, %v; want %d", name, len(got), err, c.want)
		}
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestSpikeIsSentStepByStep(t *testing.T) {
	var gets, posts atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == "GET" && r.URL.Path == "/api/health":
			gets.Add(1)
		case r.Method == "POST" && r.URL.Path == "/api/dcf" && string(body) == "{}" && r.Header.Get("Content-Type") == "application/json":
			posts.Add(1)
		default:
			t.Errorf("unexpected %s %s %q", r.Method, r.URL, body)
		}
	})
	r, err := load.Run(t.Context(), load.Options{Target: url, Profile: "spike", Rate: 40, Duration: 3 * time.Second, Command: "weirbench load"})
	if err != nil {
		t.Fatal(err)
	}
	if gets.Load() != 4*posts.Load() || gets.Load()+posts.Load() != 280 {
		t.Errorf("%d GET, %d POST; want 224 and 56", gets.Load(), posts.Load())
	}
	all := uint64(0)
	for i, want := range []float64{40, 200, 40} { // of the rate; a busy machine sends hits late, into the next step
		m := r.Steps[i].Metrics
		if all += m.Requests; r.Steps[i].Step.Rate != want || m.Requests > 0 && m.Success != 1 {
			t.Errorf("step %d: rate %v, %d requests, success %v; want %v, all good", i, r.Steps[i].Step.Rate, m.Requests, m.Success, want)
		}
	}
	if all != 280 {
		t.Errorf("%d requests in the steps", all)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"report.md": {"# Load: spike", "| spike, 1s | 200 |", "100.00 %", "- spike:", "200 × ", "plot.html"},
		"plot.html": {"<html", "weir under spike load"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s: no %q in %.3000s", file, w, text)
			}
		}
	}
}

// A generator that falls behind for a moment, as this one does at its highest rate, sends late what was due before the end.
func TestNothingThatWasDueIsLeftOut(t *testing.T) {
	var served atomic.Int64
	url := serve(t, func(http.ResponseWriter, *http.Request) { served.Add(1) })
	for range 3 {
		served.Store(0)
		r, err := load.Run(t.Context(), load.Options{Target: url + "/x", Profile: "steady", Rate: 2000, Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if m := r.Steps[0].Metrics; served.Load() != 2000 || m.Requests != 2000 {
			t.Errorf("%d served, %d counted; want 2000", served.Load(), m.Requests)
		}
	}
}

func TestReportShowsErrors(t *testing.T) {
	var n atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 3 {
		case 0:
			http.Error(w, "shed", http.StatusServiceUnavailable)
		case 1:
			// Not a mere hang-up: net/http would send the request again on a fresh connection.
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, "nonsense\r\n\r\n")
			conn.Close()
		}
	})
	r, err := load.Run(t.Context(), load.Options{Target: url + "/x", Profile: "steady", Rate: 60, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	text := r.Markdown()
	for _, want := range []string{"200 × 20", "503 × 20", "0 × 20", "Errors in steady"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestOverloadExceedsTheCapacityItFound(t *testing.T) {
	slots := make(chan struct{}, 2) // a server that manages 2 requests in 20 ms, 100 a second
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			<-time.After(20 * time.Millisecond)
		case <-time.After(100 * time.Millisecond):
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	r, err := load.Run(t.Context(), load.Options{Target: url + "/x", Profile: "overload", Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Capacity <= 0 || r.Capacity > 101 || r.Steps[0].Step.Rate != 2*r.Capacity {
		t.Errorf("capacity %v, overload at %v", r.Capacity, r.Steps[0].Step.Rate)
	}
	if !strings.Contains(r.Markdown(), "Capacity found by a closed loop") {
		t.Error("the report does not tell the capacity")
	}
}

func TestRunRefuses(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a refused run sent a request") })
	for name, o := range map[string]load.Options{
		"profile":  {Target: url, Profile: "flood"},
		"target":   {Target: "http://192.0.2.1/", Profile: "steady"},
		"rate":     {Target: url, Profile: "steady", Rate: 5000},
		"duration": {Target: url, Profile: "overload", Duration: time.Hour},
	} {
		if _, err := load.Run(t.Context(), o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(http.ResponseWriter, *http.Request) { cancel() })
	_, err := load.Run(ctx, load.Options{Target: url, Profile: "steady", Rate: 10, Duration: 10 * time.Minute})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// fakeWeir is a program that behaves like "weir demo" on the address.
func fakeWeir(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDemoIsStartedAndEnded(t *testing.T) {
	// Free a moment ago is free still: nobody else binds this address, and connections to 127.0.0.1 do not come from it.
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	weir := fakeWeir(t, fmt.Sprintf(`exec env %s=%s %s "$@"`, demoAddress, addr, self))
	log := filepath.Join(t.TempDir(), "log")
	demo, err := load.StartDemo(t.Context(), weir, "http://"+addr+"/api/health", log)
	if err != nil {
		t.Fatal(err)
	}
	if !demo.Started() {
		t.Error("the demo is not ours")
	}
	again, err := load.StartDemo(t.Context(), "no-such-weir", "http://"+addr+"/api/health", log+"2")
	if err != nil || again.Started() {
		t.Errorf("a running demo was not used: %v", err)
	}
	if err := errors.Join(again.Stop(), demo.Stop()); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the demo still listens")
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "demo says: [demo]") {
		t.Errorf("log %q, %v", text, err)
	}
}

func TestDemoThatFailsIsExplained(t *testing.T) {
	ready := "http://127.0.0.1:1/api/health" // port 1: nobody listens
	log := filepath.Join(t.TempDir(), "log")
	_, err := load.StartDemo(t.Context(), fakeWeir(t, "echo no database; exit 1"), ready, log)
	if err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("StartDemo = %v", err)
	}
	_, err = load.StartDemo(t.Context(), "no/such/weir", ready, log)
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("StartDemo = %v", err)
	}
}
