package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/server"
)

// askAs is one request in the name of a client and with an id, both by the word of a trusted proxy.
func (c *connection) askAs(t *testing.T, path, client, id string) int {
	t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nX-Request-ID: %s\r\n\r\n", path, client, id); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

const simulatedEdge = `
[admin]
address = "unix://DIR/admin.sock"
state_dir = "state"
[log]
access = "json"
output = "DIR/access.log"
[[listener]]
name = "http"
address = "127.0.0.1:0"
[client_ip]
trusted_proxies = ["127.0.0.1"]
[limit.client]
rate = "9/h"
[limit.composite]
rate = "6/h"
burst = 4
key = "client_ip+route"
[limit.trial]
rate = "5/h"
dry_run = true
[limit.whole]
rate = "40/h"
key = "route"
[limit.slot]
concurrency = 1
[limit.both]
rate = "12/h"
concurrency = 2
[limit.token]
rate = "1/h"
key = "header:X-Token"
dry_run = true
[[route]]
name = "a"
path = "/a"
service = "api"
limits = ["client", "composite", "trial"]
[[route]]
name = "b"
path = "/b"
service = "api"
limits = ["whole", "composite", "token"]
[[route]]
name = "hang"
path = "/hang"
service = "api"
limits = ["slot", "both"]
[[route]]
name = "free"
path = "/"
service = "api"
[service.api]
ejection = { max_ejected = 0.0 }
[service.api.group.blue]
targets = ["UPSTREAM"]
`

// TestSimulationIsTheEdge: what weir refused, by the log that it wrote, is what the simulation of that log refuses, request by request and counter by counter.
func TestSimulationIsTheEdge(t *testing.T) {
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	entered, release := make(chan struct{}), make(chan struct{})
	blue := &colour{name: "blue", handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang/long" {
			entered <- struct{}{}
			<-release
		}
	})}
	blue.start(t)
	t.Cleanup(blue.kill)
	r := run(t, dir, strings.NewReplacer("DIR", dir, "UPSTREAM", blue.address).Replace(simulatedEdge))

	var refused []string
	asked := 0
	ask := func(c *connection, path, client string) int {
		asked++
		id := fmt.Sprintf("request-%d", asked)
		status := c.askAs(t, path, client, id)
		if status == http.StatusTooManyRequests {
			refused = append(refused, id)
		}
		return status
	}
	clients := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "::ffff:192.0.2.1"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 120 {
		ask(r.client, []string{"/a", "/a/../b", "/b?x=/a", "/hang", "/free", "/./a"}[random.IntN(6)], clients[random.IntN(len(clients))])
	}
	slow, ended := connect(t, r.address), make(chan int)
	go func() { ended <- slow.askAs(t, "/hang/long", "198.51.100.1", "long") }()
	<-entered
	if status := ask(r.client, "/hang", "198.51.100.1"); status != http.StatusTooManyRequests {
		t.Errorf("beside one under way: %d", status)
	}
	ask(r.client, "/hang", "198.51.100.2")
	close(release)
	if status := <-ended; status != http.StatusOK {
		t.Errorf("the long one: %d", status)
	}
	if status := ask(slow, "/hang", "198.51.100.1"); status != http.StatusOK {
		t.Errorf("after it: %d", status)
	}
	say(t, r.address, "BROKEN\r\n\r\n")
	metrics := r.call(http.StatusOK, "GET", "/metrics", "")
	_ = slow.conn.Close()
	r.stop()
	if len(refused) < 30 {
		t.Fatalf("the edge refused %d of %d", len(refused), asked)
	}
	s, got := simulateFile(t, filepath.Join(dir, "weir.toml"), filepath.Join(dir, "access.log"))
	if slices.Sort(refused); !slices.Equal(refused, got) {
		t.Errorf("the edge refused %q\nthe simulation %q", refused, got)
	}
	if s.Logged != len(refused) || s.Limited != len(refused) || s.Requests != asked+1 || s.Skipped.BeforeLimits != 1 {
		t.Errorf("%+v", s)
	}
	for _, l := range s.Limits {
		if l.Name == "token" {
			if !strings.Contains(l.Unknown, "header:X-Token, which is not in an access log") || l.Allowed+l.DryRun+l.Limited != 0 {
				t.Errorf("a key that the log does not hold: %+v", l)
			}
			continue
		}
		for decision, n := range map[string]int{"allowed": l.Allowed, "limited": l.Limited, "dry_run": l.DryRun} {
			if want := fmt.Sprintf("weir_limit_decisions_total{decision=%q,limit=%q} %d\n", decision, l.Name, n); !strings.Contains(metrics, want) {
				t.Errorf("the edge did not count %s", want)
			}
		}
	}
}

