package validate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ruleTests is what is read of a file for promtool test rules.
type ruleTests struct {
	RuleFiles []string `yaml:"rule_files"`
	Tests     []struct {
		Name   string `yaml:"name"`
		Series []struct {
			Series string `yaml:"series"`
		} `yaml:"input_series"`
		Alerts []struct {
			Alert    string           `yaml:"alertname"`
			Expected []map[string]any `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

// TestEveryAlertIsTriedBothWays: the files that promtool runs have, for each alert, figures by which it fires and figures by which it does not.
func TestEveryAlertIsTriedBothWays(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range testFiles(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tests ruleTests
		if err := yaml.Unmarshal(b, &tests); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range tests.Tests {
			if len(c.Series) == 0 {
				t.Errorf("%s: %s has no series: silence shows nothing", filepath.Base(file), c.Name)
			}
			for _, a := range c.Alerts {
				if len(a.Expected) > 0 {
					fires[a.Alert] = true
				} else {
					silent[a.Alert] = true
				}
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] {
			t.Errorf("%s: no test shows that it fires", a.Alert)
		}
		if !silent[a.Alert] && a.Alert != "Watchdog" { // which never is
			t.Errorf("%s: no test shows that it does not fire", a.Alert)
		}
	}
}

// TestPromtool runs Prometheus' own check of the rules and the tests of them.
func TestPromtool(t *testing.T) {
	promtool := program(t, "promtool")
	files, err := filepath.Glob(filepath.Join(monitoring, "rules", "*.yml"))
	if err != nil || len(files) != len(testFiles(t)) {
		t.Fatalf("%d files of rules, %d of tests, %v", len(files), len(testFiles(t)), err)
	}
	if out, err := exec.Command(promtool, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files...)...).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	for _, file := range testFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			if out, err := exec.Command(promtool, "test", "rules", file).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(monitoring, "rules", "tests", "*_test.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if of := filepath.Join(monitoring, "rules", strings.TrimSuffix(filepath.Base(f), "_test.yml")+".yml"); !exists(of) {
			t.Errorf("%s tests no file", f)
		}
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// program is the path of a Debian program that a test runs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("WEIR_TEST_ALL") != "" {
		t.Fatalf("needs %s (make deps), and skips are forbidden", name)
	}
	t.Skipf("skipped: needs %s (make deps)", name)
	return ""
}
