package observe_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// populated is a Metrics with one of everything that a configuration brings.
func populated() *observe.Metrics {
	m := observe.NewMetrics(observe.Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1.26"})
	m.Listener("https").Secure()
	m.SetReasons([]string{"", "no_route"})
	kinds := []observe.HTTP2Stat{{Kind: "reset", Count: 5}}
	m.SetHTTP3Stats(func() observe.HTTP3Stats { return observe.HTTP3Stats{Streams: 7, Slow: 1} })
	m.SetHTTP2Stats(func() observe.HTTP2Stats { return observe.HTTP2Stats{Streams: 7, Errors: kinds, Floods: kinds} })
	m.Route("https", "login")
	m.CountHedges(m.Service("api", "connect_error"), "api", "won")
	m.Limit("login")
	m.SetWAFs([]string{"core"}, []string{"allowed"})
	m.SetCompression([]string{"api"})
	m.SetWAFStats(func() []observe.GuardStat { return []observe.GuardStat{{Name: "core", Good: true}} })
	m.SetCSPPolicies([]string{"app"}, []string{"script-src"})
	m.SetGuardStats(func() observe.GuardStats {
		return observe.GuardStats{Access: []observe.GuardStat{{Name: "office", Good: true}}, Auth: []observe.GuardStat{{Name: "staff"}}}
	})
	m.SetLimitStats(func() []observe.LimitStat {
		return []observe.LimitStat{{Name: "login", Keys: 3, Evicted: 4, Shared: true}}
	})
	m.Rollout("api", "evidence")
	m.SetRolloutStats([]string{"running", "holding"}, func() []observe.RolloutStat {
		return []observe.RolloutStat{{Service: "api", Evidence: 12.5, Threshold: 1000, Harm: -3, Needs: 7, Step: 2, State: "running"}}
	})
	m.Queue(observe.QueueOptions{Service: "api", Priorities: []string{"normal"}, Reasons: []string{"queue_full"}})
	m.SetQueueStats([]string{"normal"}, func() []observe.QueueStat {
		return []observe.QueueStat{{Service: "api", InFlight: 5, Waiting: []int{6}}}
	})
	m.SetPauseStats(func() []observe.PauseStat { return []observe.PauseStat{{Service: "api", Paused: true, Waiting: 2}} })
	m.SetShadowStats(func() []observe.ShadowStat {
		return []observe.ShadowStat{{Service: "api", Results: map[string]uint64{"same": 4}, Asked: map[string]uint64{"green": 4}, Places: 1}}
	})
	m.SetTraceStats(func() observe.TraceStats {
		return observe.TraceStats{Exported: 3, Dropped: map[string]uint64{"failed": 1}}
	})
	m.Group("api", "blue")
	m.Upstream("api", "blue", "10.0.0.1:5002", "consecutive")
	m.SetDiscoveryStats(func() []observe.DiscoveryStat {
		return []observe.DiscoveryStat{{Source: "dns:api-blue", Up: true, Answered: time.Unix(1e9, 0), Targets: 3, Draining: 1, Failures: 2, Changes: 5}}
	})
	m.SetClusterStat(func() (observe.ClusterStat, bool) { return observe.ClusterStat{Up: true, Replicas: 2}, true })
	m.SetConcurrencyStats(func() []observe.ConcurrencyStat {
		return []observe.ConcurrencyStat{{Key: observe.TargetKey{Service: "api", Group: "blue", Target: "10.0.0.1:5002"}, Limit: 20}}
	})
	m.SetCertificates([]observe.Certificate{{Subject: "example.com", NotBefore: time.Unix(1000000000, 0), NotAfter: time.Unix(2000000000, 0)}})
	return m
}

// scrape returns the weir_ lines of a real scrape.
func scrape(t *testing.T, m *observe.Metrics) []string {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape answered %d: %s", resp.StatusCode, body)
	}
	var lines []string
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "weir_") && !strings.HasPrefix(line, "weir_metrics_scrapes_total") { // which no two scrapes agree on
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func expect(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(lines, w) {
			t.Errorf("scrape lacks %q; it has\n%s", w, strings.Join(lines, "\n"))
		}
	}
}

