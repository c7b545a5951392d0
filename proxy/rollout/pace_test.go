package rollout_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// paced is a world whose rollout finds its weights on the way.
func paced(t testing.TB, seed uint64, rps float64) *world {
	w := newWorld(t, seed)
	o := options()
	o.Pace, o.Hold, o.Bake = rollout.PaceEvidence, 30*time.Second, 30*time.Second
	w.m, w.rps = begin(t, o), rps
	return w
}

// A healthy green is promoted in fewer steps than the list has; with more traffic the first weight after the first is not larger, because the same harm comes sooner.
func TestPaceByEvidence(t *testing.T) {
	second := map[float64]uint32{}
	for _, rps := range []float64{300, 1000, 100000} {
		w := paced(t, 1, rps)
		s := w.play(2 * time.Hour)
		t.Logf("%v requests a second: %v after %v", rps, w.moves, time.Duration(w.ticks)*step)
		if s.Phase != rollout.Promoted || w.moves[0] != 100 || w.moves[len(w.moves)-1] != balancer.WeightSum || !slices.IsSorted(w.moves) || !slices.Equal(s.Options.Steps, w.moves) {
			t.Errorf("%v requests a second: %s, weights %v, steps %v: %s", rps, s.Phase, w.moves, s.Options.Steps, s.Reason)
		}
		second[rps] = w.moves[1]
	}
	if second[1000] > second[300] || second[100000] > second[1000] {
		t.Errorf("the weight after the first, by requests a second: %v", second)
	}
}

// However bad green is, it has cost about the harm budget at most when it is taken back: what it can hide at a weight is what the budget pays for.
func TestPaceByEvidenceKeepsTheBudget(t *testing.T) {
	// One that is only twice as bad as the others, where half as much more is tolerated, has to be told from luck first: 4.5 standard deviations of what it and they fail by then.
	for rate, budget := range map[float64]float64{0.003: 91, 0.005: 50, 0.01: 50, 0.05: 50, 0.3: 50} {
		most := 0.0
		for seed := range uint64(20) {
			w := paced(t, seed, 3000)
			w.green = rate
			s := w.play(2 * time.Hour)
			if s.Phase != rollout.RolledBack {
				t.Fatalf("%v: %s, weights %v: %s", rate, s.Phase, w.moves, s.Reason)
			}
			most = max(most, w.m.View().Harm)
		}
		t.Logf("rate %v: %.0f failed beyond the tolerated ones at most", rate, most)
		// One look lets pass what comes in it: at 3000 requests a second, half of them green's, 150 in the 100 ms of this world.
		if most > budget+150*rate {
			t.Errorf("rate %v: harm %v of %v", rate, most, budget)
		}
	}
}

// Without traffic the first weight is the last, as with steps.
func TestPaceByEvidenceWithoutTraffic(t *testing.T) {
	for _, rps := range []float64{0, 0.05} {
		w := paced(t, 1, rps)
		if s := w.play(2 * time.Hour); s.Phase != rollout.Holding || s.Step != 1 || s.Share() != 100 {
			t.Errorf("%v requests a second: %s at step %d with %d: %s", rps, s.Phase, s.Step, s.Share(), s.Reason)
		}
	}
}

