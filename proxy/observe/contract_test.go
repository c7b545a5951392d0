package observe_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// contract is what scrapes, dashboards and alerts rely on: every name, type and label, and what stands in the first scrape.
var contract = []struct {
	name, kind string
	labels     []string
}{
	{"weir_access_list_last_reload_successful", "gauge", []string{"access"}},
	{"weir_audit_log_dropped_total", "counter", nil},
	{"weir_auth_last_reload_successful", "gauge", []string{"auth"}},
	{"weir_build_info", "gauge", []string{"goversion", "revision", "version"}},
	{"weir_cluster_errors_total", "counter", []string{"operation"}},
	{"weir_cluster_overlay_revision", "gauge", nil},
	{"weir_cluster_replicas", "gauge", nil},
	{"weir_cluster_request_duration_seconds", "histogram", []string{"operation"}},
	{"weir_cluster_up", "gauge", nil},
	{"weir_compress_input_bytes_total", "counter", []string{"coding", "route"}},
	{"weir_compress_output_bytes_total", "counter", []string{"coding", "route"}},
	{"weir_compress_responses_total", "counter", []string{"coding", "route"}},
	{"weir_config_last_reload_successful", "gauge", nil},
	{"weir_config_reloads_total", "counter", []string{"result"}},
	{"weir_config_reverts_total", "counter", []string{"result"}},
	{"weir_connections", "gauge", []string{"listener", "state"}},
	{"weir_connections_accepted_total", "counter", []string{"listener"}},
	{"weir_connections_evicted_total", "counter", []string{"listener"}},
	{"weir_connections_refused_total", "counter", []string{"listener", "reason"}},
	{"weir_csp_reports_total", "counter", []string{"directive", "headers"}},
	{"weir_discovery_changes_total", "counter", []string{"source"}},
	{"weir_discovery_failures_total", "counter", []string{"source"}},
	{"weir_discovery_last_answer_timestamp_seconds", "gauge", []string{"source"}},
	{"weir_discovery_targets", "gauge", []string{"source", "state"}},
	{"weir_discovery_up", "gauge", []string{"source"}},
	{"weir_group_requests_total", "counter", []string{"code", "group", "service"}},
	{"weir_group_share", "gauge", []string{"group", "kind", "service"}},
	{"weir_http2_connections_total", "counter", nil},
	{"weir_http2_errors_total", "counter", []string{"kind"}},
	{"weir_http2_floods_total", "counter", []string{"kind"}},
	{"weir_http2_resets_total", "counter", []string{"by"}},
	{"weir_http2_streams_total", "counter", nil},
	{"weir_http3_errors_total", "counter", []string{"kind"}},
	{"weir_http3_streams_total", "counter", nil},
	{"weir_http_errors_total", "counter", []string{"listener", "reason"}},
	{"weir_http_request_duration_seconds", "histogram", []string{"route"}},
	{"weir_http_requests_in_flight", "gauge", nil},
	{"weir_http_requests_total", "counter", []string{"code", "listener", "method", "proto", "route"}},
	{"weir_incidents_total", "counter", []string{"result"}},
	{"weir_limit_decisions_total", "counter", []string{"decision", "limit"}},
	{"weir_limit_evictions_total", "counter", []string{"limit"}},
	{"weir_limit_keys", "gauge", []string{"limit"}},
	{"weir_limit_requests_in_flight", "gauge", []string{"limit"}},
	{"weir_limit_shared_degraded", "gauge", []string{"limit"}},
	{"weir_limit_shared_overflows_total", "counter", nil},
	{"weir_limit_shared_waiting", "gauge", nil},
	{"weir_log_dropped_total", "counter", nil},
	{"weir_log_sampled_out_total", "counter", nil},
	{"weir_metrics_overflow_total", "counter", []string{"family"}},
	{"weir_metrics_scrapes_total", "counter", []string{"result"}},
	{"weir_pause_waiting", "gauge", []string{"service"}},
	{"weir_queue_length", "gauge", []string{"priority", "service"}},
	{"weir_queue_wait_seconds", "histogram", []string{"service"}},
	{"weir_quic_retries_total", "counter", []string{"listener"}},
	{"weir_rollout_evidence", "gauge", []string{"service"}},
	{"weir_rollout_harm", "gauge", []string{"service"}},
	{"weir_rollout_needs_requests", "gauge", []string{"service"}},
	{"weir_rollout_rollbacks_total", "counter", []string{"reason", "service"}},
	{"weir_rollout_state", "gauge", []string{"service", "state"}},
	{"weir_rollout_step", "gauge", []string{"service"}},
	{"weir_rollout_threshold", "gauge", []string{"service"}},
	{"weir_service_paused", "gauge", []string{"service"}},
	{"weir_service_requests_in_flight", "gauge", []string{"service"}},
	{"weir_shadow_differing_places", "gauge", []string{"service"}},
	{"weir_shadow_requests_total", "counter", []string{"result", "service"}},
	{"weir_shadow_upstream_requests_total", "counter", []string{"group", "service"}},
	{"weir_shed_total", "counter", []string{"priority", "reason", "service"}},
	{"weir_tls_certificate_not_after_timestamp_seconds", "gauge", []string{"subject"}},
	{"weir_tls_certificate_not_before_timestamp_seconds", "gauge", []string{"subject"}},
	{"weir_tls_handshakes_total", "counter", []string{"listener", "result", "version"}},
	{"weir_tls_key_exchanges_total", "counter", []string{"group", "listener"}},
	{"weir_tls_on_demand_total", "counter", []string{"result"}},
	{"weir_tls_resumed_total", "counter", []string{"listener"}},
	{"weir_traces_dropped_total", "counter", []string{"reason"}},
	{"weir_traces_exported_total", "counter", nil},
	{"weir_upgrades_total", "counter", []string{"result"}},
	{"weir_upstream_concurrency_limit", "gauge", []string{"group", "service", "target"}},
	{"weir_upstream_connect_duration_seconds", "histogram", []string{"group", "service"}},
	{"weir_upstream_ejections_total", "counter", []string{"group", "reason", "service", "target"}},
	{"weir_upstream_header_duration_seconds", "histogram", []string{"group", "service"}},
	{"weir_upstream_hedges_total", "counter", []string{"result", "service"}},
	{"weir_upstream_response_duration_seconds", "histogram", []string{"group", "service"}},
	{"weir_upstream_retries_total", "counter", []string{"reason", "service"}},
	{"weir_upstream_up", "gauge", []string{"group", "service", "target"}},
	{"weir_waf_decisions_total", "counter", []string{"decision", "waf"}},
	{"weir_waf_last_reload_successful", "gauge", []string{"waf"}},
}