func TestFirstScrapeHasEverySeriesAtZero(t *testing.T) {
	expect(t, scrape(t, populated()),
		`weir_http_requests_total{code="200",listener="https",method="GET",proto="HTTP/1.1",route="login"} 0`,
		`weir_http_request_duration_seconds_count{route="login"} 0`,
		`weir_access_list_last_reload_successful{access="office"} 1`,
		`weir_auth_last_reload_successful{auth="staff"} 0`,
		`weir_http_requests_in_flight 0`,
		`weir_connections{listener="https",state="active"} 0`,
		`weir_connections{listener="https",state="idle"} 0`,
		`weir_connections_accepted_total{listener="https"} 0`,
		`weir_group_requests_total{code="200",group="blue",service="api"} 0`,
		`weir_group_share{group="blue",kind="configured",service="api"} 0`,
		`weir_group_share{group="blue",kind="observed",service="api"} 0`,
		`weir_upstream_up{group="blue",service="api",target="10.0.0.1:5002"} 0`,
		`weir_upstream_ejections_total{group="blue",reason="consecutive",service="api",target="10.0.0.1:5002"} 0`,
		`weir_upstream_retries_total{reason="connect_error",service="api"} 0`,
		`weir_shed_total{priority="normal",reason="queue_full",service="api"} 0`,
		`weir_queue_wait_seconds_count{service="api"} 0`,
		`weir_service_requests_in_flight{service="api"} 5`,
		`weir_queue_length{priority="normal",service="api"} 6`,
		`weir_rollout_rollbacks_total{reason="evidence",service="api"} 0`,
		`weir_rollout_evidence{service="api"} 12.5`,
		`weir_rollout_state{service="api",state="running"} 1`,
		`weir_rollout_state{service="api",state="holding"} 0`,
		`weir_config_reloads_total{result="failure"} 0`,
		`weir_config_reloads_total{result="success"} 0`,
		`weir_config_last_reload_successful 1`,
		`weir_tls_certificate_not_after_timestamp_seconds{subject="example.com"} 2e+09`,
		`weir_tls_certificate_not_before_timestamp_seconds{subject="example.com"} 1e+09`,
		`weir_build_info{goversion="go1.26",revision="abc",version="1.2.3"} 1`,
		`weir_log_dropped_total 0`,
		`weir_limit_decisions_total{decision="allowed",limit="login"} 0`,
		`weir_limit_decisions_total{decision="limited",limit="login"} 0`,
		`weir_limit_decisions_total{decision="dry_run",limit="login"} 0`,
		`weir_limit_keys{limit="login"} 3`,
		`weir_limit_evictions_total{limit="login"} 4`,
	)
}

// countOneOfEach uses every handle of populated.
func countOneOfEach(t *testing.T, m *observe.Metrics) {
	t.Helper()
	r := m.Route("https", "login")
	r.Done(message.GET, message.HTTP11, 200, 3*time.Millisecond)
	r.Done(message.GET, message.HTTP11, 200, 3*time.Millisecond)
	r.Done(message.POST, message.HTTP2, 429, time.Second)
	r.Done(message.MethodOther, 0, 400, 0)
	r.Done(message.Method(250), message.Proto(99), 999, 0) // from nowhere: bounded labels
	r.Done(message.PATCH, message.HTTP3, 599, 0)
	r.Done(message.GET, message.HTTP10, 100, 0)

	l := m.Listener("https")
	l.Accepted()
	l.Accepted()
	l.Accepted()
	l.Closed()
	l.RequestBegin()

	g := m.Group("api", "blue")
	g.Done(200)
	g.Done(503)
	g.Connect(time.Millisecond)
	g.Header(20 * time.Millisecond)
	g.Response(30 * time.Millisecond)
	g.SetConfiguredShare(0.75)
	g.SetObservedShare(0.7)
	u := m.Upstream("api", "blue", "10.0.0.1:5002")
	u.SetUp(true)
	u.Ejected("consecutive")
	u.Ejected("made up")
	m.Service("api").Retried("connect_error")
	m.Limit("login").Allowed()
	m.Limit("login").Limited()
	m.Limit("login").Limited()
	for range 3 {
		m.Limit("login").DryRun()
	}
	m.LogDropped(7)
	if err := m.Reload(observe.ReloadFailure); err != nil {
		t.Fatal(err)
	}
	if err := m.Reload("perhaps"); err == nil {
		t.Error("an unknown result was taken")
	}
}

