package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopsSayingSoFirst: during VALOR_DRAIN_DELAY readiness says no, everything is answered, and every connection ends with its answer; a second TERM ends all of it.
func TestStopsSayingSoFirst(t *testing.T) {
	i := start(t, filepath.Join(t.TempDir(), "x.db"), "VALOR_DRAIN_DELAY=60s")
	if code, body, err := get(i.url + "/api/readiness"); err != nil || code != http.StatusOK {
		t.Fatalf("%d %s, %v", code, body, err)
	}
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; { // the delay is far from over
		code, body, err := get(i.url + "/api/readiness")
		if err != nil || time.Now().After(end) {
			t.Fatalf("%d %s, %v", code, body, err)
		}
		if code == http.StatusServiceUnavailable {
			if !strings.Contains(body, `"status":"stopping"`) {
				t.Errorf("readiness %s", body)
			}
			break
		}
	}
	res, err := http.Post(i.url+"/api/dcf", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("%s, close %v, %v", res.Status, res.Close, err)
	}
	i.end(os.Signal(syscall.SIGTERM))
	if s, ok := i.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", i.cmd.ProcessState)
	}
}
