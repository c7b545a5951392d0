package validate_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
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
*"get deployment valor-api-blue -o jsonpath={.spec.template.spec.containers[?(@.name==\"valor-api\")].image}") echo ghcr.io/valor-ivx/valor-api:v1 ;;
*"get deployment valor-api-green -o jsonpath={.spec.template.spec.containers[?(@.name==\"valor-api\")].image}") echo ghcr.io/valor-ivx/valor-api:v0 ;;
*"get deployment"*) exit 1 ;;
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

// edge answers smoke.sh as a good one does, but for one fault.
type edge struct{ fault string }

// ServeHTTP implements http.Handler.
func (e edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("X-Asked-By") != "smoke" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	ask := r.Method + " " + r.URL.Path + " " + string(body)
	answer, known := map[string]struct {
		status int
		body   string
	}{
		"GET /api/health ": {http.StatusOK, `{"status":"ok"}`}, "GET /api/readiness ": {http.StatusOK, `{"status":"ready"}`}, "POST /api/dcf {}": {http.StatusOK, `{"perShare":10.63719200361473}`},
		`POST /api/dcf {"trials": "many"}`: {http.StatusUnprocessableEntity, `{"error":"trials"}`},
	}[ask]
	if !known || len(body) > 0 && r.Header.Get("Content-Type") != "application/json" {
		answer.status = http.StatusNotFound
	}
	if e.fault != "head" {
		w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	switch e.fault {
	case ask + "status":
		answer.status = http.StatusBadGateway
	case ask + "body":
		answer.body = "<html>"
	}
	w.WriteHeader(answer.status)
	_, _ = io.WriteString(w, answer.body+".") // what cannot be written is seen by curl
}

// TestSmokeSeesEachFault: smoke.sh passes an edge that answers as it must, with the options that it is given for curl, and none with a single fault.
func TestSmokeSeesEachFault(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		needs(t, program)
	}
	smoke := func(args ...string) (int, string) {
		cmd := exec.Command(filepath.Join(root, "configs/deploy/smoke.sh"), args...)
		out, _ := cmd.CombinedOutput() // its exit code is what counts
		return cmd.ProcessState.ExitCode(), string(out)
	}
	for fault, want := range map[string]int{"": 0, "head": 1, "GET /api/health status": 1, "GET /api/health body": 1, "GET /api/readiness status": 1, "GET /api/readiness body": 1, "POST /api/dcf {}status": 1, "POST /api/dcf {}body": 1,
		`POST /api/dcf {"trials": "many"}status`: 1, "GET /api/nothing-there status": 1} {
		server := httptest.NewServer(edge{fault})
		code, out := smoke(server.URL+"/", "--header", "X-Asked-By: smoke")
		server.Close()
		if code != want || strings.Count(out, "ok    ")+strings.Count(out, "FAIL  ") != 6 || (strings.Count(out, "FAIL  ") == 0) != (want == 0) {
			t.Errorf("%q: exit %d, not %d:\n%s", fault, code, want, out)
		}
	}
	if code, out := smoke(); code != 2 || !strings.HasPrefix(out, "usage: ") {
		t.Errorf("without a URL: exit %d: %s", code, out)
	}
}
