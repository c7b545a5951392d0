package rollout_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/rollout"
)

// A healthy green is promoted through every step, whatever traffic and errors of everybody do meanwhile: in 200 runs none is rolled back.
func TestHealthyIsPromoted(t *testing.T) {
	runs := 200
	if testing.Short() {
		runs = 40
	}
	for i := range runs {
		w := newWorld(t, uint64(i))
		w.rps = 4000
		w.green, w.blue = 0.004, 0.004
		w.shift = func(tick int) float64 { return 1 + 0.9*math.Sin(float64(tick+i)/300) } // nights and days, and bad hours
		s := w.play(2 * time.Hour)
		if s.Phase != rollout.Promoted || !slices.Equal(w.moves, []uint32{100, 500, 2500, 5000, 10000}) {
			t.Fatalf("run %d: %s after %d ticks, weights %v: %s", i, s.Phase, w.ticks, w.moves, s.Reason)
		}
	}
}

func TestBadIsRolledBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*world)
		cause  rollout.Cause
		within time.Duration // at the median, from the first request on
		errors uint64        // of green, at most, in every run
	}{
		{"5 % errors at 5 %", func(w *world) { w.green = 0.05 }, rollout.CauseEvidence, 5 * time.Second, 50},
		{"1 % errors at 5 %", func(w *world) { w.green = 0.01 }, rollout.CauseEvidence, 25 * time.Second, 80},
		{"every request fails", func(w *world) { w.green = 1 }, rollout.CauseEvidence, time.Second, 50},
		{"slow ten times as often", func(w *world) { w.slow = 10 }, rollout.CauseEvidence, 2 * time.Second, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			var took []time.Duration
			for i := range 21 {
				w := newWorld(t, uint64(i))
				o := options()
				o.Steps, o.Hold = []uint32{500, 10000}, time.Hour
				w.m = begin(t, o)
				c.change(w)
				s := w.play(time.Hour)
				if s.Phase != rollout.RolledBack || s.Cause != c.cause {
					t.Fatalf("run %d: %s by %q after %d ticks: %s", i, s.Phase, s.Cause, w.ticks, s.Reason)
				}
				if s.Tally.Green.Failed > c.errors {
					t.Errorf("run %d: %d errors of green", i, s.Tally.Green.Failed)
				}
				if got := s.Weights(); got["green"] != 0 || got["blue"] != 10000 {
					t.Errorf("weights %v", got)
				}
				took = append(took, time.Duration(w.ticks)*step)
			}
			slices.Sort(took)
			t.Logf("median %v, longest %v", took[10], took[20])
			if took[10] > c.within {
				t.Errorf("median %v, at most %v", took[10], c.within)
			}
		})
	}
}

// Within the tolerance nothing is rolled back, and beyond it by little the harm budget ends what the evidence is slow to.
func TestToleranceIsKept(t *testing.T) {
	for i := range 20 {
		w := newWorld(t, uint64(i))
		w.blue, w.green = 0.01, 0.0125
		if s := w.play(3 * time.Hour); s.Phase != rollout.Promoted {
			t.Fatalf("run %d: %s: %s", i, s.Phase, s.Reason)
		}
	}
}

func TestThinTrafficNeverPromotes(t *testing.T) {
	for _, rps := range []float64{0, 0.05} {
		w := newWorld(t, 1)
		w.rps = rps
		s := w.play(2 * time.Hour)
		v := w.m.View()
		if s.Phase != rollout.Holding || s.Step != 1 || v.Needs < 500 {
			t.Errorf("%v requests a second: %s at step %d, needs %v", rps, s.Phase, s.Step, v.Needs)
		}
		if !strings.Contains(s.Reason, "not served enough") {
			t.Errorf("reason %q", s.Reason)
		}
		if rps > 0 && v.NeedsTime < time.Hour {
			t.Errorf("needs %v", v.NeedsTime)
		}
	}
}

func TestGreenThatNeverBecomesHealthy(t *testing.T) {
	w := newWorld(t, 1)
	w.greenDead = true
	if s := w.play(time.Hour); s.Phase != rollout.Holding || s.Step != 0 || s.Share() != 0 || !strings.Contains(s.Reason, "no live target") {
		t.Errorf("%s at step %d with %d: %s", s.Phase, s.Step, s.Share(), s.Reason)
	}
	w.greenDead = false
	w.tick()
	if s := w.m.State(); s.Phase != rollout.Running || s.Step != 1 {
		t.Errorf("%s at step %d once green lives", s.Phase, s.Step)
	}
}

func TestGreenThatDies(t *testing.T) {
	w := newWorld(t, 1)
	w.play(5 * time.Second)
	w.greenDead = true
	for range 10 {
		w.tick()
	}
	w.greenDead = false // a flap of a second
	w.tick()
	if s := w.m.State(); s.Phase != rollout.Running {
		t.Fatalf("after a flap: %s, %s", s.Phase, s.Reason)
	}
	w.greenDead = true
	if s := w.play(time.Minute); s.Phase != rollout.RolledBack || s.Cause != rollout.CauseUnhealthy {
		t.Errorf("%s by %q", s.Phase, s.Cause)
	}
}

