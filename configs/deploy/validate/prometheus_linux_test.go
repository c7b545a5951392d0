package validate_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMonitoring holds rules and dashboards to what the real programs export after real traffic: first as text, then as Debian's Prometheus evaluates it that scrapes them with the shipped
// configuration and tells the real Alertmanager.
func TestMonitoring(t *testing.T) {
	s := newStage(t)
	o := startOthers(t)
	var p *prometheus
	if _, err := exec.LookPath("prometheus"); err == nil || os.Getenv("WEIR_TEST_ALL") != "" {
		p = startPrometheus(t, s, o)
		o.addresses["prometheus"] = p.address
	} else {
		o.missing = append(o.missing, "prometheus_")
	}
	r := &reader{known: everything(t, s, o), recorded: map[string]labelSet{}, fired: map[string]labelSet{}}
	r.known.add("ALERTS", map[string]string{"alertname": "Watchdog", "alertstate": "firing", "severity": "none"})
	t.Run("rules", func(t *testing.T) { checkRules(t, r, o) })
	t.Run("inhibitions", func(t *testing.T) { checkInhibitions(t, r.fired, len(o.missing) > 0) })
	t.Run("dashboards", func(t *testing.T) { checkDashboards(t, r, o.foreign) })
	t.Run("logs", func(t *testing.T) { checkLogs(t, s) })
	t.Run("Prometheus", func(t *testing.T) {
		program(t, "prometheus")
		p.evaluatesRules(t)
		p.drawsDashboards(t, s, o)
		if o.addresses["alertmanager"] != "" {
			p.tellsAlertmanager(t, o.addresses["alertmanager"])
			p.silences(t, o.addresses["alertmanager"])
		}
		p.seesDeath(t, s)
	})
}

// prometheus is a running one.
type prometheus struct {
	*process
	stage
	address string
}

// startPrometheus runs the shipped configuration, but that it scrapes and evaluates every two seconds and has other targets, and waits until it has scraped each of them several times.
func startPrometheus(t *testing.T, s *stage, o *others) *prometheus {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(monitoring)); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{stage: stage{t: t, dir: dir, client: http.DefaultClient}}
	p.change("prometheus.yml", "interval: 15s", "interval: 2s")
	p.change("prometheus.yml", "timeout: 10s", "timeout: 2s")
	p.change("prometheus.yml", "/run/secrets/admin_token", "admin_token")
	p.change("rules/slo.yml", "interval: 5m", "interval: 2s")
	p.save("admin_token", adminToken)
	jobs := map[string][]string{"weir": {s.edge}, "valor-api": {s.blue, s.green}, "redis": nil, "node": nil, "alertmanager": nil, "prometheus": nil}
	count := 4
	for job, address := range o.addresses {
		jobs[job] = []string{address}
		count++
	}
	files, err := filepath.Glob(filepath.Join(dir, "targets", "*.yml"))
	if err != nil || len(files) != len(jobs) {
		t.Fatalf("targets %q, want %d", files, len(jobs))
	}
	for job, addresses := range jobs {
		p.target(job, addresses)
	}
	if out, err := exec.Command(program(t, "promtool"), "check", "config", filepath.Join(dir, "prometheus.yml")).CombinedOutput(); err != nil {
		t.Fatalf("promtool check config: %v\n%s", err, out)
	}
	p.process = start(t, exec.Command(program(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0"))
	p.address = p.process.address(t)
	p.target("prometheus", []string{p.address})
	var scraped, rated []map[string]any
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("scraped twice: %v, rated: %v", scraped, rated)
		}
	})
	eventually(t, "Prometheus has scraped every target twice, with traffic between", func() bool {
		s.keepGoing()
		scraped, rated = p.query("sum_over_time(up[1m]) >= 2"), p.query("weir:slo_failure_ratio:rate5m")
		return len(scraped) == count && len(rated) == 2
	})
	return p
}

// change replaces what a copied file says.
func (p *prometheus) change(name, old, replaced string) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil || !strings.Contains(string(b), old) {
		p.t.Fatalf("%s has no %q (%v)", name, old, err)
	}
	p.save(name, strings.ReplaceAll(string(b), old, replaced))
}

// target writes the targets of a job.
func (p *prometheus) target(job string, addresses []string) {
	p.t.Helper()
	list := []map[string][]string{{"targets": addresses}}
	if addresses == nil {
		list = nil
	}
	b, err := json.Marshal(list) // which is YAML too
	if err != nil {
		p.t.Fatal(err)
	}
	p.save(filepath.Join("targets", job+".yml"), string(b))
}

// get is what the API answers, decoded.
func (p *prometheus) get(path string, data any) (code int) {
	p.t.Helper()
	answer := struct{ Data any }{data}
	code, body := p.ask("GET", "http://"+p.address+path, "")
	if err := json.Unmarshal([]byte(body), &answer); err != nil && code == http.StatusOK {
		p.t.Fatalf("%s: %v in %s", path, err, body)
	}
	return code
}

