package rollout_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// stored is a state as it comes back from a file.
func stored(t interface {
	Helper()
	Fatal(args ...any)
}, s rollout.State) (again rollout.State) {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

// At every step the weights sum to the whole, green has its step, and the others share the rest as before: nobody gains by rounding what another loses.
func TestWeightsOfTheOthersKeepTheirProportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := map[string]uint32{"green": rapid.Uint32Range(0, 9999).Draw(t, "green")}
		left := uint32(balancer.WeightSum) - base["green"]
		for _, name := range []string{"blue", "grey", "red"} {
			base[name] = rapid.Uint32Range(0, left).Draw(t, name)
			left -= base[name]
		}
		base["white"] = left
		s, err := rollout.Begin("green", "ann", base, options())
		if err != nil {
			t.Fatal(err)
		}
		if s.Options.Steps[0] < base["green"] {
			t.Fatalf("from %d down to %d", base["green"], s.Options.Steps[0])
		}
		for i := range s.Options.Steps {
			s.Step = i + 1
			w := s.Weights()
			sum := uint32(0)
			for name, got := range w {
				sum += got
				exact := float64(base[name]) * float64(balancer.WeightSum-w["green"]) / float64(balancer.WeightSum-base["green"])
				if name != "green" && (float64(got) < exact-1 || float64(got) > exact+4) {
					t.Fatalf("%s has %d, its part is %v of %v", name, got, exact, w)
				}
			}
			if sum != balancer.WeightSum || w["green"] != s.Options.Steps[i] || len(w) != len(base) {
				t.Fatalf("%v at step %d", w, i+1)
			}
		}
		s.Phase = rollout.RolledBack
		if w := s.Weights(); w["green"] != 0 {
			t.Fatalf("rolled back: %v", w)
		}
		s.Phase = rollout.Aborted
		if w := s.Weights(); !maps.Equal(w, base) {
			t.Fatalf("aborted: %v, before %v", w, base)
		}
	})
}

func TestBeginRefuses(t *testing.T) {
	two := map[string]uint32{"blue": 10000, "green": 0}
	for _, c := range []struct {
		name, to string
		weights  map[string]uint32
		change   func(*rollout.Options)
		want     string
	}{
		{"unknown group", "red", two, nil, `there is no group "red" (groups: blue, green)`},
		{"nothing to move", "blue", two, nil, "all the traffic already"},
		{"either", "", map[string]uint32{"a": 10000, "b": 0, "c": 0}, nil, "either could be meant"},
		{"none", "", map[string]uint32{"a": 5000, "b": 5000}, nil, "every group has weight"},
		{"no steps", "", two, func(o *rollout.Options) { o.Steps = nil }, "steps"},
		{"not to the end", "", two, func(o *rollout.Options) { o.Steps = []uint32{100} }, "the last one 100"},
		{"falling", "", two, func(o *rollout.Options) { o.Steps = []uint32{500, 100, 10000} }, "rise"},
		{"from zero", "", two, func(o *rollout.Options) { o.Steps = []uint32{0, 10000} }, "rise"},
		{"hold", "", two, func(o *rollout.Options) { o.Hold = -time.Second }, "hold"},
		{"tolerance", "", two, func(o *rollout.Options) { o.Tolerance = 0.5 }, "tolerance"},
		{"alpha", "", two, func(o *rollout.Options) { o.Alpha = 0 }, "alpha"},
		{"max_harm", "", two, func(o *rollout.Options) { o.MaxHarm = 0 }, "max_harm"},
		{"min_effect", "", two, func(o *rollout.Options) { o.MinEffect = 0 }, "min_effect"},
	} {
		o := options()
		if c.change != nil {
			c.change(&o)
		}
		if _, err := rollout.Begin(c.to, "ann", c.weights, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A state that cannot be gone on with is refused, never misread.
func TestStoredStateIsChecked(t *testing.T) {
	good := begin(t, options()).State()
	if _, err := rollout.NewMachine(stored(t, good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*rollout.State){
		"phase":        func(s *rollout.State) { s.Phase = "flying" },
		"step":         func(s *rollout.State) { s.Step = 9 },
		"step below":   func(s *rollout.State) { s.Step = -1 },
		"base":         func(s *rollout.State) { s.Base = map[string]uint32{"blue": 10000} },
		"base sum":     func(s *rollout.State) { s.Base = map[string]uint32{"blue": 9000, "green": 0} },
		"options":      func(s *rollout.State) { s.Options.Alpha = 0 },
		"evidence":     func(s *rollout.State) { s.Tally.Errors = []float64{1, 2} },
		"all to green": func(s *rollout.State) { s.Base = map[string]uint32{"blue": 0, "green": 10000} },
	} {
		s := stored(t, good)
		change(&s)
		if _, err := rollout.NewMachine(s); err == nil {
			t.Errorf("%s: went on", name)
		}
	}
}
