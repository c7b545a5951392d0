package validate_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
				for _, q := range series.Summary.Quantile {
					pairs["quantile"] = strconv.FormatFloat(q.GetQuantile(), 'g', -1, 64)
					m.add(name, pairs)
				}
			default:
				m.add(name, pairs)
			}
		}
	}
	m.add("up", map[string]string{"job": job, "instance": "somewhere"})
}

// others are the programs that we do not make, as far as they are installed.
type others struct {
	addresses map[string]string // by job
	missing   []string          // the prefixes of the metrics of those that are not
}

// startOthers starts the exporters and Alertmanager with its shipped configuration.
func startOthers(t *testing.T) *others {
	t.Helper()
	o := &others{addresses: map[string]string{}}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	for job, args := range map[string][]string{
		"node":         {"prometheus-node-exporter", "--web.listen-address=127.0.0.1:0"},
		"redis":        {"prometheus-redis-exporter", "-redis.addr", "unix://" + socket, "-web.listen-address", "127.0.0.1:0"},
		"alertmanager": {"prometheus-alertmanager", "--config.file=" + filepath.Join(monitoring, "alertmanager.yml"), "--storage.path=" + dir, "--cluster.listen-address=", "--web.listen-address=127.0.0.1:0"},
	} {
		if _, err := exec.LookPath(args[0]); err != nil && os.Getenv("WEIR_TEST_ALL") == "" {
			o.missing = append(o.missing, job+"_")
			continue
		}
		if job == "redis" {
			start(t, exec.Command(program(t, "redis-server"), "--port", "0", "--unixsocket", socket, "--dir", dir, "--maxmemory", "100mb"))
			eventually(t, "Redis listens", func() bool { return exists(socket) })
		}
		o.addresses[job] = start(t, exec.Command(program(t, args[0]), args[1:]...)).address(t)
	}
	return o
}

// everything is what Prometheus finds at its targets.
func everything(t *testing.T, s *stage, o *others) metrics {
	t.Helper()
	m := metrics{}
	m.scrape(t, "weir", "http://"+s.edge+"/metrics", "Authorization", "Bearer "+adminToken)
	m.scrape(t, "valor-api", "http://"+s.blue+"/metrics")
	m.scrape(t, "valor-api", "http://"+s.faulty+"/metrics")
	for job, address := range o.addresses {
		m.scrape(t, job, "http://"+address+"/metrics")
	}
	return m
}

// foreign tells whether an expression reads what a program exports that is not installed.
func (o *others) foreign(expr string) bool {
	return slices.ContainsFunc(o.missing, func(prefix string) bool { return regexp.MustCompile(`\b` + prefix + `\w`).MatchString(expr) })
}

// checkRules: every metric, label and value in the rules is one that is exported, and what annotations quote is a label of the alert. The reader then knows what is recorded.
func checkRules(t *testing.T, r *reader, o *others) {
	quoted := regexp.MustCompile(`\$labels\.(\w+)`)
	for _, g := range rules(t) {
		for _, rule := range g.Rules {
			if o.foreign(rule.Expr) {
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
			r.fired[rule.Alert] = of
			for key, text := range rule.Annotations {
				for _, q := range quoted.FindAllStringSubmatch(text, -1) {
					if !of[q[1]] {
						t.Errorf("%s: its %s quotes %s, its labels are %q", rule.Alert, key, q[1], of.list())
					}
				}
			}
		}
	}
}
