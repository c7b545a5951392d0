package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// watching is a `weir tap` before which requests can be sent.
type watching struct {
	t         *testing.T
	cmd       *exec.Cmd
	out, errs text
	ended     chan error
}

// tapping starts `weir tap` and waits until it watches.
func (e *edge) tapping(args ...string) *watching {
	e.t.Helper()
	w := &watching{t: e.t, ended: make(chan error, 1)}
	w.cmd = exec.Command(filepath.Join(programs(w.t), "weir"), append([]string{"tap", "--admin", "unix://" + e.socket}, args...)...)
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.errs
	if err := begin(w.cmd); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	go func() { w.ended <- w.cmd.Wait() }()
	eventually(w.t, time.Minute, "weir tap watches", func() bool { return strings.Contains(w.errs.String(), "watching") })
	return w
}

// lines are what it has printed once it has ended by itself.
func (w *watching) lines() []string {
	w.t.Helper()
	select {
	case err := <-w.ended:
		if err != nil {
			w.t.Fatalf("%v: %s", err, w.errs.String())
		}
	case <-time.After(time.Minute):
		w.t.Fatalf("does not end; printed %s", w.out.String())
	}
	return strings.Split(strings.TrimSuffix(w.out.String(), "\n"), "\n")
}

// TestE2ETap: what the shipped binary says of live requests, to a pipe and to a terminal.
func TestE2ETap(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address).weights(100)
	c.service += "sticky = \"cookie\"\n"
	e := run(t, dir, c)
	person, program := terminal(t)
	var screen text
	go func() { // ends when the terminal is closed
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			_, _ = screen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	two, slow := e.tapping("--count", "2", "--service", "api", "--json"), e.tapping("--path", "/b", "--count", "1")
	seen := &watching{t: t, ended: make(chan error, 1)}
	seen.cmd = exec.Command(filepath.Join(programs(t), "weir"), "tap", "--admin", "unix://"+e.socket)
	seen.cmd.Stdin, seen.cmd.Stdout, seen.cmd.Stderr = program, program, program
	seen.cmd.Env = append(seen.cmd.Environ(), "TERM=xterm", "NO_COLOR=")
	if err := begin(seen.cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seen.cmd.Process.Kill() })
	go func() { seen.ended <- seen.cmd.Wait() }()
	eventually(t, time.Minute, "weir tap watches", func() bool { return strings.Contains(screen.String(), "watching") })
	ids := map[string]string{}
	for _, path := range []string{"/a?token=s3cret", "/b?token=s3cret"} {
		res, err := http.Get("http://" + e.address("http") + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		ids[path[:2]] = res.Header.Get("X-Request-Id")
		// A request ends after its answer, and the next one may come on another connection: in which order they end is nobody's promise.
		eventually(t, time.Minute, path[:2]+" has ended", func() bool { return strings.Contains(two.out.String(), ids[path[:2]]) })
	}
	for i, line := range two.lines() {
		var r admin.RequestSummary
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if want := []string{"/a", "/b"}[i]; r.Path != want || r.RequestID != ids[want] || r.Group != "blue" || r.GroupWhy != "a new client, by weight, 100 %" {
			t.Errorf("%+v", r)
		}
	}
	if l := slow.lines(); len(l) != 1 || !strings.Contains(l[0], "/b → api/blue ") || !strings.HasSuffix(l[0], "| group blue: a new client, by weight, 100 % | id "+ids["/b"]) || strings.Contains(l[0], "\x1b") {
		t.Errorf("%q", l)
	}
	if said := e.must("explain", "--id", ids["/a"]); !strings.Contains(said, "a new client, by weight, 100 %") || !strings.Contains(said, "=> 200 in ") {
		t.Errorf("explain --id says %s", said)
	}
	eventually(t, time.Minute, "both requests on the terminal, in colour", func() bool {
		return strings.Contains(screen.String(), "\x1b[32m200\x1b[0m") && strings.Contains(screen.String(), ids["/b"])
	})
	if err := seen.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	seen.lines()
	if strings.Contains(screen.String()+two.out.String()+slow.out.String(), "s3cret") {
		t.Error("a query is shown")
	}
}