// A rollback to nobody is an outage: it waits until somebody lives.
func TestNobodyToGoBackTo(t *testing.T) {
	w := newWorld(t, 1)
	w.play(2 * time.Second)
	w.green, w.bluesDead = 1, true
	s := w.play(time.Minute)
	if s.Phase != rollout.Holding || s.Share() == 0 || !strings.Contains(s.Reason, "no other group has a live target") {
		t.Fatalf("%s with %d: %s", s.Phase, s.Share(), s.Reason)
	}
	w.bluesDead = false
	w.tick()
	if s := w.m.State(); s.Phase != rollout.RolledBack {
		t.Errorf("%s: %s", s.Phase, s.Reason)
	}
}

// At 100 % there is nobody to compare with: the harm budget and the tripwire watch the bake.
func TestBadDuringTheBake(t *testing.T) {
	for _, c := range []struct {
		rps  float64
		rate float64
		want rollout.Cause
	}{{2000, 0.05, rollout.CauseHarm}, {4, 1, rollout.CauseErrors}} {
		w := newWorld(t, 3)
		w.rps = c.rps
		o := options()
		o.Steps, o.Bake, o.MinEffect = []uint32{5000, 10000}, time.Hour, 0.2
		w.m = begin(t, o)
		for w.m.State().Step < 2 && w.tick() {
		}
		w.play(time.Duration(w.ticks)*step + 5*time.Second)
		if s := w.m.State(); s.Phase.Over() || s.Share() != 10000 {
			t.Fatalf("%s at %d before anything is wrong: %s", s.Phase, s.Share(), s.Reason)
		}
		w.green = c.rate
		s := w.play(time.Duration(w.ticks)*step + time.Minute)
		if s.Phase != rollout.RolledBack || s.Cause != c.want {
			t.Errorf("%s by %q: %s", s.Phase, s.Cause, s.Reason)
		}
	}
}

// A paused rollout stays where it is, and is watched.
func TestPausedIsWatched(t *testing.T) {
	w := newWorld(t, 1)
	w.play(time.Second)
	p := w.m.State().Progress
	p.Paused = "ann"
	w.m.Accept(p)
	if s := w.play(time.Hour); s.Phase != rollout.Holding || s.Step != 1 || s.Reason != "paused by ann" {
		t.Fatalf("%s at step %d: %s", s.Phase, s.Step, s.Reason)
	}
	w.green = 0.5
	if s := w.play(2 * time.Hour); s.Phase != rollout.RolledBack {
		t.Errorf("%s", s.Phase)
	}
}

// The clock that counts is the one of ticks: a jump in either direction is a second at most.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, 1)
	w.rps = 1e5
	w.play(2 * time.Second)
	for _, jump := range []time.Duration{24 * time.Hour, -48 * time.Hour, 24 * time.Hour} {
		before := w.m.State().Tally.Held
		w.now += int64(jump)
		w.tick()
		if s := w.m.State(); s.Step != 1 || s.Tally.Held-before > time.Second || s.Tally.Held < before {
			t.Errorf("a jump of %v: step %d, held %v after %v", jump, s.Step, s.Tally.Held, before)
		}
	}
}

// What is learnt in the warm-up is harm, but no evidence and no ground to go on.
func TestWarmUp(t *testing.T) {
	w := newWorld(t, 1)
	o := options()
	o.WarmUp = time.Minute
	w.m = begin(t, o)
	w.green = 0.02
	s := w.play(30 * time.Second)
	if s.Phase == rollout.RolledBack || s.Tally.Judged != 0 || s.Tally.Green.Failed == 0 {
		t.Fatalf("%s, %d judged: %s", s.Phase, s.Tally.Judged, s.Reason)
	}
	w.green = 1
	if s = w.play(59 * time.Second); s.Cause != rollout.CauseHarm && s.Cause != rollout.CauseErrors {
		t.Errorf("%s by %q", s.Phase, s.Cause)
	}
}

// A machine that is stored and restored at any time goes on as the same one.
func TestRestoredGoesOn(t *testing.T) {
	w, twin := newWorld(t, 9), newWorld(t, 9)
	w.green, twin.green = 0.003, 0.003
	for i := range 5000 {
		alive := w.tick()
		if i%97 == 0 {
			again, err := rollout.NewMachine(stored(t, twin.m.State()))
			if err != nil {
				t.Fatal(err)
			}
			// The first look after a restart knows of no time before it.
			again.Step(twin.now, rollout.Sample{GreenLive: true, OthersLive: true})
			twin.m = again
		}
		if twin.tick() != alive {
			t.Fatalf("tick %d: one is over", i)
		}
		if !alive {
			break
		}
	}
	a, b := w.m.View(), twin.m.View()
	if a.Evidence != b.Evidence || a.Phase != b.Phase || a.Tally.Green != b.Tally.Green || a.Harm != b.Harm || a.Step != b.Step {
		t.Errorf("%+v\n%+v", a, b)
	}
}
