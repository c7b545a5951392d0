package validate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// said is what a line of shell called, with programs that write down how they were called, and secrets that contain their names.
func said(t *testing.T, line string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"redis_password", "elastic_password", "kibana_password", "redis/redis-password"} {
		writeFile(t, filepath.Join(dir, "secrets", name), filepath.Base(name))
	}
	for _, name := range []string{"valkey-cli", "curl", "kibana-docker", "filebeat"} {
		writeFile(t, filepath.Join(dir, name), "#!/bin/sh\necho \"${0##*/} $* by $REDISCLI_AUTH$ELASTICSEARCH_PASSWORD\" >"+dir+"/record\necho $ANSWER\n")
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	line = strings.NewReplacer("/run/secrets/", dir+"/secrets/", "/usr/local/bin/", dir+"/").Replace(line)
	for answer, good := range map[string]bool{"": !strings.Contains(line, "PONG"), "PONG": true} {
		cmd := exec.Command("sh", "-c", line)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "ANSWER="+answer)
		if out, err := cmd.CombinedOutput(); (err == nil) != good {
			t.Errorf("%s: %v when it hears %q: %s", line, err, answer, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// TestShells: what containers run by a shell asks for what it should, with the right password, which is on no command line but curl's own.
func TestShells(t *testing.T) {
	c := compose(t)
	for name, want := range map[string][2]string{ // entrypoint, health check
		"redis":         {"", "valkey-cli ping by redis_password"},
		"elasticsearch": {"", "curl -sf -o /dev/null -u elastic:elastic_password http://127.0.0.1:9200/_cluster/health?wait_for_status=yellow&timeout=2s by"},
		"kibana":        {"kibana-docker  by kibana_password", "curl -sf -o /dev/null http://127.0.0.1:5601/api/status by"},
		"filebeat":      {"filebeat -e --strict.perms=false by elastic_password", "filebeat test output --strict.perms=false by elastic_password"},
	} {
		s := c.Services[name]
		if test := s.Healthcheck.Test; len(test) != 2 || test[0] != "CMD-SHELL" || said(t, test[1]) != want[1] {
			t.Errorf("%s: health check %q", name, test)
		}
		if e := s.Entrypoint; want[0] != "" && (len(e) != 3 || e[0] != "/bin/sh" || e[1] != "-c" || said(t, e[2]) != want[0]) {
			t.Errorf("%s: entrypoint %q", name, e)
		}
	}
	for _, w := range overlay(t, "staging").workloads {
		if w.name != "valor-redis" {
			continue
		}
		if ask := w.pod.Spec.Containers[0].ReadinessProbe.Exec.Command; len(ask) != 3 || ask[0] != "sh" || ask[1] != "-c" || said(t, ask[2]) != "valkey-cli ping by redis-password" {
			t.Errorf("%q", ask)
		}
	}
}