// Whatever the traffic does: weights rise, by a quarter at least, stay below the half until they are all, grow tenfold at most, sum up, and survive being stored; the list of steps says them.
func TestPaceByEvidenceAlwaysRises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := rollout.Begin("", "ann", map[string]uint32{"blue": 10000, "green": 0}, rollout.Options{
			Steps: []uint32{rapid.Uint32Range(1, 9999).Draw(t, "first"), 10000}, Pace: rollout.PaceEvidence, Hold: time.Second, Bake: time.Second, Tolerance: 1.5, Alpha: 0.001,
			MaxHarm: rapid.IntRange(1, 200).Draw(t, "budget"), MinEffect: 0.05,
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := rollout.NewMachine(s)
		if err != nil {
			t.Fatal(err)
		}
		rps, before := rapid.Float64Range(1, 50000).Draw(t, "rps"), uint32(0)
		for i := range 300 {
			s := m.State()
			if s.Phase.Over() {
				break
			}
			share := float64(s.Share()) / balancer.WeightSum
			lot := rollout.Lot{Share: share, Step: s.Step, Green: rollout.Count{Requests: uint64(math.Round(rps * share))}, Others: rollout.Count{Requests: uint64(math.Round(rps * (1 - share)))}}
			next, changed := m.Step(int64(i+1)*int64(time.Second), rollout.Sample{Lots: []rollout.Lot{lot}, GreenLive: true, OthersLive: true})
			if !changed {
				continue
			}
			m.Accept(next)
			if s = m.State(); s.Phase.Over() || s.Share() == before {
				continue
			}
			now := s.Share()
			found := s.Step > 1 && now != balancer.WeightSum
			if now <= before || s.Options.Steps[s.Step-1] != now || found && (now > balancer.WeightSum/2 || now < before+before/4) || before > 0 && now > 10*before {
				t.Fatalf("from %d to %d, steps %v at %d", before, now, s.Options.Steps, s.Step)
			}
			before = now
			if m, err = rollout.NewMachine(stored(t, m.State())); err != nil {
				t.Fatal(err)
			}
			sum := uint32(0)
			for _, w := range s.Weights() {
				sum += w
			}
			if sum != balancer.WeightSum {
				t.Fatalf("weights %v", s.Weights())
			}
		}
	})
}

// A promotion by hand in the middle leaves the list alone.
func TestPaceByEvidencePromoted(t *testing.T) {
	w := paced(t, 1, 1000)
	for w.m.State().Step < 2 && w.tick() {
	}
	s := w.m.State()
	p := s.Progress
	if p.Weight == 0 || s.Share() != p.Weight {
		t.Fatalf("%+v", p)
	}
	p.Step, p.Weight, p.Phase = len(s.Options.Steps), 0, rollout.Promoted
	w.m.Accept(p)
	if after := w.m.State(); !slices.Equal(after.Options.Steps, s.Options.Steps) || after.Share() != balancer.WeightSum {
		t.Errorf("%v, before %v", after.Options.Steps, s.Options.Steps)
	}
}

// A green that has no clients yet is warmed first, and gets them once that is over; what it came to is stored. One that has clients, or that nobody wants warmed, is not.
func TestPrewarmComesFirst(t *testing.T) {
	o := options()
	o.Prewarm = time.Minute
	live := rollout.Sample{GreenLive: true, OthersLive: true}
	m := begin(t, o)
	for i := range int64(100) {
		if next, changed := m.Step(1+i*int64(time.Second), live); changed {
			m.Accept(next)
		}
		if s := m.State(); s.Step != 0 || s.Phase != rollout.Running || s.Share() != 0 {
			t.Fatalf("%s at step %d", s.Phase, s.Step)
		}
	}
	again, err := rollout.NewMachine(stored(t, m.State()))
	if err != nil {
		t.Fatal(err)
	}
	live.Warmth = &rollout.Warmth{Pages: 3, Requests: 3, Failed: 1, Took: time.Second}
	next, _ := again.Step(1, live)
	again.Accept(next)
	if s := stored(t, again.State()); s.Step != 1 || s.Warmth == nil || *s.Warmth != *live.Warmth || s.Tally.Green != (rollout.Count{}) {
		t.Errorf("step %d, %+v", s.Step, s.Warmth)
	}
	live.Warmth = nil
	s, err := rollout.Begin("green", "ann", map[string]uint32{"blue": 9900, "green": 100}, o)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = rollout.NewMachine(s); err != nil {
		t.Fatal(err)
	}
	if next, _ := m.Step(1, live); next.Step != 1 {
		t.Errorf("a green with clients waits: %+v", next)
	}
	o.Prewarm = 0
	if next, _ := begin(t, o).Step(1, live); next.Step != 1 {
		t.Errorf("without prewarm it waits: %+v", next)
	}
}
