package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is one unit of /proc's times: USER_HZ is 100 in the kernel's ABI on every Linux port of Go.
const tick = 10 * time.Millisecond

// Tree returns the process and all its living descendants, the process first.
func Tree(pid int) ([]int, error) {
	children, err := childrenOf()
	if err != nil {
		return nil, err
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// CPU returns the CPU time (user and system) that the process tree below pid has used so far.
// Resolution: nanoseconds where the kernel lets one process read another's CPU clock, else ticks.
func CPU(pid int) (time.Duration, error) {
	tree, err := Tree(pid)
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for i, p := range tree {
		d, err := cpuOf(p)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue // a child that ended meanwhile: its parent's Reaped has it
		}
		if err != nil {
			return 0, err
		}
		total += d
	}
	return total, nil
}

// RSS returns the resident bytes of the process tree below pid, each process's shared pages
// included: only differences of two readings mean something.
func RSS(pid int) (int64, error) {
	tree, err := Tree(pid)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, p := range tree {
		text, err := os.ReadFile(procFile(p, "smaps_rollup"))
		if err != nil {
			text, err = os.ReadFile(procFile(p, "status"))
		}
		if err != nil {
			return 0, fmt.Errorf("read rss of process %d: %w", p, err)
		}
		n, err := ParseRSS(text)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// childrenOf scans /proc once: parent → children, in ascending order. Processes that end during the
// scan are left out.
func childrenOf() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil {
			continue
		}
		children[s.Parent] = append(children[s.Parent], pid)
	}
	for _, c := range children {
		slices.Sort(c)
	}
	return children, nil
}

// cpuOf is one process's own time plus that of the children it has waited for.
func cpuOf(pid int) (time.Duration, error) {
	s, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	own, err := processClock(pid)
	if err != nil {
		own = time.Duration(s.Own) * tick
	}
	return own + time.Duration(s.Reaped)*tick, nil
}

// processClock reads another process's CPU clock. The clock id is what clock_getcpuclockid(3)
// computes: the complement of the pid shifted by three, with CPUCLOCK_SCHED (2) in the low bits.
// Unlike the sum over /proc/PID/task it keeps the time of threads that have ended.
func processClock(pid int) (time.Duration, error) {
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(^int32(pid)<<3|cpuclockSched, &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func readStat(pid int) (Stat, error) {
	line, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return Stat{}, fmt.Errorf("read stat of process %d: %w", pid, err)
	}
	return ParseStat(line)
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
