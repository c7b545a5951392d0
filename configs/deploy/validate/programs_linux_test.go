package validate_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// output is what a process writes while the test reads.
type output struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is a started program. It is killed at the end of the test if it still runs.
type process struct {
	name string
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when it has ended
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: filepath.Base(cmd.Path), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the test is not one at the program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		_ = cmd.Wait() // nobody asks for the exit code
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails when it has ended
		<-p.done
		if t.Failed() {
			said := p.out.String()
			t.Logf("%s wrote:\n%s", p.name, said[max(0, len(said)-1000):])
		}
	})
	return p
}

// address is where a program listens that was told to take a free port of 127.0.0.1. The system is asked and not the program's log, so that it is the same for all; the only TCP listener
// that the process has must be the one meant.
func (p *process) address(t *testing.T) string {
	t.Helper()
	var found []string
	eventually(t, p.name+" listens", func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s has ended:\n%s", p.name, p.out.String())
		default:
		}
		found = listening(t, p.cmd.Process.Pid)
		return len(found) == 1
	})
	return found[0]
}

// listening are the TCP addresses of 127.0.0.1 that a process accepts at.
func listening(t *testing.T, pid int) (list []string) {
	t.Helper()
	descriptors, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	inodes := map[string]bool{}
	for _, d := range descriptors {
		if to, err := os.Readlink(d); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // number, local address, remote address, state, ..., inode
		const loopback, listens = "0100007F:", "0A"
		if len(f) < 10 || f[3] != listens || !inodes[f[9]] || !strings.HasPrefix(f[1], loopback) {
			continue
		}
		var port int
		if _, err := fmt.Sscanf(strings.TrimPrefix(f[1], loopback), "%X", &port); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return list
}

// eventually asks until the answer is yes. Its four minutes are a guard, not a measure: compilers may have the processors.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(4 * time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within four minutes: %s", what)
		}
	}
}
