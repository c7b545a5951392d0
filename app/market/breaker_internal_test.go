package market

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestBreakerLife: five failures in a row open it, a minute later one probe at a time is let through, and two of those that succeed close it.
func TestBreakerLife(t *testing.T) {
	var b breaker
	now := time.Unix(1000, 0)
	ask := func(want bool) int {
		t.Helper()
		era, wait, ok := b.allow(now)
		if ok != want || ok == (wait > 0) {
			t.Fatalf("allowed %v (wait %v) in state %d, want %v", ok, wait, b.state, want)
		}
		return era
	}
	for _, failed := range []bool{true, true, true, true, false, true, true, true, true} {
		b.done(ask(true), failed, now)
	}
	straggler, late := ask(true), ask(true)
	b.done(ask(true), true, now)
	if b.state != Open {
		t.Fatalf("after five: %d", b.state)
	}
	b.done(straggler, false, now) // asked before it opened
	ask(false)
	now = now.Add(breakFor)
	probe := ask(true)
	ask(false)
	b.done(late, false, now)
	ask(false) // the probe is still on its way
	b.done(probe, false, now)
	b.done(ask(true), true, now)
	ask(false)
	now = now.Add(breakFor)
	b.done(ask(true), false, now)
	b.done(ask(true), false, now)
	if b.state != Closed {
		t.Fatalf("after two: %d", b.state)
	}
}

// TestBreakerNeverSticks: whatever has happened, once everything that was asked has been answered, waiting brings another try.
func TestBreakerNeverSticks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b breaker
		now := time.Unix(1000, 0)
		var open []int
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 70).Draw(t, "seconds")) * time.Second)
			if rapid.Bool().Draw(t, "ask") || len(open) == 0 {
				if era, _, ok := b.allow(now); ok {
					open = append(open, era)
				}
				continue
			}
			b.done(open[0], rapid.Bool().Draw(t, "failed"), now)
			open = open[1:]
		}
		for _, era := range open {
			b.done(era, true, now)
		}
		if _, wait, ok := b.allow(now); !ok {
			if _, _, ok = b.allow(now.Add(wait)); !ok {
				t.Fatalf("stuck: %+v", b)
			}
		}
	})
}
