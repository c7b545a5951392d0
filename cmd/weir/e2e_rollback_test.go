package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestE2ERollback runs what `make demo-rollback` runs: a version that fails 5 % of its requests is taken back by itself, clients see fewer errors than the harm budget, nobody
// else's request fails, and the repaired version is promoted, but not without traffic. The program judges that itself and ends with 1; here are the figures.
func TestE2ERollback(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	program := filepath.Join(dir, "rollback")
	if out, err := exec.Command("go", "build", "-o", program, "./internal/rollback").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	runs := count(2, 20)
	args := []string{"-weir", filepath.Join(programs(t), "weir"), "-api", filepath.Join(programs(t), "valor-api"), "-json", "-runs", strconv.Itoa(runs)}
	if !acceptance() { // a machine with other work: nobody is judged by how long things take
		args = append(args, "-rate", "800", "-clients", "200", "-latency=false", "-within", "5m")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	p := start(t, cmd)
	if code := p.wait(12 * time.Minute); code != 0 {
		t.Fatalf("exit %d\n%s", code, p.errs.String())
	}
	var a struct {
		Runs []struct {
			Clients struct {
				Green       int `json:"green"`
				GreenFailed int `json:"green_failed"`
			}
			Rollout struct{ State, Cause string }
		}
		Median     float64 `json:"median_seconds"`
		Longest    float64 `json:"longest_seconds"`
		MostErrors int     `json:"most_errors"`
		Errors     int
		BlueFailed int `json:"blue_failed"`
		Asked      int
		Rate       float64
		Idle       struct {
			State string
			Needs int
		}
		Good struct {
			Seconds float64
			Rollout struct{ State string }
		}
	}
	if err := json.Unmarshal([]byte(p.out.String()), &a); err != nil {
		t.Fatalf("%v\n%s", err, p.out.String())
	}
	if len(a.Runs) != runs || a.BlueFailed != 0 || a.MostErrors > 50 || a.Median <= 0 || a.Idle.State != "holding" || a.Good.Rollout.State != "promoted" {
		t.Errorf("%+v", a)
	}
	for _, r := range a.Runs {
		if r.Rollout.State != "rolled_back" || r.Clients.Green == 0 {
			t.Errorf("%+v", r)
		}
	}
	if acceptance() && (a.Median > 5 || a.Rate < 950) {
		t.Errorf("median %.2f s at %.0f requests a second", a.Median, a.Rate)
	}
	measured(t, "a green that fails 5 %, shipped at 5 % of the traffic", "%d of %d rolled back at %.0f requests/s: median %.2f s, longest %.2f s; errors that clients saw: %d at most, %d in all, of %d requests; blue failed 0",
		runs, runs, a.Rate, a.Median, a.Longest, a.MostErrors, a.Errors, a.Asked)
	measured(t, "the repaired green", "without traffic %s, %d requests missing; with it promoted after %.1f s, 0 failed", a.Idle.State, a.Idle.Needs, a.Good.Seconds)
}
