package load_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/load"
)

func TestProfilesAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		steps func() ([]load.Step, error)
		ok    bool
	}{
		"steady":             {func() ([]load.Step, error) { return load.Steady(2000, time.Minute) }, true},
		"steady too fast":    {func() ([]load.Step, error) { return load.Steady(2001, time.Minute) }, false},
		"steady at nothing":  {func() ([]load.Step, error) { return load.Steady(0, time.Minute) }, false},
		"steady too long":    {func() ([]load.Step, error) { return load.Steady(10, 11*time.Minute) }, false},
		"steady too short":   {func() ([]load.Step, error) { return load.Steady(10, time.Millisecond) }, false},
		"spike":              {func() ([]load.Step, error) { return load.Spike(300, 30*time.Second) }, true},
		"spike too fast":     {func() ([]load.Step, error) { return load.Spike(9000, 30*time.Second) }, false},
		"overload":           {func() ([]load.Step, error) { return load.Overload(4000, 30*time.Second) }, true},
		"overload too long":  {func() ([]load.Step, error) { return load.Overload(4000, 31*time.Second) }, false},
		"overload of none":   {func() ([]load.Step, error) { return load.Overload(0, time.Second) }, false},
		"overload of no num": {func() ([]load.Step, error) { return load.Overload(math.NaN(), time.Second) }, false},
	} {
		if _, err := c.steps(); (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok %v", name, err, c.ok)
		}
	}
	steps, err := load.Overload(1e9, time.Second)
	if err != nil || steps[0].Rate != 20000 {
		t.Errorf("overload of a huge capacity: %v, %v; want 20000/s", steps, err)
	}
	spike, err := load.Spike(100, 30*time.Second)
	if err != nil || len(spike) != 3 || spike[0].Rate != 100 || spike[1].Rate != 500 || spike[2].Rate != 100 || spike[1].For != 10*time.Second {
		t.Errorf("spike: %v, %v", spike, err)
	}
}

// A generator that obeys Pace sends what the steps' areas say, in each step.
func TestStairsSendTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) load.Step {
			return load.Step{Rate: float64(rapid.IntRange(1, 500).Draw(t, "rate")), For: time.Duration(rapid.IntRange(1, 5).Draw(t, "s")) * time.Second}
		}), 1, 4).Draw(t, "steps")
		stairs := load.Stairs(steps)
		sent := make([]int, len(steps)+1)
		now := time.Duration(0)
		for hits := uint64(0); ; hits++ {
			wait, stop := stairs.Pace(now, hits)
			if stop {
				break
			}
			if wait < 0 {
				t.Fatalf("wait %v", wait)
			}
			now += wait
			sent[stairs.At(now)]++
		}
		for i, s := range steps {
			// One hit on a step's edge may fall to either side by rounding to nanoseconds.
			if want := s.Rate * s.For.Seconds(); math.Abs(float64(sent[i])-want) > 1 {
				t.Fatalf("step %d of %v sent %d, want %v", i, steps, sent[i], want)
			}
		}
		if sent[len(steps)] != 0 || now > stairs.Total() {
			t.Fatalf("%d sent after the end, last at %v of %v", sent[len(steps)], now, stairs.Total())
		}
	})
}

func TestStairsCatchUp(t *testing.T) {
	stairs := load.Stairs{{Rate: 10, For: time.Second}}
	if wait, stop := stairs.Pace(500*time.Millisecond, 2); wait != 0 || stop {
		t.Errorf("a late generator waits %v, stops %v", wait, stop)
	}
	if wait, _ := stairs.Pace(0, 5); wait != 500*time.Millisecond {
		t.Errorf("an early generator waits %v", wait)
	}
	if r := stairs.Rate(2 * time.Second); r != 0 {
		t.Errorf("rate after the end %v", r)
	}
	if r := stairs.Rate(0); r != 10 {
		t.Errorf("rate %v", r)
	}
}
