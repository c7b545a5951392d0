package server_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestAdaptiveConcurrencyEndToEnd: the keys of adaptive_concurrency do what they say through the real listener: what targets cannot be given waits in the breaker's
// queue; status, explain and metrics show the limit; a reload changes it, and takes it away.
func TestAdaptiveConcurrencyEndToEnd(t *testing.T) {
	address, reached, answer := slowColour(t)
	text := func(dir, key string) string {
		return protectText(dir, address, "[service.api]\nbreaker = { max_requests = 3, queue_timeout = \"20s\" }\n"+key, "")
	}
	r, _, dir := started(t, func(dir, _ string) string { return text(dir, "adaptive_concurrency = { min = 1, max = 1 }\n") })
	limit := `weir_upstream_concurrency_limit{group="blue",service="api",target="` + address + `"}`
	r.scraped(t, limit+" 1")
	done := make(chan int, 8)
	send := func() {
		go func() {
			res, err := http.Get("http://" + r.address + "/")
			if err != nil {
				done <- 0
				return
			}
			_ = res.Body.Close()
			done <- res.StatusCode
		}()
	}
	send()
	<-reached
	send()
	send()
	eventually(t, "two wait", func() bool { b := r.status().Services[0].Breaker; return b.Queued == 2 && b.MaxRequests == 1 })
	if target := r.status().Services[0].Groups[0].Targets[0]; target.ConcurrencyLimit != 1 || target.Working != 1 {
		t.Errorf("%+v", target)
	}
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "at its limit of 1") {
		t.Error(got)
	}
	r.write(text(dir, "adaptive_concurrency = { min = 3, max = 3 }\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	for range 2 { // those who waited are let in
		select {
		case <-reached:
		case status := <-done:
			t.Fatalf("one who waited is answered %d", status)
		}
	}
	r.scraped(t, limit+" 3")
	r.write(text(dir, ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); strings.Contains(m, limit) {
		t.Error("a limit that is no more is exported")
	}
	for range 3 {
		answer <- true
	}
	for range 3 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	if b := r.status().Services[0].Breaker; b.MaxRequests != 3 {
		t.Errorf("%+v", b)
	}
}
