package proc_test

import (
	"os"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

const tail = " S 17 1 1 0 -1 4194304 901 8 0 0 250 50 7 3 20 0 1 0 4711 1000 200 18446744073709551615"

func TestParseStat(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want proc.Stat
		err  string
	}{
		"plain":            {"4021 (nginx)" + tail, proc.Stat{4021, 17, 300, 10}, ""},
		"space in name":    {"7 (tmux: server)" + tail + "\n", proc.Stat{7, 17, 300, 10}, ""},
		"parens in name":   {"7 (a) R 1 2 (b)" + tail, proc.Stat{7, 17, 300, 10}, ""},
		"empty":            {"", proc.Stat{}, "no command name"},
		"no name":          {"12 S 1 1", proc.Stat{}, "no command name"},
		"reversed parens":  {"12 )x( S 1", proc.Stat{}, "no command name"},
		"short":            {"12 (x) S 1 2 3", proc.Stat{}, "fields after the name"},
		"pid is no number": {"1x (x)" + tail, proc.Stat{}, "pid"},
		"time is negative": {"1 (x)" + strings.Replace(tail, " 250 ", " -250 ", 1), proc.Stat{}, "field 14"},
		"parent is a word": {"1 (x)" + strings.Replace(tail, " 17 ", " me ", 1), proc.Stat{}, "parent"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := proc.ParseStat([]byte(c.line))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("ParseStat = %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestParseStatOfThisProcess(t *testing.T) {
	line, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	s, err := proc.ParseStat(line)
	if err != nil || s.PID != os.Getpid() || s.Parent != os.Getppid() {
		t.Errorf("got %+v, %v; want pid %d, parent %d", s, err, os.Getpid(), os.Getppid())
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("4021 (nginx)" + tail)
	f.Add("7 (a) R 1 2 (b)" + tail)
	f.Add("1 () S")
	f.Add("1 (x) S -1 0 0 0 0 0 0 0 0 0 9223372036854775807 9223372036854775807 0 0")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := proc.ParseStat([]byte(line))
		if err != nil && s != (proc.Stat{}) {
			t.Errorf("an error came with a value: %+v, %v", s, err)
		}
	})
}

func TestParseRSS(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want int64
		ok   bool
	}{
		"smaps_rollup": {"55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:                1844 kB\nPss: 5 kB\n", 1844 << 10, true},
		"status":       {"Name:\tx\nVmHWM:\t 9 kB\nVmRSS:\t    1844 kB\n", 1844 << 10, true},
		"kernel zero":  {"Rss: 0 kB", 0, true},
		"none":         {"Pss: 1 kB\n", 0, false},
		"unit":         {"Rss: 1 MB\n", 0, false},
		"negative":     {"Rss: -1 kB\n", 0, false},
		"huge":         {"Rss: 99999999999999999999 kB\n", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := proc.ParseRSS([]byte(c.text))
			if (err == nil) != c.ok || got != c.want {
				t.Errorf("ParseRSS = %d, %v; want %d, ok %v", got, err, c.want, c.ok)
			}
		})
	}
}

func FuzzParseRSS(f *testing.F) {
	f.Add("Rss: 1844 kB\n")
	f.Add("VmRSS:\t1 kB")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := proc.ParseRSS([]byte(text)); n < 0 || err != nil && n != 0 {
			t.Errorf("ParseRSS = %d, %v", n, err)
		}
	})
}

func TestParseModel(t *testing.T) {
	text := "processor\t: 0\nmodel name\t: AMD EPYC: 7\nmodel name\t: other\n"
	if got := proc.ParseModel([]byte(text)); got != "AMD EPYC: 7" {
		t.Errorf("model %q", got)
	}
	if got := proc.ParseModel([]byte("processor : 0\n")); got != "unknown CPU" {
		t.Errorf("model %q", got)
	}
}
