package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
)

// attack is vegeta (weirbench load) at a steady rate that yields to nobody, beside the clients of a scenario, for as long as that takes. It is there where acceptance is measured, and nowhere else: on a busy machine a generator that must not
// yield says more of the machine than of weir.
type attack struct {
	t        *testing.T
	over     atomic.Bool
	requests int64      // belongs to the goroutine until ended
	ended    chan error // nil: there is none
}

// allGood is the line of a report without one answer but 200.
var allGood = regexp.MustCompile(`(?m)^- steady: 200 × (\d+)$`)

// newAttack asks the listeners in turn, ten seconds each, for the demo's mix of readings and valuations.
func newAttack(t *testing.T, listeners ...string) *attack {
	t.Helper()
	a := &attack{t: t}
	if !acceptance() {
		return a
	}
	bench := filepath.Join(folder(t), "weirbench")
	build := exec.Command("go", "build", "-o", bench, ".")
	build.Dir = filepath.Join("..", "weirbench")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.ended = make(chan error, 1)
	go func() { // ends with the round after end
		for n := 0; ; n++ {
			if err := a.round(bench, listeners[n%len(listeners)]); err != nil || a.over.Load() {
				a.ended <- err
				return
			}
		}
	}()
	t.Cleanup(func() { a.over.Store(true) })
	return a
}

func (a *attack) round(bench, target string) error {
	dir, err := os.MkdirTemp(filepath.Dir(bench), "report")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(a.t.Context(), bench, "load", "-target", target, "-profile", "steady", "-rate", "100", "-duration", "10s", "-weir", "", "-o", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	m := allGood.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("not every answer was 200:\n%s", out)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	a.requests += n
	return errors.Join(err, os.RemoveAll(dir))
}

// name is what it adds to the load, for a row of figures.
func (a *attack) name() string {
	if a.ended == nil {
		return ""
	}
	return ", vegeta at 100 a second with and without TLS"
}

// end lets the last round end, holds all of them to not one failure, and gives the number of requests.
func (a *attack) end() int64 {
	a.t.Helper()
	if a.ended == nil {
		return 0
	}
	a.over.Store(true)
	if err := <-a.ended; err != nil {
		a.t.Error(err)
	}
	return a.requests
}
