package validate_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kubectl records what it is asked and answers as a cluster with blue serving v1 and green at v0 would. deploy's exit code is DEPLOY's, a rollout's of a Deployment READY's.
const kubectl = `#!/bin/sh
echo "$*" >> "$RECORD"
case "$*" in
*" status --json") echo '{"services":[{"name":"api","groups":[{"name":"blue","weight":100},{"name":"green","weight":0}]}]}' ;;
*"get deployment valor-api-blue"*) echo ghcr.io/valor-ivx/valor-api:v1 ;;
*"get deployment valor-api-green"*) echo ghcr.io/valor-ivx/valor-api:v0 ;;
*" rollout status deployment/"*) exit "$READY" ;;
*"/usr/bin/weir deploy api"*) exit "$DEPLOY" ;;
esac
`

// TestDeployByKubectl: what deploy.sh asks of a cluster, in which order, for each end: the idle colour alone is touched, and is put back where the deployment fails.
func TestDeployByKubectl(t *testing.T) {
	for _, program := range []string{"bash", "jq"} {
		needs(t, program)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o755); err != nil {
		t.Fatal(err)
	}
	const begin = "image green=v2, status green"
	for _, c := range []struct {
		name, args, ready, deploy string
		code                      int
		asks                      string
	}{
		{"promoted", "production v2", "0", "0", 0, begin + ", deploy green"},
		{"rolled back", "production v2", "0", "4", 4, begin + ", deploy green, undo green"},
		{"not over", "production v2", "0", "5", 5, begin + ", deploy green, abort, undo green"},
		{"image cannot be pulled", "staging v2", "1", "0", 5, begin + ", undo green"},
		{"there already", "production v1", "0", "0", 0, ""},
		{"dry run", "production v2 --dry-run", "0", "0", 0, ""},
		{"back", "rollback staging", "0", "0", 0, "status green, weights blue=0 green=100"},
		{"back to what is not ready", "rollback staging", "1", "0", 5, "status green"},
		{"status", "status production", "0", "0", 0, ""},
	} {
		record := filepath.Join(t.TempDir(), "record")
		cmd := exec.Command(filepath.Join(root, "configs/deploy/deploy.sh"), strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "RECORD="+record, "READY="+c.ready, "DEPLOY="+c.deploy, "SMOKE_URL=", "DEPLOY_BY=")
		out, err := cmd.CombinedOutput()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%s: %v, exit %d, not %d:\n%s", c.name, err, cmd.ProcessState.ExitCode(), c.code, out)
		}
		if got := strings.Join(asked(t, record, c.args), ", "); got != c.asks {
			t.Errorf("%s: asked for %q, not %q", c.name, got, c.asks)
		}
	}
}

// asked are the words for what was asked that changes something or waits, each in the environment's own namespace.
func asked(t *testing.T, record, args string) (list []string) {
	t.Helper()
	b, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	namespace := "weir-staging"
	if slices.Contains(strings.Fields(args), "production") {
		namespace = "weir-production"
	}
	words := strings.NewReplacer(
		"set image deployment/valor-api-green valor-api=ghcr.io/valor-ivx/valor-api:", "image green=", "rollout status deployment/valor-api-green --timeout 5m", "status green",
		"rollout undo deployment/valor-api-green", "undo green", "exec deployment/weir --container weir -- /usr/bin/weir ", "",
		"deploy api --to green --wait --healthy-timeout 5m --wait-timeout 1h", "deploy green", "rollout api abort", "abort", "weights api ", "weights ")
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--namespace "+namespace+" ")
		if !ok {
			t.Errorf("outside of %s: %s", namespace, line)
		}
		if strings.HasPrefix(rest, "get ") || strings.HasSuffix(rest, "status --json") {
			continue
		}
		list = append(list, words.Replace(rest))
	}
	return list
}
