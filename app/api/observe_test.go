package api_test

import (
	"strings"
	"testing"
)

func TestAccessLogHasNoQuery(t *testing.T) {
	s := start(t, nil)
	s.send("GET", "/api/runs?search_term=SECRET", "")
	entries := s.logs.FilterMessage("request").All()
	if len(entries) != 1 || entries[0].ContextMap()["route"] != "GET /api/runs" ||
		entries[0].ContextMap()["status"] != int64(200) {
		t.Fatalf("log %v", entries)
	}
	for k, v := range entries[0].ContextMap() {
		if text, ok := v.(string); ok && strings.Contains(text, "SECRET") {
			t.Errorf("%s holds the query", k)
		}
	}
}

func TestMetricsExistBeforeTheFirstRequest(t *testing.T) {
	s := start(t, nil)
	body := string(s.send("GET", "/metrics", "").body)
	for _, series := range []string{
		"valor_runs_created_total 0", `valor_dcf_valuations_total{result="invalid"} 0`,
		`valor_http_requests_total{code="5xx",method="POST",route="/api/runs"} 0`,
		`valor_http_requests_total{code="2xx",method="GET",route="/api/runs/{run_id}"} 0`,
		`valor_http_requests_total{code="4xx",method="any",route="unmatched"} 0`,
		`valor_http_request_duration_seconds_count{method="POST",route="/api/dcf"} 0`,
		`valor_db_connections{pool="write",state="in_use"} 0`, `valor_db_connections_max{pool="write"} 1`,
		`valor_build_info{color="blue",version="v1.2.3"} 1`, `valor_http_requests_in_flight 1`,
	} {
		if !strings.Contains(body, series+"\n") {
			t.Errorf("missing %s", series)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	s := start(t, nil)
	s.send("POST", "/api/runs", `{"inputs":{"ticker":"A"}}`)
	s.send("POST", "/api/runs", `{}`)
	s.send("POST", "/api/dcf", `{}`)
	s.send("POST", "/api/dcf", `{"wacc":9}`)
	s.send("GET", "/api/runs/nonsense", ``)
	s.send("GET", "/"+strings.Repeat("x", 100), ``)
	body := string(s.send("GET", "/metrics", "").body)
	for _, series := range []string{
		"valor_runs_created_total 1",
		`valor_dcf_valuations_total{result="ok"} 1`, `valor_dcf_valuations_total{result="invalid"} 1`,
		`valor_http_requests_total{code="2xx",method="POST",route="/api/runs"} 1`,
		`valor_http_requests_total{code="4xx",method="POST",route="/api/runs"} 1`,
		`valor_http_requests_total{code="4xx",method="GET",route="/api/runs/{run_id}"} 1`,
		`valor_http_requests_total{code="4xx",method="any",route="unmatched"} 1`,
	} {
		if !strings.Contains(body, series+"\n") {
			t.Errorf("missing %s", series)
		}
	}
	if strings.Contains(body, "xxx") || strings.Contains(body, "nonsense") {
		t.Error("a client chose a label")
	}
}
