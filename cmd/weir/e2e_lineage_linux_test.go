package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// lineage is a weir that is replaced by another again and again. The edge in it is the first of them; verbs reach whichever answers.
type lineage struct {
	*edge
	log     string // what all of them write
	program string // a link to the binary, as a package manager moves it
	pids    []int  // of all that have served
}

var adoption sync.Once

// adopt makes this test the parent of processes whose own has ended, so that it can tell when they have.
func adopt(t *testing.T) {
	adoption.Do(func() {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	})
}

// founded starts the first weir of a lineage on the text of a configuration, and waits until it is ready. environment is added to that of the test.
func founded(t *testing.T, dir, text string, environment []string, args ...string) *lineage {
	t.Helper()
	adopt(t)
	l := &lineage{log: filepath.Join(dir, "weir.log"), program: filepath.Join(dir, "weir")}
	config := filepath.Join(dir, "weir.toml")
	save(t, config, text)
	l.install(t, filepath.Join(programs(t), "weir"))
	out, err := os.Create(l.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	args = append([]string{"run", "-c", config, "--pid", filepath.Join(dir, "weir.pid")}, args...)
	cmd := exec.Command(l.program, args...)
	if environment != nil {
		cmd = shellCommand(l.program, args...)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, out, out, append(os.Environ(), environment...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.edge = reach(dir, config)
	l.process = &process{t: t, cmd: cmd, done: make(chan struct{})}
	return l
}

// begin starts the first process, once its command is complete.
func (l *lineage) begin() *lineage {
	l.t.Helper()
	if err := begin(l.cmd); err != nil {
		l.t.Fatal(err)
	}
	go func() { // ends with the process
		_ = l.cmd.Wait() // what counts is the exit code
		close(l.done)
	}()
	l.t.Cleanup(l.bury)
	l.pids = []int{l.cmd.Process.Pid}
	l.ready()
	return l
}

// install makes the program be another file, at once.
func (l *lineage) install(t *testing.T, path string) {
	t.Helper()
	next := l.program + ".next"
	if err := os.Symlink(path, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, l.program); err != nil {
		t.Fatal(err)
	}
}

// bury ends what still runs.
func (l *lineage) bury() {
	for _, pid := range slices.Backward(l.pids[1:]) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // fails when it has ended, as it should have
	}
	_ = l.cmd.Process.Kill()
	<-l.done
	for _, pid := range l.pids[1:] {
		l.awaitEnd(pid)
	}
	if l.t.Failed() {
		b, _ := os.ReadFile(l.log)
		l.t.Logf("weir wrote:\n%s", tail(string(b)))
	}
}

// awaitEnd waits until a process has ended and been forgotten.
func (l *lineage) awaitEnd(pid int) {
	l.t.Helper()
	eventually(l.t, 0, fmt.Sprintf("process %d has ended", pid), func() bool { return ended(pid) })
}

func ended(pid int) bool {
	if got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil && got == pid {
		return true
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

var tookOver = regexp.MustCompile(`^weir \(pid (\d+), [^)]+\) has taken over from pid (\d+), which drains\n$`)

// upgrade replaces the process, and holds every outside sign of it to name the new one.
func (l *lineage) upgrade() {
	l.t.Helper()
	out := l.must("upgrade")
	m := tookOver.FindStringSubmatch(out)
	if m == nil || m[2] != strconv.Itoa(l.now()) {
		l.t.Fatalf("upgrade of %d said %q", l.now(), out)
	}
	l.succeeded(m[1])
}

// succeeded notes a new process by its id.
func (l *lineage) succeeded(id string) {
	l.t.Helper()
	pid, err := strconv.Atoi(id)
	if err != nil {
		l.t.Fatal(err)
	}
	l.pids = append(l.pids, pid)
	if got := l.status().PID; got != pid {
		l.t.Fatalf("status names %d, not %d", got, pid)
	}
	if file, err := os.ReadFile(filepath.Join(l.dir, "weir.pid")); err != nil || strings.TrimSpace(string(file)) != id {
		l.t.Fatalf("the pid file says %q %v, not %s", file, err, id)
	}
}

// now is the process that serves.
func (l *lineage) now() int { return l.pids[len(l.pids)-1] }

// over holds every process but the serving one to have ended, the first with exit 0.
func (l *lineage) over() {
	l.t.Helper()
	for _, pid := range l.pids[1 : len(l.pids)-1] {
		l.awaitEnd(pid)
	}
	if code := l.wait(eventuallyLong); len(l.pids) > 1 && code != 0 {
		l.t.Errorf("the first process ended with %d", code)
	}
}

// end stops the last process, and holds all of them to be gone with what they had made.
func (l *lineage) end() {
	l.t.Helper()
	if len(l.pids) > 1 {
		l.over()
	}
	l.must("stop")
	for _, pid := range l.pids[1:] {
		l.awaitEnd(pid)
	}
	<-l.done
	for _, name := range []string{"weir.pid", "admin.sock"} {
		if _, err := os.Lstat(filepath.Join(l.dir, name)); !os.IsNotExist(err) {
			l.t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// shellCommand is a command whose LISTEN_PID is its own process id, as systemd sets it.
func shellCommand(program string, args ...string) *exec.Cmd {
	return exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program}, args...)...)
}
