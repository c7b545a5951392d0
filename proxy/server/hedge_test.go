package server_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHedgeEndToEnd: the keys of a hedge do what they say through the real listener; explain and metrics show it, and a reload without them ends it.
func TestHedgeEndToEnd(t *testing.T) {
	slow := &colour{name: "slow", address: "127.0.0.1:0", handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
	slow.start(t)
	t.Cleanup(slow.kill)
	hedge := "[service.api]\nhedge = { delay = \"5ms\" }\nretry = { budget = 1.0 }\n" // each request earns its own second attempt
	text := func(dir, upstream string) string {
		return protectText(dir, slow.address+"\", \""+upstream, hedge, "")
	}
	r, blue, dir := started(t, text)
	const won = `weir_upstream_hedges_total{result="won",service="api"}`
	r.scraped(t, won+" 0")
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "a second try after 5ms") {
		t.Error(got)
	}
	// Every request is answered, whichever target it is sent to first; the slow one is tried now and then, for nobody knows better.
	eventually(t, "a request that was sent to the slow target first", func() bool {
		if status, by := r.client.get(t); status != http.StatusOK || by != "blue" {
			t.Fatalf("%d by %q", status, by)
		}
		return !strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), "\n"+won+" 0\n")
	})
	r.write(protectText(dir, blue.address, "", ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); strings.Contains(got, "a second try") {
		t.Error(got)
	}
}
