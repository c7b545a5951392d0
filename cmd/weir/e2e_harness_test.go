package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The scenarios in e2e_*_test.go run the two programs as they ship. Their counts are small unless WEIR_ACCEPTANCE is set, which makes them the counts that
// the product promises and writes docs/acceptance.md. WEIR_E2E_RACE builds the programs with the race detector.

// scenarios is the run of all tests: it removes what the scenarios built, and writes down what they measured.
type scenarios struct{ m *testing.M }

// Run implements what testscript.Main runs.
func (s scenarios) Run() int {
	code := s.m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	if code == 0 && acceptance() {
		if err := figures.write(filepath.Join("..", "..", "docs", "acceptance.md")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func acceptance() bool { return os.Getenv("WEIR_ACCEPTANCE") != "" }

// promised is a bound on time that the product promises, on the quiet machine where acceptance is measured; elsewhere a busy one may take far longer.
func promised(d time.Duration) time.Duration {
	if acceptance() {
		return d
	}
	return d + 20*time.Second
}

// count is how often a scenario does something.
func count(small, full int) int {
	if acceptance() {
		return full
	}
	return small
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// programs is the folder with weir and valor-api, built once for all scenarios.
func programs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("scenarios take a minute")
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "weir-e2e"); built.err != nil {
			return
		}
		args := []string{"build", "-o", built.dir + "/"}
		env := append(os.Environ(), "CGO_ENABLED=0")
		if os.Getenv("WEIR_E2E_RACE") != "" {
			args, env = append(args, "-race"), os.Environ()
		}
		build := exec.Command("go", append(args, ".", "../valor-api")...)
		build.Env = env
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// script makes a program of a few lines of shell.
func script(t *testing.T, path, lines string) {
	t.Helper()
	program(t, path, "#!/bin/sh\n"+lines+"\n")
}

// program makes a file that can be executed. No other scenario starts a process meanwhile: between its fork and its exec that would have the file open for writing too, and a file that somebody
// writes cannot be executed (ETXTBSY).
func program(t *testing.T, path, content string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// figures is what the scenarios measured, for docs/acceptance.md.
var figures ledger

type ledger struct {
	mu   sync.Mutex // guards rows: scenarios run side by side
	rows []string
}

// measured notes what a scenario showed. It is logged too.
func measured(t *testing.T, what, format string, args ...any) {
	t.Helper()
	figure := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", what, figure)
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.rows = append(figures.rows, fmt.Sprintf("| `%s` | %s | %s |", t.Name(), what, figure))
}

func (l *ledger) write(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.rows)
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Acceptance\n\nWhat the shipped binary did, written by `make acceptance` (`WEIR_ACCEPTANCE=1 go test -run E2E ./cmd/weir/...`); every row is a\n"+
		"figure that the scenario of that name in `cmd/weir/e2e_*_test.go` asserted or counted. Do not edit.\n\n")
	fmt.Fprintf(&b, "%s · %s · %d CPUs, %s · %s\n\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), kernel("/proc/sys/kernel/osrelease"), runtime.NumCPU(), cpuModel(), runtime.Version())
	fmt.Fprintf(&b, "| scenario | what | figure |\n|---|---|---|\n%s\n", strings.Join(l.rows, "\n"))
	return os.WriteFile(path, b.Bytes(), 0o644)
}

func kernel(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return runtime.GOOS
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(b)), "-") // without what the builder of the kernel called it
	return "Linux " + version
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// eventually asks until the answer is yes, and fails the test when the time is over. That time is a guard, not a measure, and so a minute at least: these processes may have
// to share two processors with a compiler.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	within = max(within, time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(start) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(start)
}

// text is output that a process writes while the test reads.
type text struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is everything so far.
func (o *text) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