// simulateFile simulates a log and lists the ids of what was refused, sorted.
func simulateFile(t *testing.T, config, log string) (*server.Simulation, []string) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var refused []string
	s, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: f, Each: func(l server.Limited) { refused = append(refused, l.RequestID) }})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(refused)
	return s, refused
}

// logOf is the access log of entries, as weir writes it.
func logOf(t fataler, format observe.Format, entries []observe.Entry) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	sink, err := observe.NewSink(observe.SinkOptions{Output: &out})
	if err != nil {
		t.Fatalf("%v", err)
	}
	log := observe.NewAccessLog(format, sink)
	for i := range entries {
		log.Log(&entries[i])
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatalf("%v", err)
	}
	return &out
}

// past is a request that began at a time and took one.
func past(client string, began time.Time, took time.Duration) observe.Entry {
	return observe.Entry{
		Time: began.Add(took), Duration: took, Client: netip.MustParseAddr(client), Method: message.GET, Target: []byte("/a"), Host: []byte("x"),
		Proto: message.HTTP11, Status: http.StatusOK, Listener: "http", Route: "all", Attempts: 1,
	}
}

func simulatedConfig(t *testing.T, top, inRoute string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.toml")
	if err := os.WriteFile(path, []byte(protectText(dir, "127.0.0.1:5002", top, inRoute)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSimulationIsTheBucket: with requests that overlap, logged in the order of their ends, the simulation allows what token buckets asked in the order of
// the beginnings allow.
func TestSimulationIsTheBucket(t *testing.T) {
	config := simulatedConfig(t, "[limit.one]\nrate = \"2/s\"\nburst = 3\n", "limits = [\"one\"]\n")
	start := time.Date(2026, 11, 2, 8, 34, 5, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var entries []observe.Entry
		at := start
		want, buckets := map[string]int{}, map[string]*rate.Limiter{}
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			at = at.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "gap"))*time.Millisecond + time.Microsecond)
			client := fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 3).Draw(t, "client"))
			entries = append(entries, past(client, at, time.Duration(rapid.IntRange(0, 5000).Draw(t, "took"))*time.Millisecond))
			if buckets[client] == nil {
				buckets[client] = rate.NewLimiter(2, 3)
			}
			if !buckets[client].AllowN(at, 1) {
				want[client]++
			}
		}
		slices.SortStableFunc(entries, func(a, b observe.Entry) int { return a.Time.Compare(b.Time) })
		s, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: logOf(t, observe.JSON, entries)})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, k := range s.Limits[0].Top {
			got[k.Key] = k.Limited
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || len(s.Notes) != 0 {
			t.Fatalf("limited %v, want %v, notes %q", got, want, s.Notes)
		}
	})
}

// TestSimulationOfCombined: nginx's form tells less, and what it does not tell is said.
func TestSimulationOfCombined(t *testing.T) {
	start := time.Date(2026, 11, 2, 8, 34, 5, 0, time.UTC)
	var entries []observe.Entry
	for i := range 8 {
		entries = append(entries, past([]string{"192.0.2.1", "2001:db8::5"}[i%2], start.Add(time.Duration(i)*time.Second), time.Minute))
	}
	top := "[limit.one]\nrate = \"2/h\"\nconcurrency = 1\n"
	s, err := server.Simulate(server.SimulateOptions{ConfigPath: simulatedConfig(t, top, "limits = [\"one\"]\n"), Log: logOf(t, observe.Combined, entries)})
	if err != nil {
		t.Fatal(err)
	}
	l := s.Limits[0]
	if l.Allowed != 4 || l.Limited != 4 || len(l.Top) != 2 || l.Top[1].Key != "2001:db8::/64" || l.Top[1].Limited != 2 ||
		!l.First.Equal(start.Add(time.Minute+4*time.Second)) || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "8 lines are combined") {
		t.Errorf("%+v", s)
	}
	hosts := simulatedConfig(t, top, "limits = [\"one\"]\nhost = [\"a.example\"]\n")
	if _, err := server.Simulate(server.SimulateOptions{ConfigPath: hosts, Log: logOf(t, observe.Combined, entries)}); err == nil || !strings.Contains(err.Error(), "say --host NAME") {
		t.Errorf("a guess at the host: %v", err)
	}
	for host, want := range map[string]int{"a.example": 8, "b.example": 0} {
		s, err := server.Simulate(server.SimulateOptions{ConfigPath: hosts, Log: logOf(t, observe.Combined, entries), Host: host})
		if err != nil || s.Requests != want || s.Skipped.NoRoute != 8-want {
			t.Errorf("%s: %+v, %v", host, s, err)
		}
	}
}

