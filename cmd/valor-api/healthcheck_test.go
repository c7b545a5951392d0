package main_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// What a container's health check runs says yes to a service that is ready, over TLS too, and no to one that stops or is not there.
func TestHealthcheck(t *testing.T) {
	ca, err := edgetls.OpenLocalCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"valor.example.com"}, time.Now()) // not the name that the health check uses
	if err != nil {
		t.Fatal(err)
	}
	secure := []string{"VALOR_TLS_CERT=" + pair.Cert, "VALOR_TLS_KEY=" + pair.Key}
	for name, env := range map[string][]string{"plain": nil, "tls": secure} {
		t.Run(name, func(t *testing.T) {
			i := start(t, filepath.Join(t.TempDir(), "x.db"), append(env, "VALOR_DRAIN_DELAY=60s")...)
			here := append([]string{"VALOR_ADDRESS=" + strings.TrimPrefix(i.url, "http://"), "HTTP_PROXY=http://127.0.0.1:9"}, env...)
			if code, said := healthcheck(t, here); code != 0 || !strings.Contains(said, `"status":"ready"`) {
				t.Errorf("exit %d: %s", code, said)
			}
			if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(30 * time.Second); ; { // the drain delay is far from over
				code, said := healthcheck(t, here)
				if code == 1 && strings.Contains(said, "not ready: status 503") && strings.Contains(said, "stopping") {
					break
				}
				if code != 0 || time.Now().After(end) {
					t.Fatalf("exit %d: %s", code, said)
				}
			}
		})
	}
	if code, said := healthcheck(t, []string{"VALOR_ADDRESS=127.0.0.1:1"}); code != 1 || !strings.Contains(said, "refused") {
		t.Errorf("exit %d: %s", code, said)
	}
	if code, said := healthcheck(t, []string{"VALOR_ADDRESS=5002"}); code != 1 || !strings.Contains(said, "is not host:port") {
		t.Errorf("exit %d: %s", code, said)
	}
}

func healthcheck(t *testing.T, env []string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built, "healthcheck")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