func TestContractNamesAndLabels(t *testing.T) {
	families, err := populated().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "weir_") {
			continue
		}
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got = append(got, fmt.Sprintf("%s %s %v", f.GetName(), strings.ToLower(f.GetType().String()), labels))
	}
	for _, c := range contract {
		want = append(want, fmt.Sprintf("%s %s %v", c.name, c.kind, c.labels))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contract against scrape (-want +got):\n%s", diff)
	}
}

// Prometheus' own rules for names, units and help.
func TestMetricsLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(populated())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetricsDocumentation(t *testing.T) {
	families, err := populated().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var doc strings.Builder
	doc.WriteString("# Metrics\n\nServed at `/metrics` on the admin listener, as text, OpenMetrics or protobuf. Generated from the code by " +
		"`go test ./proxy/observe -update`; do not edit.\n\nLabels come only from the configuration, never from clients. " +
		"Every series stands at 0 from the first scrape; methods, protocols and codes beyond GET, HTTP/1.1 and 200 appear with their first request, 250 of them at most on one route of one listener and for one group, 200,000 in all; " +
		"what is beyond is counted together (`weir_metrics_overflow_total`), so that no sum is wrong. " +
		"The series of what a reload removes go with it.\n\n" +
		"| name | type | labels | meaning |\n|---|---|---|---|\n")
	others := map[string]bool{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "weir_") {
			others[strings.SplitN(f.GetName(), "_", 2)[0]] = true
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&doc, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	if !others["go"] || !others["process"] {
		t.Errorf("Go and process collectors are missing: %v", others)
	}
	doc.WriteString("\nDurations have the classic buckets, in seconds: ")
	for _, f := range families {
		if f.GetName() == "weir_http_request_duration_seconds" {
			for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
				fmt.Fprintf(&doc, "%g ", b.GetUpperBound())
			}
		}
	}
	doc.WriteString("and +Inf. To a scraper that asks for protobuf (Prometheus with `scrape_native_histograms: true`) they are native histograms as well: " +
		"buckets 9 % wide from a microsecond on, none of them ever merged or reset. " +
		"To one that takes OpenMetrics or protobuf a bucket of `weir_http_request_duration_seconds` names the last traced request in it (`trace_id`), at most a new one each second.\n\n" +
		"A scrape costs what its series take to be copied, no more: with 10,000 routes on two listeners (210,000 series, 16 MB of text) 10 ms of one core, 40 ms with gzip " +
		"(`go test ./proxy/observe -bench Scrape`). It holds no lock that requests need, and gives way after every 256 KiB. Four scrapes are served at a time, each for 30 s at most. " +
		"`?name[]=FAMILY` limits one to some families.\n\nBesides these the Go runtime (`go_…`) and the process (`process_…`).\n")

	path := filepath.Join("..", "..", "docs", "metrics.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), doc.String()); diff != "" {
		t.Errorf("docs/metrics.md is out of date, run go test ./proxy/observe -update (-have +want):\n%s", diff)
	}
}
