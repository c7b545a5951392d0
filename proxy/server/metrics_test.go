package server_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// contracted are the metrics that dashboards, alerts and scripts were promised, with their labels. weir_cache_requests_total{route,result} is among the promises too, and comes with the cache: a
// configuration that asks for one is refused until then.
var contracted = [...]struct{ name, labels string }{
	{"weir_http_requests_total", "code listener method proto route"},
	{"weir_http_request_duration_seconds", "route"},
	{"weir_http_requests_in_flight", ""},
	{"weir_connections", "listener state"},
	{"weir_group_requests_total", "code group service"},
	{"weir_group_share", "group kind service"},
	{"weir_upstream_connect_duration_seconds", "group service"},
	{"weir_upstream_header_duration_seconds", "group service"},
	{"weir_upstream_response_duration_seconds", "group service"},
	{"weir_upstream_up", "group service target"},
	{"weir_upstream_ejections_total", "group reason service target"},
	{"weir_upstream_retries_total", "reason service"},
	{"weir_limit_decisions_total", "decision limit"},
	{"weir_rollout_evidence", "service"},
	{"weir_rollout_rollbacks_total", "reason service"},
	{"weir_config_reloads_total", "result"},
	{"weir_config_last_reload_successful", ""},
	{"weir_tls_certificate_not_after_timestamp_seconds", "subject"},
	{"weir_build_info", "goversion revision version"},
}

// TestContractMetricsAtTheFirstScrape holds a running server to the contract: at the first scrape, before any request, everything that was promised is there, with these labels and no others, and
// what counts stands at 0.
func TestContractMetricsAtTheFirstScrape(t *testing.T) {
	dir := shortDir(t)
	ca := newAuthority(t)
	cert, key := ca.pair(t, "edge.example", time.Now().Add(time.Hour))
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	blue := newColour(t, "blue")
	r := run(t, dir, fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[tls.certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"+
		"[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"secure\"\naddress = \"127.0.0.1:0\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\"]\n"+
		"[limit.slow]\nrate = \"1/h\"\nkey = \"client_ip\"\n[[route]]\nname = \"all\"\nservice = \"api\"\nlimits = [\"slow\"]\n[service.api.group.blue]\ntargets = [%q]\n",
		dir, blue.address))
	defer r.stop()

	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(r.call(http.StatusOK, "GET", "/metrics", "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contracted {
		f := families[c.name]
		if f == nil {
			t.Errorf("the first scrape lacks %s", c.name)
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			slices.Sort(labels)
			if got := strings.Join(labels, " "); got != c.labels {
				t.Errorf("%s has the labels %q, promised are %q", c.name, got, c.labels)
			}
			if n := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()); n != 0 {
				t.Errorf("%s stands at %v before any request: %v", c.name, n, m)
			}
		}
	}
	unexpected(t, families)
}

// unexpected fails for label values that nothing in the configuration, and no closed set of ours, has brought about.
func unexpected(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	known := map[string][]string{
		"listener": {"plain", "secure"}, "route": {"all", "-"}, "service": {"api"}, "group": {"blue"}, "limit": {"slow"}, "subject": {"edge.example"},
		"state": {"active", "idle"}, "kind": {"configured", "observed"}, "method": {"GET"}, "code": {"200"}, "proto": {"HTTP/1.1"},
		"decision": {"allowed", "limited", "dry_run"}, "result": {"success", "failure", "unchanged"},
	}
	for _, c := range contracted {
		for _, m := range families[c.name].GetMetric() {
			for _, l := range m.GetLabel() {
				if values, closed := known[l.GetName()]; closed && !slices.Contains(values, l.GetValue()) {
					t.Errorf("%s: nobody has made %s=%q", c.name, l.GetName(), l.GetValue())
				}
			}
		}
	}
}
