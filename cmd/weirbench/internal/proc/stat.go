package proc

import (
	"bytes"
	"fmt"
	"strconv"
)

// Stat is what the bench needs of /proc/PID/stat (proc(5)). Times are in clock ticks (USER_HZ, 100
// per second on every Linux architecture Go runs on).
type Stat struct {
	PID    int
	Parent int
	// Own is utime + stime: the process with all its threads, living and dead.
	Own uint64
	// Reaped is cutime + cstime: children that have ended and were waited for.
	Reaped uint64
}

// ParseStat reads one line of /proc/PID/stat. The second field is the command name in parentheses;
// it may itself hold spaces and parentheses, so the fields are counted from the last ')'.
func ParseStat(line []byte) (Stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 2 || end < open {
		return Stat{}, fmt.Errorf("parse stat: no command name in %q", line)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil {
		return Stat{}, fmt.Errorf("parse stat: pid: %w", err)
	}
	fields := bytes.Fields(line[end+1:])
	// proc(5) numbers fields from 1; the slice starts at field 3 (state).
	const parent, utime, stime, cutime, cstime = 4 - 3, 14 - 3, 15 - 3, 16 - 3, 17 - 3
	if len(fields) <= cstime {
		return Stat{}, fmt.Errorf("parse stat: %d fields after the name, want more than %d", len(fields), cstime)
	}
	s := Stat{PID: pid}
	if s.Parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return Stat{}, fmt.Errorf("parse stat: parent: %w", err)
	}
	for _, f := range []struct {
		at  int
		sum *uint64
	}{{utime, &s.Own}, {stime, &s.Own}, {cutime, &s.Reaped}, {cstime, &s.Reaped}} {
		ticks, err := strconv.ParseUint(string(fields[f.at]), 10, 63)
		if err != nil {
			return Stat{}, fmt.Errorf("parse stat: field %d: %w", f.at+3, err)
		}
		*f.sum += ticks
	}
	return s, nil
}

// ParseRSS reads the "Rss:" line of /proc/PID/smaps_rollup (or "VmRSS:" of /proc/PID/status) and
// returns bytes. The kernel's "kB" means 1024 bytes.
func ParseRSS(text []byte) (int64, error) {
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) != 3 || string(f[0]) != "Rss:" && string(f[0]) != "VmRSS:" {
			continue
		}
		if string(f[2]) != "kB" {
			return 0, fmt.Errorf("parse rss: unit %q, want kB", f[2])
		}
		n, err := strconv.ParseUint(string(f[1]), 10, 50)
		if err != nil {
			return 0, fmt.Errorf("parse rss: %w", err)
		}
		return int64(n) << 10, nil
	}
	return 0, fmt.Errorf("parse rss: no Rss line in %d bytes", len(text))
}

// ParseModel returns the first "model name" of /proc/cpuinfo, or "unknown CPU".
func ParseModel(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if found && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return "unknown CPU"
}
