// Package proc starts the programs of a bench run on chosen cores, ends them for certain, and reads
// what they cost from /proc. Linux only. It never touches a process it did not start: every signal
// goes to a pid, or to the process group of a child that Start put into a group of its own.
package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AnyCore leaves a process on all cores.
const AnyCore = -1

// Command says what to start.
type Command struct {
	Path string   // program; looked up in PATH when it has no slash
	Args []string // without the program's name
	Dir  string   // working folder, empty for ours
	Core int      // the only core it may run on, or AnyCore
	Out  *os.File // stdout and stderr; nil discards
}

// Process is a running child with its own process group. Its owner must call Stop.
type Process struct {
	cmd *exec.Cmd
	// done is closed by the one goroutine that waits for the child, after it has set err.
	done chan struct{}
	err  error
}

// Start runs the command. The child gets SIGTERM from the kernel if this process dies without
// stopping it, and does not receive the terminal's Ctrl-C: its owner stops it in order.
func Start(c Command) (*Process, error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir = c.Dir
	if c.Out != nil {
		cmd.Stdout, cmd.Stderr = c.Out, c.Out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := startOn(c.Core, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed once the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the child ended (nil: exit code 0). Valid only after Done is closed.
func (p *Process) Err() error { return p.err }

// Stop asks the child to end (SIGTERM), asks again after half of grace (a second SIGTERM means "now"
// to servers that drain), and kills its whole process group after grace. When it returns the child
// has ended. The error says that force was needed; a child that ended by itself is none.
func (p *Process) Stop(grace time.Duration) error {
	for range 2 {
		p.signal(p.PID(), syscall.SIGTERM)
		if p.waitFor(grace / 2) {
			p.signal(-p.PID(), syscall.SIGKILL) // workers a dying parent left behind
			return nil
		}
	}
	p.signal(-p.PID(), syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("stop process %d (%s): no end within %v, killed", p.PID(), p.cmd.Path, grace)
}

func (p *Process) waitFor(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// signal ignores "no such process": the target ended first, which is what the caller wants.
func (p *Process) signal(pid int, s syscall.Signal) {
	_ = syscall.Kill(pid, s)
}

// Pin restricts this whole process, and what it starts later with AnyCore, to one core. New threads
// inherit from the thread that makes them, so threads are visited until a pass finds no new one.
func Pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	pinned := make(map[string]bool)
	for again := true; again; {
		again = false
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, t := range threads {
			var tid int
			if _, err := fmt.Sscan(t.Name(), &tid); err != nil || pinned[t.Name()] {
				continue
			}
			if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pin thread %d to core %d: %w", tid, core, err)
			}
			pinned[t.Name()], again = true, true
		}
	}
	return nil
}

// RaiseFiles sets the limit of open files of this process, which children inherit, to the hard
// limit and returns it. The standard library's Setrlimit is used on purpose: it makes the runtime
// forget the limit it would otherwise restore in children.
func RaiseFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read file limit: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("raise file limit to %d: %w", limit.Max, err)
	}
	return limit.Cur, nil
}

// startOn calls start on a thread that may only use the given core: a child inherits the mask of the
// thread that forks it. The thread's own mask is restored afterwards.
func startOn(core int, start func() error) error {
	if core == AnyCore {
		return start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read affinity: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to core %d: %w", core, err)
	}
	err := start()
	if restore := unix.SchedSetaffinity(0, &before); restore != nil {
		return errors.Join(err, fmt.Errorf("restore affinity: %w", restore))
	}
	return err
}
