package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/proxy/server"
)

// TestTogether does at the same time all that can change or read what is in force. The race detector and the answers are the judges.
func TestTogether(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	defer func() { nothingLeft(t, ignore, -1) }()
	blue, green := newColour(t, "blue"), newColour(t, "green")
	defer blue.kill()
	defer green.kill()
	dir := shortDir(t)
	defer func() { _ = os.RemoveAll(dir) }()
	r := run(t, dir, configText(dir, 50, 1, false, []string{blue.address}, green.address))
	const rounds = 60
	var all sync.WaitGroup
	do := func(f func(i int)) {
		all.Go(func() {
			for i := range rounds {
				f(i)
			}
		})
	}
	try := func(method, path, body string, wants ...int) {
		status, answer, err := r.try(method, path, body)
		for _, want := range wants {
			if status == want {
				return
			}
		}
		t.Errorf("%s %s: %d %s %v", method, path, status, answer, err)
	}
	do(func(i int) { // one writer of the file, so that each is whole
		r.write(configText(dir, 10+i%80, 1+i, i%3 == 0, []string{blue.address}, green.address))
		try("POST", "/v1/reload", "", http.StatusOK)
	})
	do(func(int) { try("POST", "/v1/reload", "", http.StatusOK) })
	do(func(i int) {
		try("PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, i, 100-i), http.StatusOK)
	})
	do(func(int) { try("DELETE", "/v1/services/api/weights", "", http.StatusOK) })
	do(func(int) { try("GET", "/v1/status", "", http.StatusOK); try("GET", "/metrics", "", http.StatusOK) })
	do(func(int) {
		try("POST", "/v1/explain", `{"url":"http://x/"}`, http.StatusOK)
		try("GET", "/v1/config", "", http.StatusOK)
	})
	do(func(i int) {
		if i%10 == 0 {
			r.signals <- syscall.SIGHUP
			r.signals <- syscall.SIGUSR1
		}
	})
	for range 2 {
		all.Go(func() {
			c := connect(t, r.address)
			defer func() { _ = c.conn.Close() }()
			for range 10 * rounds {
				if status, colour, err := c.try(); err != nil || status != http.StatusOK || colour == "" {
					t.Errorf("%d %q %v", status, colour, err)
					return
				}
			}
		})
	}
	all.Wait()
	r.stop()
}

// TestFailedStart holds every start that fails to leave nothing: no goroutine, no descriptor, no open port.
func TestFailedStart(t *testing.T) {
	blue := newColour(t, "blue")
	defer blue.kill()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, c := range []struct {
		name, old, new, pid, want string
	}{
		{"file", "[[route]]", "[[rout]]", "", "weir.toml:"},
		{"port", `address = "127.0.0.1:0"`, fmt.Sprintf("address = \"127.0.0.1:0\"\n[[listener]]\nname = \"taken\"\naddress = %q", taken.Addr()), "", "address already in use"},
		{"admin port", "address = \"unix:", fmt.Sprintf("address = %q\n#", taken.Addr()), "", "address already in use"},
		{"state", `state_dir = "state"`, `state_dir = "/proc/nowhere"`, "", "state_dir"},
		{"log", `access = "off"`, `output = "no/such/folder/log"`, "", "log"},
		{"pid", "", "", "no/such/folder/pid", "pid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ignore, files := goleak.IgnoreCurrent(), openFiles(t)
			dir := shortDir(t)
			defer func() { _ = os.RemoveAll(dir) }()
			text := strings.Replace(configText(dir, 50, 1, false, []string{blue.address}, blue.address), c.old, c.new, 1)
			if err := os.WriteFile(filepath.Join(dir, "weir.toml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			pid := c.pid
			if pid != "" {
				pid = filepath.Join(dir, pid)
			}
			var errs strings.Builder
			code := server.Run(context.Background(), server.Options{
				ConfigPath: filepath.Join(dir, "weir.toml"), PIDFile: pid, Stdout: io.Discard, Stderr: &errs,
				Ready: func(*server.Server) { t.Error("called ready") },
			}, nil)
			if code != 1 || !strings.Contains(errs.String(), c.want) {
				t.Errorf("exit %d, %q does not say %q", code, errs.String(), c.want)
			}
			nothingLeft(t, ignore, files)
		})
	}
}