func TestCountsEndUpInTheirSeries(t *testing.T) {
	m := populated()
	countOneOfEach(t, m)
	expect(t, scrape(t, m),
		`weir_http_requests_total{code="200",listener="https",method="GET",proto="HTTP/1.1",route="login"} 2`,
		`weir_http_requests_total{code="429",listener="https",method="POST",proto="HTTP/2.0",route="login"} 1`,
		`weir_http_requests_total{code="400",listener="https",method="OTHER",proto="-",route="login"} 1`,
		`weir_http_requests_total{code="000",listener="https",method="OTHER",proto="-",route="login"} 1`,
		`weir_http_requests_total{code="599",listener="https",method="PATCH",proto="HTTP/3.0",route="login"} 1`,
		`weir_http_requests_total{code="100",listener="https",method="GET",proto="HTTP/1.0",route="login"} 1`,
		`weir_http_request_duration_seconds_bucket{route="login",le="0.0025"} 4`,
		`weir_http_request_duration_seconds_bucket{route="login",le="0.005"} 6`,
		`weir_http_request_duration_seconds_count{route="login"} 7`,
		`weir_connections{listener="https",state="active"} 1`,
		`weir_connections{listener="https",state="idle"} 1`,
		`weir_connections_accepted_total{listener="https"} 3`,
		`weir_http_requests_in_flight 1`,
		`weir_group_requests_total{code="200",group="blue",service="api"} 1`,
		`weir_group_requests_total{code="503",group="blue",service="api"} 1`,
		`weir_upstream_connect_duration_seconds_count{group="blue",service="api"} 1`,
		`weir_upstream_header_duration_seconds_count{group="blue",service="api"} 1`,
		`weir_upstream_response_duration_seconds_count{group="blue",service="api"} 1`,
		`weir_group_share{group="blue",kind="configured",service="api"} 0.75`,
		`weir_group_share{group="blue",kind="observed",service="api"} 0.7`,
		`weir_upstream_up{group="blue",service="api",target="10.0.0.1:5002"} 1`,
		`weir_upstream_ejections_total{group="blue",reason="consecutive",service="api",target="10.0.0.1:5002"} 1`,
		`weir_upstream_ejections_total{group="blue",reason="other",service="api",target="10.0.0.1:5002"} 1`,
		`weir_upstream_retries_total{reason="connect_error",service="api"} 1`,
		`weir_log_dropped_total 7`,
		`weir_limit_decisions_total{decision="allowed",limit="login"} 1`,
		`weir_limit_decisions_total{decision="limited",limit="login"} 2`,
		`weir_limit_decisions_total{decision="dry_run",limit="login"} 3`,
		`weir_config_reloads_total{result="failure"} 1`,
		`weir_config_last_reload_successful 0`,
	)
	if err := m.Reload(observe.ReloadUnchanged); err != nil {
		t.Fatal(err)
	}
	expect(t, scrape(t, m), `weir_config_last_reload_successful 1`, `weir_config_reloads_total{result="unchanged"} 1`)
}

func TestHandlesAreStableAcrossReloads(t *testing.T) {
	m := populated()
	handles := func() []any {
		return []any{
			m.Route("https", "login"), m.Group("api", "blue"), m.Listener("https"), m.Service("api"),
			m.Upstream("api", "blue", "10.0.0.1:5002"),
		}
	}
	if first, again := handles(), handles(); !slices.Equal(first, again) {
		t.Errorf("the same names gave other handles: %v, %v", first, again)
	}
}

func TestForgetRemovesWhatLeftAndNothingElse(t *testing.T) {
	m := populated()
	before := scrape(t, m)

	m.Route("http", "login") // shares the duration with https/login
	gone := m.Route("https", "old")
	gone.Done(message.POST, message.HTTP11, 201, 0)
	group := m.Group("api", "green")
	target := m.Upstream("api", "green", "10.0.0.2:5002", "consecutive")
	service := m.Service("old", "connect_error")
	m.Limit("old").Limited()
	queue := m.Queue(observe.QueueOptions{Service: "old", Priorities: []string{"normal"}, Reasons: []string{"queue_full"}})
	queue.Shed(0, "queue_full")
	rollout := m.Rollout("old", "evidence")
	rollout.RolledBack("evidence")
	listener := m.Listener("leaving")
	listener.Accepted()
	listener.RequestBegin()
	m.Listener("empty")

	m.Forget(observe.Inventory{
		Listeners: []string{"https"},
		Routes:    []observe.RouteKey{{Listener: "https", Route: "login"}},
		Services:  []string{"api"},
		Limits:    []string{"login"},
		Queues:    []string{"api"},
		Groups:    []observe.GroupKey{{Service: "api", Group: "blue"}},
		Targets:   []observe.TargetKey{{Service: "api", Group: "blue", Target: "10.0.0.1:5002"}},
	})
	expect(t, scrape(t, m), `weir_http_requests_in_flight 1`, `weir_connections{listener="leaving",state="active"} 1`)

	// Requests that outlive their route end now; nothing may come back.
	gone.Done(message.POST, message.HTTP11, 201, 0)
	gone.Done(message.DELETE, message.HTTP2, 500, 0)
	group.Done(200)
	group.Done(502)
	group.Connect(1)
	group.SetObservedShare(1)
	target.SetUp(true)
	target.Ejected("consecutive")
	service.Retried("connect_error")
	queue.Shed(0, "queue_full")
	queue.Waited(1)
	rollout.RolledBack("evidence")
	listener.RequestEnd()
	listener.Closed()

	if diff := cmp.Diff(before, scrape(t, m)); diff != "" {
		t.Errorf("before the additions against after Forget (-before +after):\n%s", diff)
	}

	m.Route("https", "old").Done(message.GET, message.HTTP11, 200, 0)
	expect(t, scrape(t, m),
		`weir_http_requests_total{code="200",listener="https",method="GET",proto="HTTP/1.1",route="old"} 1`,
		`weir_http_request_duration_seconds_count{route="old"} 1`)
}