// TestSimulationSkips: what never came to a limit is not held against one, and lines that are no requests' are counted.
func TestSimulationSkips(t *testing.T) {
	config := simulatedConfig(t, "[limit.one]\nrate = \"1/h\"\n[limit.idle]\nrate = \"1/h\"\n", "limits = [\"one\"]\npath = \"/a\"\n")
	start := time.Date(2026, 11, 2, 8, 34, 5, 0, time.UTC)
	of := func(change func(*observe.Entry)) observe.Entry {
		e := past("192.0.2.1", start, time.Millisecond)
		change(&e)
		return e
	}
	log := logOf(t, observe.JSON, []observe.Entry{
		of(func(e *observe.Entry) { e.Route, e.Reason, e.Target = "-", "http_request_error", nil }),
		of(func(e *observe.Entry) { e.Route, e.Reason = "-", "http_request_error" }),
		of(func(e *observe.Entry) { e.Route, e.Target = "-", []byte("/.well-known/acme-challenge/x") }),
		of(func(e *observe.Entry) { e.Method = message.TRACE }),
		of(func(e *observe.Entry) { e.Reason, e.Attempts = "body_too_large", 0 }),
		of(func(e *observe.Entry) { e.Reason, e.Attempts = "access_denied", 0 }),
		of(func(e *observe.Entry) { e.Target = []byte("/b") }),
		of(func(e *observe.Entry) { e.Client = netip.Addr{} }),
		of(func(e *observe.Entry) { e.Route, e.Reason = "-", "no_route" }), // by the routes of then: now one takes it
	})
	log.WriteString("{\"event.dataset\":\"weir.log\"}\nnonsense\n" + strings.Repeat("x", 3<<20) + "\n")
	log.WriteString(strings.TrimSuffix(logOf(t, observe.JSON, []observe.Entry{of(func(*observe.Entry) {})}).String(), "\n")) // torn at its end
	s, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	want := server.Skipped{NotAccess: 1, Unreadable: 2, BeforeLimits: 6, NoRoute: 1, NoClient: 1}
	if s.Skipped != want || s.Requests != 2 || s.Limited != 1 || s.Lines != 13 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "limit idle is named by no route") {
		t.Errorf("%+v", s)
	}
	if _, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: log, Limit: "two"}); err == nil || !strings.Contains(err.Error(), "there is no [limit.two]") {
		t.Errorf("a limit that is not there: %v", err)
	}
}

// TestSimulationIsBounded: of a log with more keys and more requests out of order than are kept, the heaviest key is found and the rest is said to be rough.
func TestSimulationIsBounded(t *testing.T) {
	config := simulatedConfig(t, "[limit.one]\nrate = \"1/h\"\n", "limits = [\"one\"]\n")
	start := time.Date(2026, 11, 2, 8, 34, 5, 0, time.UTC)
	var log bytes.Buffer
	for chunk := range 70 { // of what a sink has room for
		var list []observe.Entry
		for i := chunk * 1000; i < (chunk+1)*1000; i++ {
			client := netip.AddrFrom4([4]byte{10, byte(i / 2 >> 16), byte(i / 2 >> 8), byte(i / 2)}).String()
			if i%50 == 0 {
				client = "192.0.2.1"
			}
			list = append(list, past(client, start.Add(time.Duration(i)*time.Microsecond), time.Millisecond))
		}
		_, _ = logOf(t, observe.JSON, list).WriteTo(&log) // a buffer takes everything
	}
	late := past("203.0.113.9", start.Add(-time.Hour), 2*time.Hour) // logged long after those that began after it
	_, _ = logOf(t, observe.JSON, []observe.Entry{late}).WriteTo(&log)
	s, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	top := s.Limits[0].Top
	if len(top) != 10 || top[0].Key != "192.0.2.1" || top[0].Limited != 1399 || top[0].Rough || !top[9].Rough {
		t.Errorf("top %+v", top)
	}
	if len(s.Notes) != 1 || !strings.HasPrefix(s.Notes[0], "1 requests were logged later than 65536 others") {
		t.Errorf("notes %q", s.Notes)
	}
}

// TestSimulationOfASample: a log that [log] sample has thinned out says so, because limits see too few requests in it.
func TestSimulationOfASample(t *testing.T) {
	config := simulatedConfig(t, "[limit.one]\nrate = \"2/s\"\nburst = 3\n", "limits = [\"one\"]\n")
	var out bytes.Buffer
	sink, err := observe.NewSink(observe.SinkOptions{Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log := observe.NewAccessLog(observe.JSON, sink).Sampled(observe.Sampling{Rate: 0.999, Slow: time.Minute})
	for range 40 {
		e := past("192.0.2.1", time.Date(2026, 11, 2, 8, 34, 5, 0, time.UTC), time.Millisecond)
		log.Log(&e)
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Count(out.Bytes(), []byte("\n"))
	s, err := server.Simulate(server.SimulateOptions{ConfigPath: config, Log: &out})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d lines are what [log] sample let through", lines); lines == 0 || !strings.Contains(strings.Join(s.Notes, "\n"), want) {
		t.Errorf("notes %q do not say %q", s.Notes, want)
	}
}
