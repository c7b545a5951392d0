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
