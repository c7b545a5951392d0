package validate_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape adds what a target exports, as Prometheus would store it.
func (m metrics) scrape(t *testing.T, job, url string, header ...string) {
	t.Helper()
	s := stage{t: t, client: http.DefaultClient}
	code, text := s.ask("GET", url, "", header...)
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", url, code, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	for name, f := range families {
		for _, series := range f.Metric {
			pairs := map[string]string{"job": job, "instance": "somewhere"}
			for _, l := range series.Label {
				pairs[l.GetName()] = l.GetValue()
			}
			switch {
			case series.Histogram != nil:
				m.add(name+"_sum", pairs)
				m.add(name+"_count", pairs)
				pairs["le"] = "0.5" // which all of ours have; whole bounds are refused by matcher
				m.add(name+"_bucket", pairs)
			case series.Summary != nil:
				m.add(name+"_sum", pairs)
				m.add(name+"_count", pairs)
				pairs["quantile"] = "0.5"
				m.add(name, pairs)
			default:
				m.add(name, pairs)
			}
		}
	}
	m.add("up", map[string]string{"job": job, "instance": "somewhere"})
}

// everything is what Prometheus finds at the targets of the shipped configuration. Of those that Debian brings, what is not installed is left out, and so are the prefixes of its metrics
// in what is returned with it.
func everything(t *testing.T, s *stage) (m metrics, missing []string) {
	t.Helper()
	m = metrics{}
	m.scrape(t, "weir", "http://"+s.edge+"/metrics", "Authorization", "Bearer "+token)
	m.scrape(t, "valor-api", "http://"+s.blue+"/metrics")
	m.scrape(t, "valor-api", "http://"+s.faulty+"/metrics")
	for job, program := range map[string]string{"node": "prometheus-node-exporter", "redis": "prometheus-redis-exporter", "prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, job+"_")
			continue
		}
		m.scrape(t, job, "http://"+others(t, job, program)+"/metrics")
	}
	return m, missing
}

// others starts one of the programs that we do not make and is its address.
func others(t *testing.T, job, program string) string {
	t.Helper()
	dir := t.TempDir()
	switch job {
	case "node":
		return start(t, exec.Command(program, "--web.listen-address=127.0.0.1:0")).address(t)
	case "redis":
		socket := filepath.Join(dir, "s")
		redis := exec.Command(needs(t, "redis-server"), "--port", "0", "--unixsocket", socket, "--dir", dir, "--maxmemory", "100mb")
		start(t, redis)
		eventually(t, "Redis listens", func() bool { return exists(socket) })
		return start(t, exec.Command(program, "-redis.addr", "unix://"+socket, "-web.listen-address", "127.0.0.1:0")).address(t)
	case "prometheus":
		config := write(t, dir, "prometheus.yml", "{}\n")
		return start(t, exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")).address(t)
	case "alertmanager":
		config := write(t, dir, "alertmanager.yml", "{ route: { receiver: all }, receivers: [{ name: all }] }\n")
		return start(t, exec.Command(program, "--config.file="+config, "--storage.path="+filepath.Join(dir, "data"), "--cluster.listen-address=", "--web.listen-address=127.0.0.1:0")).address(t)
	}
	t.Fatal(job)
	return ""
}

// TestRulesReadWhatIsExported: every metric, label and value in the rules is one that the real programs export after real traffic, and what annotations quote is a label of the alert.
func TestRulesReadWhatIsExported(t *testing.T) {
	s := newStage(t)
	known, missing := everything(t, s)
	r := &reader{known: known, recorded: map[string]labelSet{}}
	foreign := func(expr string) bool {
		return slices.ContainsFunc(missing, func(prefix string) bool { return regexp.MustCompile(`\b` + prefix + `\w`).MatchString(expr) })
	}
	quoted := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, g := range rules(t) {
		for _, rule := range g.Rules {
			if foreign(rule.Expr) {
				continue
			}
			of := r.read(rule.Expr)
			r.tell(t, rule.Alert+rule.Record)
			for name := range rule.Labels {
				of = of.with(name)
			}
			if rule.Record != "" {
				r.recorded[rule.Record] = of
				continue
			}
			for key, text := range rule.Annotations {
				for _, q := range quoted.FindAllStringSubmatch(text, -1) {
					if !of[q[1]] {
						t.Errorf("%s: its %s quotes %s, its labels are %q", rule.Alert, key, q[1], of.list())
					}
				}
			}
		}
	}
	if len(missing) > 0 {
		t.Logf("not looked at, for want of their programs (make deps): %q", missing)
	}
}

// write is the path of a file with that text.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	s := stage{t: t, dir: dir}
	s.save(name, text)
	return filepath.Join(dir, name)
}
