package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// slowColour is an upstream that answers each request when the test says so.
func slowColour(t *testing.T) (address string, reached chan string, answer chan bool) {
	reached, answer = make(chan string, 16), make(chan bool)
	c := &colour{name: "slow"}
	c.handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached <- r.URL.Path
		select {
		case <-answer:
		case <-r.Context().Done():
		}
	})
	c.start(t)
	t.Cleanup(c.kill)
	return c.address, reached, answer
}

// TestBreakerEndToEnd: the keys of a breaker and of priorities do what they say through the real listener; status, explain, metrics and a reload see the same breaker.
func TestBreakerEndToEnd(t *testing.T) {
	address, reached, answer := slowColour(t)
	text := func(most string) func(dir, _ string) string {
		return func(dir, _ string) string {
			return protectText(dir, address, "[service.api.breaker]\nmax_requests = "+most+"\nmax_queue = 1\nqueue_timeout = \"20s\"\nlow_priority_user_agents = [\"bot\"]\n",
				"[[route]]\nname = \"vip\"\npath = \"/vip\"\nservice = \"api\"\npriority = \"critical\"\n")
		}
	}
	r, _, dir := started(t, text("1"))
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(m, `weir_shed_total{priority="low",reason="queue_timeout",service="api"} 0`) ||
		!strings.Contains(m, `weir_queue_length{priority="critical",service="api"} 0`) || !strings.Contains(m, `weir_service_requests_in_flight{service="api"} 0`) {
		t.Error("series are missing before the first request")
	}
	results := map[string]chan int{}
	send := func(path, agent string) {
		done := make(chan int, 1)
		results[path] = done
		go func() {
			req, err := http.NewRequest("GET", "http://"+r.address+path, nil)
			if err != nil {
				done <- 0
				return
			}
			req.Header.Set("User-Agent", agent)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				done <- 0
				return
			}
			_ = res.Body.Close()
			done <- res.StatusCode
		}()
	}
	state := func() *admin.Breaker {
		var s admin.Service
		if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/services/api", "")), &s); err != nil || s.Breaker == nil {
			t.Fatalf("%+v %v", s, err)
		}
		return s.Breaker
	}
	send("/1", "curl")
	<-reached
	send("/2", "Googlebot/2.1")
	eventually(t, "the bot waits", func() bool { return state().Queued == 1 })
	if b := state(); b.State == "free" || b.InFlight != 1 || b.MaxRequests != 1 || b.MaxQueue != 1 {
		t.Errorf("%+v", b)
	}
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/vip","headers":[{"name":"User-Agent","value":"aBOT"}]}`); !strings.Contains(got, "1 of 1 requests in flight, 1 of 1 waiting") ||
		!strings.Contains(got, "priority critical") {
		t.Error(got)
	}
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/","headers":[{"name":"User-Agent","value":"aBOT"}]}`); !strings.Contains(got, "priority low by User-Agent") {
		t.Error(got)
	}
	send("/vip", "Googlebot/2.1") // the route's, not the agent's
	if status := <-results["/2"]; status != http.StatusServiceUnavailable {
		t.Errorf("the bot got %d", status)
	}
	r.write(text("2")(dir, ""))
	reloadWarnings(t, r)
	if path := <-reached; path != "/vip" { // the larger bound lets it in
		t.Errorf("%s was let in", path)
	}
	if b := state(); b.InFlight != 2 || b.MaxRequests != 2 {
		t.Errorf("after the reload %+v", b)
	}
	answer <- true
	answer <- true
	for _, path := range []string{"/1", "/vip"} {
		if status := <-results[path]; status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	m := r.call(http.StatusOK, "GET", "/metrics", "")
	for _, want := range []string{`weir_shed_total{priority="low",reason="overloaded",service="api"} 1`, `weir_queue_wait_seconds_count{service="api"} 2`} {
		if !strings.Contains(m, want) {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	r.write(protectText(dir, address, "", ""))
	reloadWarnings(t, r)
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); strings.Contains(m, "weir_shed_total{") || strings.Contains(m, "weir_service_requests_in_flight{") {
		t.Error("a breaker that is gone is still exported")
	}
}