// query is an instant query's vector; nil when there is none or it failed.
func (p *prometheus) query(expr string) []map[string]any {
	p.t.Helper()
	var data struct{ Result []map[string]any }
	if code := p.get("/api/v1/query?query="+url.QueryEscape(expr), &data); code != http.StatusOK && code != http.StatusServiceUnavailable && code != 0 {
		p.t.Fatalf("%s: %d", expr, code)
	}
	return data.Result
}

// evaluatesRules: Prometheus has every shipped rule and evaluates each without an error.
func (p *prometheus) evaluatesRules(t *testing.T) {
	t.Helper()
	want := 0
	for _, g := range rules(t) {
		want += len(g.Rules)
	}
	eventually(t, "every rule has been evaluated", func() bool {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		p.get("/api/v1/rules", &data)
		evaluated := 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("%s: %s", r.Name, r.LastError)
				}
				if r.Health == "ok" {
					evaluated++
				}
			}
		}
		return evaluated == want
	})
}

// drawsDashboards: every panel has something to show, but for those of what did not happen.
func (p *prometheus) drawsDashboards(t *testing.T, s *stage, o *others) {
	t.Helper()
	silent := []string{ // nobody floods, rolls out or computes here; GOMEMLIMIT is not set; a container may have no disk of its own
		"weir-edge: HTTP/2 and HTTP/3 faults", "weir-colors: Ejections", "weir-colors: Retries", "weir-colors: State", "valor-api: Visits to the provider", "valor-api: Figures of companies",
		"weir-resources: Memory of the limit", "weir-resources: Disk left", "valor-api: Computations", "weir-edge: Why weir ended requests", "weir-edge: Browsers' reports", "valor-api: Time, p95",
	}
	variables := strings.NewReplacer("$job", ".*", "$instance", ".*", "$service", ".*", "$api", ".*", "$process", ".*")
	for _, d := range dashboards(t) {
		for _, panel := range d.Panels {
			if len(panel.Targets) == 0 || slices.Contains(silent, d.UID+": "+panel.Title) {
				continue
			}
			eventually(t, d.UID+": "+panel.Title+" shows something", func() bool {
				s.keepGoing()
				for _, target := range panel.Targets {
					if o.foreign(target.Expr) || len(p.query(variables.Replace(unquoted.Replace(target.Expr)))) > 0 {
						return true
					}
				}
				return false
			})
		}
	}
}

// tellsAlertmanager: the alert that always fires arrives at the receiver that the shipped routes send it to.
func (p *prometheus) tellsAlertmanager(t *testing.T, address string) {
	t.Helper()
	eventually(t, "Alertmanager has the watchdog", func() bool {
		_, body := p.ask("GET", "http://"+address+"/api/v2/alerts?filter=alertname=%22Watchdog%22", "")
		var list []struct{ Receivers []struct{ Name string } }
		return json.Unmarshal([]byte(body), &list) == nil && len(list) == 1 && len(list[0].Receivers) == 1 && list[0].Receivers[0].Name == "heartbeat"
	})
}

// silences: what follows from an alert that is told is not told beside it; what does not is.
func (p *prometheus) silences(t *testing.T, address string) {
	t.Helper()
	var list []map[string]any
	for _, labels := range []map[string]string{
		{"alertname": "WeirNoHealthyTargets", "severity": "critical", "job": "test", "service": "a"},
		{"alertname": "WeirGroupDown", "severity": "warning", "job": "test", "service": "a", "group": "g"},
		{"alertname": "WeirGroupDown", "severity": "warning", "job": "test", "service": "b", "group": "g"},
	} {
		list = append(list, map[string]any{"labels": labels})
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if code, body := p.ask("POST", "http://"+address+"/api/v2/alerts", string(b), "Content-Type", "application/json"); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	eventually(t, "one of two alerts is inhibited", func() bool {
		_, body := p.ask("GET", "http://"+address+"/api/v2/alerts?filter=job=%22test%22", "")
		var list []struct {
			Labels map[string]string
			Status struct{ State string }
		}
		states := map[string]string{}
		if json.Unmarshal([]byte(body), &list) != nil {
			return false
		}
		for _, a := range list {
			states[a.Labels["alertname"]+" "+a.Labels["service"]] = a.Status.State
		}
		return states["WeirNoHealthyTargets a"] == "active" && states["WeirGroupDown a"] == "suppressed" && states["WeirGroupDown b"] == "active"
	})
}

// seesDeath: an edge that is gone is an alert.
func (p *prometheus) seesDeath(t *testing.T, s *stage) {
	t.Helper()
	if err := s.weir.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "WeirDown is pending", func() bool { return len(p.query(`ALERTS{alertname="WeirDown",job="weir"}`)) == 1 })
}
