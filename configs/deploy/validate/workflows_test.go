package validate_test

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// workflow is what the tests ask of one; what else it says is actionlint's to judge.
type workflow struct {
	On          yaml.Node
	Permissions map[string]string
	Concurrency map[string]any
	Env         map[string]string
	Jobs        map[string]job
}

type job struct {
	RunsOn      string `yaml:"runs-on"`
	Timeout     int    `yaml:"timeout-minutes"`
	Needs       any
	If          string
	Permissions map[string]string
	Environment string
	Env         map[string]string
	Strategy    struct {
		Matrix struct{ Target, Module []string }
	}
	Steps []struct {
		Uses, Run, Shell string
		With             map[string]any
		Env              map[string]string
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	all := map[string]workflow{}
	for _, f := range files {
		var w workflow
		b, err := os.ReadFile(f)
		if err == nil {
			err = yaml.Unmarshal(b, &w)
		}
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".yml")] = w
	}
	return all
}

// TestWorkflowsLint: actionlint, with shellcheck for what they run, finds nothing in any workflow.
func TestWorkflowsLint(t *testing.T) {
	needs(t, "shellcheck")
	l, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: "shellcheck"})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := l.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestActionsArePinned: an action is named by commit, one commit for all who use it, with the version beside it that dependabot moves.
func TestActionsArePinned(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`^\s*(?:- )?uses: ([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v?\d+\.\d+\.\d+$`)
	commits := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if !strings.Contains(line, "uses:") {
				continue
			}
			m := pinned.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil {
				t.Errorf("%s: %s", filepath.Base(f), line)
				continue
			}
			repo := strings.Join(strings.Split(m[1], "/")[:2], "/")
			if other := commits[repo]; other != "" && other != m[2] {
				t.Errorf("%s: %s is also at %s", filepath.Base(f), m[1], other)
			}
			commits[repo] = m[2]
		}
	}
}

// TestWorkflowsRunWhatIsThere: make targets and scripts that workflows name exist, no workflow may write by default, and none hands a fork's change the secrets of the repository.
func TestWorkflowsRunWhatIsThere(t *testing.T) {
	makefile := read(t, "Makefile")
	script := regexp.MustCompile(`\bconfigs/\S+\.sh\b`)
	target := regexp.MustCompile(`\bmake ([a-z-]+)`)
	seen := map[string]bool{}
	for name, w := range workflows(t) {
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v", name, w.Permissions)
		}
		var on strings.Builder
		if err := yaml.NewEncoder(&on).Encode(&w.On); err != nil || strings.Contains(on.String(), "pull_request_target") || strings.Contains(on.String(), "workflow_run") {
			t.Errorf("%s: on %s %v", name, on.String(), err)
		}
		for job, j := range w.Jobs {
			for _, s := range j.Steps {
				for _, m := range target.FindAllStringSubmatch(s.Run, -1) {
					seen["make "+m[1]] = true
					if !strings.Contains(makefile, "\n"+m[1]+":") {
						t.Errorf("%s %s: no make %s", name, job, m[1])
					}
				}
				for _, file := range script.FindAllString(s.Run, -1) {
					seen[file] = true
					if info, err := os.Stat(filepath.Join(root, file)); err != nil || info.Mode()&0o111 == 0 {
						t.Errorf("%s %s: %s: %v", name, job, file, err)
					}
				}
			}
		}
	}
	for _, want := range []string{"make ci", "make fuzz", "make deps", "make packages", "configs/deploy/deploy.sh"} {
		if !seen[want] {
			t.Errorf("no workflow runs %s", want)
		}
	}
}

// TestWorkflowHoldsTheChart: Helm itself lints and renders the chart, with what watches pods and without, and kubeconform judges what comes of it; both by version, and a failure at either end of the pipe is one.
func TestWorkflowHoldsTheChart(t *testing.T) {
	for _, s := range workflows(t)["ci"].Jobs["chart"].Steps {
		if s.Run == "" {
			continue
		}
		for _, want := range []string{`go install helm\.sh/helm/v3/cmd/helm@v\d+\.\d+\.\d+\n`, `go install github\.com/yannh/kubeconform/cmd/kubeconform@v\d+\.\d+\.\d+\n`,
			`for watch in false true; do\n`, `helm lint --strict --set "watch\.enabled=\$watch" configs/deploy/helm/weir\n`,
			`helm template \S+ configs/deploy/helm/weir .*--set "watch\.enabled=\$watch" \| kubeconform -strict `} {
			if !regexp.MustCompile(want).MatchString(s.Run) {
				t.Errorf("no %s in\n%s", want, s.Run)
			}
		}
		if s.Shell != "bash" { // which GitHub runs with pipefail then
			t.Errorf("its shell is %q: a chart that Helm cannot render would pass as one without objects", s.Shell)
		}
		return
	}
	t.Error("nothing runs Helm")
}

// TestRollbackCanRun: a job that takes something back needs what it takes back and runs when that has failed. One that says failure() without needs never does.
func TestRollbackCanRun(t *testing.T) {
	rollbacks := 0
	for name, w := range workflows(t) {
		for job, j := range w.Jobs {
			needs := j.needs()
			for _, n := range needs {
				if _, there := w.Jobs[n]; !there {
					t.Errorf("%s: %s needs %s, which is not there", name, job, n)
				}
			}
			if strings.Contains(j.If, "failure()") && len(needs) == 0 {
				t.Errorf("%s: %s waits for a failure of nothing", name, job)
			}
			if job != "rollback" {
				continue
			}
			rollbacks++
			if !slices.Contains(needs, "deploy") || j.If != `${{ always() && contains(fromJSON('["failure", "cancelled"]'), needs.deploy.result) }}` {
				t.Errorf("%s: the rollback needs %v and runs if %s", name, needs, j.If)
			}
		}
	}
	if rollbacks != 1 {
		t.Errorf("%d rollbacks", rollbacks)
	}
}
