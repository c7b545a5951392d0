package server_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// exemplars are the traces that a scrape names, by format.
func (r *running) exemplars(t *testing.T, accept string) (traces []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^weir_http_request_duration_seconds_bucket\{route="all",le="[^"]+"\} \d+ # \{trace_id="([0-9a-f]{32})"\} [0-9.e-]+ \d{10}\.\d{3}$`).
		FindAllStringSubmatch(r.call(http.StatusOK, "GET", "/metrics", "", "Accept", accept), -1) {
		traces = append(traces, m[1])
	}
	return traces
}

// TestExemplars asks with places in traces of every kind: a scrape names those that were sampled, with and without tracing of our own, and no request that is not, or only seems to be.
func TestExemplars(t *testing.T) {
	const sampled, quiet = "4bf92f3577b34da6a3ce929d0e0e4736", "11111111111111111111111111111111"
	const openMetrics = "application/openmetrics-text;version=1.0.0"
	for name, tracing := range map[string]string{
		"tracing off": "",
		"tracing on":  "[tracing]\nendpoint = \"http://127.0.0.1:1\"\nsample_ratio = 0.0\n", // a collector that is away is no reason to forget who was sampled
	} {
		t.Run(name, func(t *testing.T) {
			blue := newColour(t, "blue")
			dir := shortDir(t)
			r := run(t, dir, configText(dir, 100, 64, false, []string{blue.address}, newColour(t, "green").address)+tracing)
			defer r.stop()
			ask := func(traceparent string) {
				req, err := http.NewRequest(http.MethodGet, "http://"+r.address+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Traceparent", traceparent)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("status %d, %v", res.StatusCode, err)
				}
			}
			defer http.DefaultClient.CloseIdleConnections()
			hostile := []string{
				"00-" + quiet + "-00f067aa0ba902b7-00", "00-" + quiet + "-00f067aa0ba902b7-02", "ff-" + quiet + "-00f067aa0ba902b7-01", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01",
				"00-" + strings.ToUpper(sampled) + "-00f067aa0ba902b7-01", `00-"} 1 # {trace_id="x"` + quiet, strings.Repeat("a", 4000),
			}
			for _, h := range hostile {
				ask(h)
			}
			r.scraped(t, fmt.Sprintf(`weir_http_requests_total{code="200",listener="first",method="GET",proto="HTTP/1.1",route="all"} %d`, len(hostile)))
			if got := r.exemplars(t, openMetrics); len(got) != 0 {
				t.Errorf("traces that nobody has sampled: %q", got)
			}
			ask("00-" + sampled + "-00f067aa0ba902b7-01")
			eventually(t, "the sampled trace is named", func() bool {
				got := r.exemplars(t, openMetrics)
				return len(got) == 1 && got[0] == sampled
			})
			if got := r.exemplars(t, "text/plain"); len(got) != 0 {
				t.Errorf("exemplars in the text format, which has none: %q", got)
			}
		})
	}
}
