package proc_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// shell starts /bin/sh -c script on the core and returns it with what it prints.
func shell(t *testing.T, core int, script string) (*proc.Process, *bufio.Reader) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Core: core, Out: w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Stop(2 * time.Second) // a test that has stopped it already gets nil
		r.Close()
	})
	return p, bufio.NewReader(r)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("read the child's line: %v", err)
	}
	return strings.TrimSpace(s)
}

const spin = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"

func TestCPUCountsTheWholeTree(t *testing.T) {
	for name, script := range map[string]string{
		"itself":          spin + "; echo done; read forever",
		"reaped child":    "sh -c '" + spin + "'; echo done; read forever",
		"living child":    "sh -c '" + spin + "; echo done; read forever' ; :",
		"living grandson": "sh -c 'sh -c \"" + strings.ReplaceAll(spin, "$", `\$`) + "; echo done; read forever\"; :' ; :",
	} {
		t.Run(name, func(t *testing.T) {
			// "read forever" needs a stdin that does not end.
			p, out := shell(t, proc.AnyCore, "exec 0<>"+fifo(t)+"; "+script)
			if got := line(t, out); got != "done" {
				t.Fatalf("child said %q", got)
			}
			used, err := proc.CPU(p.PID())
			if err != nil {
				t.Fatal(err)
			}
			// 60,000 turns of a shell loop cost tens of milliseconds; an idle shell about one.
			if used < 10*time.Millisecond || used > time.Minute {
				t.Errorf("CPU of the tree = %v", used)
			}
		})
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCPUAndRSSOfNoProcess(t *testing.T) {
	p, _ := shell(t, proc.AnyCore, ":")
	<-p.Done()
	if d, err := proc.CPU(p.PID()); err == nil {
		t.Errorf("CPU of an ended process = %v, want an error", d)
	}
	if n, err := proc.RSS(p.PID()); err == nil {
		t.Errorf("RSS of an ended process = %v, want an error", n)
	}
}

func TestRSSFollowsAllocation(t *testing.T) {
	before, err := proc.RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Fresh pages: the Go heap might hand out ones that are resident already.
	block, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after, err := proc.RSS(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after-before < 48<<20 || block[4096] != 1 {
		t.Errorf("RSS went from %d to %d after touching 64 MiB", before, after)
	}
}

func TestStartPinsOnlyTheChild(t *testing.T) {
	mask := func(pid int) string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:\t")
		list, _, _ := strings.Cut(rest, "\n")
		return list
	}
	before := mask(os.Getpid())
	p, out := shell(t, 0, "exec 0<>"+fifo(t)+"; echo ready; exec cat")
	line(t, out)
	if got := mask(p.PID()); got != "0" {
		t.Errorf("child may run on cores %q, want 0", got)
	}
	if got := mask(os.Getpid()); got != before {
		t.Errorf("our own mask went from %q to %q", before, got)
	}
}

func TestStopIsGentleFirst(t *testing.T) {
	p, out := shell(t, proc.AnyCore, "exec 0<>"+fifo(t)+"; trap 'echo bye; exit 0' TERM; echo ready; read x")
	line(t, out)
	if err := p.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := line(t, out); got != "bye" {
		t.Errorf("child said %q, want its own farewell", got)
	}
	if p.Err() != nil {
		t.Errorf("child ended with %v", p.Err())
	}
}

func TestStopKillsTheStubbornAndTheirChildren(t *testing.T) {
	hold := fifo(t)
	p, out := shell(t, proc.AnyCore, "exec 3<>"+hold+"; trap '' TERM; (read x <&3) & echo $!; while :; do read x <&3; done")
	var child int
	if _, err := fmt.Sscan(line(t, out), &child); err != nil {
		t.Fatal(err)
	}
	if tree, err := proc.Tree(p.PID()); err != nil || len(tree) != 2 || tree[1] != child {
		t.Fatalf("tree %v, %v; want the shell and %d", tree, err, child)
	}
	err := p.Stop(200 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Stop = %v, want an error that says it was killed", err)
	}
	// The pipe's last writer is gone only when the grandchild is dead too.
	if _, err := out.ReadString('\n'); err == nil {
		t.Error("something of the group still writes")
	}
	if tree, err := proc.Tree(p.PID()); err != nil || len(tree) != 1 {
		t.Errorf("left below the child: %v, %v", tree, err)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	_, err := proc.Start(proc.Command{Path: "no-such-program-of-weirbench", Core: 0})
	if err == nil || !strings.Contains(err.Error(), "no-such-program-of-weirbench") {
		t.Errorf("error %v must name the program", err)
	}
}

func TestRaiseFiles(t *testing.T) {
	n, err := proc.RaiseFiles()
	if err != nil || n < 256 {
		t.Fatalf("RaiseFiles = %d, %v", n, err)
	}
	p, out := shell(t, proc.AnyCore, "ulimit -n")
	if got := line(t, out); got != fmt.Sprint(n) {
		t.Errorf("child's limit %s, ours %d", got, n)
	}
	<-p.Done()
}

func TestMachine(t *testing.T) {
	m := proc.ThisMachine()
	if m.CPU == "" || m.Cores < 1 || m.Kernel == "unknown" {
		t.Errorf("machine %+v", m)
	}
	if load, err := proc.LoadAverage(); err != nil || strings.Count(load, " ") != 4 {
		t.Errorf("load %q, %v", load, err)
	}
}