func TestForgetKeepsASharedDuration(t *testing.T) {
	m := observe.NewMetrics(observe.Build{})
	m.Route("http", "api").Done(message.GET, message.HTTP11, 200, 0)
	m.Route("https", "api").Done(message.GET, message.HTTP11, 200, 0)
	m.Forget(observe.Inventory{Routes: []observe.RouteKey{{Listener: "https", Route: "api"}}})
	m.Route("https", "api").Done(message.GET, message.HTTP11, 200, 0)
	expect(t, scrape(t, m), `weir_http_request_duration_seconds_count{route="api"} 3`)
}

func TestSetCertificatesReplacesTheSet(t *testing.T) {
	m := populated()
	m.SetCertificates([]observe.Certificate{
		{Subject: "a.example", NotBefore: time.Unix(20, 0), NotAfter: time.Unix(200, 0)},
		{Subject: "a.example", NotBefore: time.Unix(10, 0), NotAfter: time.Unix(100, 0)},
		{Subject: "a.example", NotBefore: time.Unix(30, 0), NotAfter: time.Unix(300, 0)},
	})
	var got []string
	for _, line := range scrape(t, m) {
		if strings.HasPrefix(line, "weir_tls_certificate_") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff([]string{
		`weir_tls_certificate_not_after_timestamp_seconds{subject="a.example"} 100`,
		`weir_tls_certificate_not_before_timestamp_seconds{subject="a.example"} 10`,
	}, got); diff != "" {
		t.Error(diff)
	}
}

// Counting, scraping and forgetting at once: nothing is lost from a route that stays, and the race detector sees no conflict.
func TestConcurrentUseLosesNothing(t *testing.T) {
	m := observe.NewMetrics(observe.Build{})
	keep := observe.Inventory{Routes: []observe.RouteKey{{Listener: "l", Route: "stays"}}, Groups: []observe.GroupKey{{Service: "s", Group: "g"}}}
	const workers, each = 4, 2000
	stays, group := m.Route("l", "stays"), m.Group("s", "g")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range each {
				stays.Done(message.Method(i%10), message.HTTP11, 100+i%500, 0)
				group.Done(100 + i%500)
				m.Route("l", "goes").Done(message.GET, message.HTTP2, 200+i%300, 0)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			m.Forget(keep)
			if _, err := m.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	m.Forget(keep)

	families, err := m.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			sums[f.GetName()] += metric.GetCounter().GetValue()
		}
	}
	for _, name := range []string{"weir_http_requests_total", "weir_group_requests_total"} {
		if sums[name] != workers*each {
			t.Errorf("%s sums to %v, want %d", name, sums[name], workers*each)
		}
	}
}

func TestHandlerLimitsConcurrentScrapes(t *testing.T) {
	m := observe.NewMetrics(observe.Build{})
	block := make(chan struct{})
	entered := make(chan struct{}, 8)
	m.Registry().MustRegister(blockingCollector{entered: entered, release: block})
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			resp, err := client.Get(server.URL)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
		<-entered
	}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the fifth scrape at once got %d, want 503", resp.StatusCode)
	}
	close(block)
	wg.Wait()
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := populated()
	r, g, l, s := m.Route("https", "login"), m.Group("api", "blue"), m.Listener("https"), m.Service("api")
	if n := testing.AllocsPerRun(1000, func() {
		l.RequestBegin()
		r.Done(message.GET, message.HTTP11, 200, time.Millisecond)
		g.Done(200)
		g.Header(time.Millisecond)
		g.Response(time.Millisecond)
		s.Retried("connect_error")
		l.RequestEnd()
	}); n != 0 {
		t.Errorf("counting one request allocates %v times", n)
	}
}
