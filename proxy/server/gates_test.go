package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestConcurrencyOutlivesReloads: what is under way counts after a reload that changes the bound, is in the metrics, and explain tells the limit.
func TestConcurrencyOutlivesReloads(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(arrived)
			<-release
		}
	}))
	defer up.Close()
	defer letGo()
	backend := up.Listener.Addr().String()
	text := func(most string) func(dir, _ string) string {
		return func(dir, _ string) string {
			return protectText(dir, backend, "[limit.few]\nconcurrency = "+most+"\nkey = \"route\"\n", "limits = [\"few\"]\n")
		}
	}
	r, _, dir := started(t, text("1"))
	if status, _ := r.client.get(t); status != http.StatusOK {
		t.Fatal(status)
	}
	// A client has its answer before the slot is given back: without this wait the one counted below could be this request, and /wait the one refused.
	r.scraped(t, `weir_limit_requests_in_flight{limit="few"} 0`)
	busy := connect(t, r.address)
	if _, err := io.WriteString(busy.conn, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	await(t, arrived, "/wait at the upstream")
	r.scraped(t, `weir_limit_requests_in_flight{limit="few"} 1`)
	if status, _ := r.client.get(t); status != http.StatusTooManyRequests {
		t.Errorf("one too many: %d", status)
	}
	r.scraped(t, `weir_http_errors_total{listener="http",reason="concurrency_limited"} 1`)
	r.scraped(t, `weir_limit_decisions_total{decision="limited",limit="few"} 1`)
	r.write(text("2")(dir, ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if status, _ := r.client.get(t); status != http.StatusOK {
		t.Errorf("with room for two: %d", status)
	}
	r.write(text("1")(dir, ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if status, _ := r.client.get(t); status != http.StatusTooManyRequests {
		t.Errorf("the one under way was forgotten: %d", status)
	}
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "1 under way at a time for each route") {
		t.Errorf("explain: %s", got)
	}
	letGo()
	r.scraped(t, `weir_limit_requests_in_flight{limit="few"} 0`)
	if status, _ := r.client.get(t); status != http.StatusOK {
		t.Errorf("after it: %d", status)
	}
}
