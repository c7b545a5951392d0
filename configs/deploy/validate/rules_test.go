package validate_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	root       = "../../.."
	monitoring = "../monitoring"
	operations = "docs/operations.md"
	runbooks   = "https://github.com/valor-ivx/weir/blob/main/" + operations + "#"
)

// rules are the groups of every shipped rule file. Reading them parses every expression and every template.
func rules(t *testing.T) (groups []rulefmt.RuleGroup) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(monitoring, "rules", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		list, errs := rulefmt.ParseFile(file, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		for _, err := range errs {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		if list != nil {
			groups = append(groups, list.Groups...)
		}
	}
	return groups
}

// alerts are the alerting rules among them.
func alerts(t *testing.T) (list []rulefmt.Rule) {
	t.Helper()
	for _, g := range rules(t) {
		for _, r := range g.Rules {
			if r.Alert != "" {
				list = append(list, r)
			}
		}
	}
	return list
}

// TestAlertsSayWhatToDo: every alert has a severity that Alertmanager routes by, says in words what is the matter, and leads to its own paragraph in docs/operations.md.
func TestAlertsSayWhatToDo(t *testing.T) {
	paragraphs := sections(t, operations)
	named := map[string]bool{}
	for _, a := range alerts(t) {
		if named[a.Alert] {
			t.Errorf("%s: two alerts of this name", a.Alert)
		}
		named[a.Alert] = true
		if s := a.Labels["severity"]; s != "critical" && s != "warning" && s != "info" && (a.Alert != "Watchdog" || s != "none") {
			t.Errorf("%s: severity %q", a.Alert, s)
		}
		for _, key := range []string{"summary", "description"} {
			if a.Annotations[key] == "" {
				t.Errorf("%s: no %s", a.Alert, key)
			}
		}
		anchor, ok := strings.CutPrefix(a.Annotations["runbook_url"], runbooks)
		if !ok || anchor != strings.ToLower(a.Alert) {
			t.Errorf("%s: runbook_url %q, want %s", a.Alert, a.Annotations["runbook_url"], runbooks+strings.ToLower(a.Alert))
		}
		if len(paragraphs[anchor]) < 80 {
			t.Errorf("%s: %s has no paragraph under a heading %s", a.Alert, operations, a.Alert)
		}
	}
	if len(named) == 0 {
		t.Error("no alerts")
	}
	_, text, _ := strings.Cut(read(t, operations), "\n## Alerts\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for _, h := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(text, -1) {
		if !named[h[1]] {
			t.Errorf("%s: a runbook for %s, which no rule has", operations, h[1])
		}
	}
}

// sections are the texts of a page by the anchors that GitHub gives their headings.
func sections(t *testing.T, page string) map[string]string {
	t.Helper()
	list, anchor, fenced := map[string]string{}, "", false
	dropped := regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	for line := range strings.Lines(read(t, page)) {
		fenced = fenced != strings.HasPrefix(line, "```")
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") && !fenced {
			anchor = strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
			continue
		}
		list[anchor] += line
	}
	return list
}

// read is a file of the tree, by its path from the top.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
