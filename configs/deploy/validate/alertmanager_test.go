package validate_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertmanager is what is read of Alertmanager's configuration.
type alertmanager struct {
	Route     yaml.Node `yaml:"route"` // amtool's to judge, and TestAlertmanagerRoutes'
	Receivers []struct {
		Name string `yaml:"name"`
	} `yaml:"receivers"`
	Inhibit []struct {
		Source []string `yaml:"source_matchers"`
		Target []string `yaml:"target_matchers"`
		Equal  []string `yaml:"equal"`
	} `yaml:"inhibit_rules"`
}

// checkInhibitions: every alert that a rule of inhibition names is shipped, and has the labels by which it must equal the other: a label that both lack is equal too, and the wrong alerts
// would be silent.
func checkInhibitions(t *testing.T, fired map[string]labelSet, foreign bool) {
	var config alertmanager
	decodeYAML(t, filepath.Join(monitoring, "alertmanager.yml"), &config)
	if len(config.Inhibit) == 0 {
		t.Error("no inhibitions")
	}
	named := regexp.MustCompile(`alertname =~? "([^"]+)"`)
	for _, rule := range config.Inhibit {
		for _, m := range named.FindAllStringSubmatch(strings.Join(append(slices.Clone(rule.Source), rule.Target...), ","), -1) {
			for name := range strings.SplitSeq(m[1], "|") {
				of := fired[name]
				if of == nil && !foreign {
					t.Errorf("%v: there is no alert %s", rule, name)
				}
				for _, label := range rule.Equal {
					if of != nil && !of[label] {
						t.Errorf("%v: %s has no label %s, only %q", rule, name, label, of.list())
					}
				}
			}
		}
	}
}

// TestAlertmanagerInhibits: what is not told while something else is: this and no more, and only of the same job and the same part of it.
func TestAlertmanagerInhibits(t *testing.T) {
	var config alertmanager
	decodeYAML(t, filepath.Join(monitoring, "alertmanager.yml"), &config)
	var got []string
	for _, r := range config.Inhibit {
		got = append(got, strings.Join(r.Source, ",")+" hides "+strings.Join(r.Target, ",")+" of the same "+strings.Join(r.Equal, ", "))
	}
	want := []string{
		`alertname = "WeirDown" hides severity =~ "warning|info" of the same job, instance`,
		`alertname = "WeirNoHealthyTargets" hides alertname =~ "WeirGroupDown|WeirTargetDown|WeirEjections|WeirRetries|WeirShedding|WeirQueueing" of the same job, service`,
		`alertname = "WeirGroupDown" hides alertname =~ "WeirTargetDown|WeirEjections" of the same job, service, group`,
		`alertname = "WeirBudgetBurnsFast" hides alertname = "WeirBudgetBurnsSlowly" of the same job, slo`,
		`alertname = "WeirCertificateExpires" hides alertname = "WeirCertificateNotRenewed" of the same job, instance, subject`,
		`alertname = "WeirShedding" hides alertname = "WeirQueueing" of the same job, service`,
		`alertname = "RedisDown" hides alertname =~ "WeirClusterDown|WeirLimitNotShared|WeirReplicasDisagree|ValorCacheDown" of the same `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	var root struct {
		GroupBy []string `yaml:"group_by"`
		Routes  []struct {
			Receiver string
			Repeat   string `yaml:"repeat_interval"`
			Wait     string `yaml:"group_wait"`
		}
	}
	// The one that listens to the heartbeat complains after ten minutes.
	if err := config.Route.Decode(&root); err != nil || !slices.Equal(root.GroupBy, []string{"alertname", "job", "service"}) || len(root.Routes) != 3 || root.Routes[0].Repeat != "4m" || root.Routes[0].Wait != "0s" {
		t.Errorf("%v: %+v", err, root)
	}
}

// TestAlertmanagerRoutes: amtool accepts the configuration, and who is told goes by severity.
func TestAlertmanagerRoutes(t *testing.T) {
	amtool := program(t, "amtool")
	config := filepath.Join(monitoring, "alertmanager.yml")
	if out, err := exec.Command(amtool, "check-config", config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for labels, want := range map[string]string{
		"alertname=WeirDown severity=critical":        "pager",
		"alertname=WeirReloadFailed severity=warning": "team",
		"alertname=WeirTargetDown severity=info":      "log",
		"alertname=Watchdog severity=none":            "heartbeat",
		"alertname=SomebodyElses":                     "team",
	} {
		out, err := exec.Command(amtool, append([]string{"config", "routes", "test", "--config.file=" + config}, strings.Fields(labels)...)...).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s is told to %q, want %s (%v)", labels, got, want, err)
		}
	}
}
