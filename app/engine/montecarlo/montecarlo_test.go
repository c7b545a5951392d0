package montecarlo_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/montecarlo"
)

func run(t testing.TB, seed string, trials, workers int) montecarlo.Result {
	t.Helper()
	s := montecarlo.Preset()
	s.Trials, s.Seed = trials, montecarlo.Seed(seed)
	r, err := montecarlo.Run(t.Context(), montecarlo.Case{Inputs: dcf.Preset(), Mode: dcf.Compat}, s, workers, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestGoldens: the figures of the original, on one processor and on more.
func TestGoldens(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		for _, c := range []struct {
			seed                            string
			hash                            uint32
			trials                          int
			mean, median, p10, p90, low, up float64
		}{
			{"abc", 1040702015, 1000, 10.679991028, 10.605513690, 9.152478706, 12.279715883, 0, 0},
			{"golden", 3450809012, 10000, 10.658650598, 10.616425250, 9.113748530, 12.277713399, 6.812020108, 15.780636427},
		} {
			if got := montecarlo.Seed(c.seed); got != c.hash {
				t.Errorf("%s hashes to %d, want %d", c.seed, got, c.hash)
			}
			r := run(t, c.seed, c.trials, workers)
			if r.Trials != c.trials || r.Refused != 0 || len(r.Samples) != c.trials {
				t.Errorf("%s: %d trials, %d refused, %d samples", c.seed, r.Trials, r.Refused, len(r.Samples))
			}
			near := func(name string, got, want float64) {
				if math.Abs(got-want) > 1e-9 {
					t.Errorf("%s with %d workers: %s is %.9f, want %.9f", c.seed, workers, name, got, want)
				}
			}
			near("mean", r.Mean, c.mean)
			near("median", r.Median, c.median)
			near("p10", r.P10, c.p10)
			near("p90", r.P90, c.p90)
			if c.low != 0 {
				near("min", r.Min, c.low)
				near("max", r.Max, c.up)
			}
		}
	}
}

func TestWithoutUncertaintyAllTrialsAreTheCase(t *testing.T) {
	r, err := montecarlo.Run(t.Context(), montecarlo.Case{Inputs: dcf.Preset(), Mode: dcf.Compat}, montecarlo.Settings{Trials: 100}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{r.Mean, r.Median, r.P10, r.P90, r.Min, r.Max} {
		if math.Abs(v-10.637192004) > 1e-9 {
			t.Errorf("%v", v)
		}
	}
	if r.Histogram[0] != 100 || r.StandardDeviation > 1e-9 {
		t.Errorf("%v, %v", r.Histogram, r.StandardDeviation)
	}
}

// TestWorkersDoNotMatter: any seed, any settings: the samples are the same to the last bit, and the histogram holds each once.
func TestWorkersDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := montecarlo.Settings{
			Trials: rapid.IntRange(100, 700).Draw(t, "trials"), Seed: rapid.Uint32().Draw(t, "seed"),
			Growth: rapid.Float64Range(0, 10).Draw(t, "growth"), Margin: rapid.Float64Range(0, 10).Draw(t, "margin"),
			SalesToCap: rapid.Float64Range(0, 50).Draw(t, "capital"), Correlation: rapid.Float64Range(-.99, .99).Draw(t, "correlation"),
		}
		mode := rapid.SampledFrom([]dcf.Mode{dcf.Compat, dcf.Unfloored}).Draw(t, "mode")
		one, err := montecarlo.Run(context.Background(), montecarlo.Case{Inputs: dcf.Preset(), Mode: mode}, s, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		var told atomic.Int64
		many, err := montecarlo.Run(context.Background(), montecarlo.Case{Inputs: dcf.Preset(), Mode: mode}, s, 3, func(int) { told.Add(1) })
		if err != nil || !slices.Equal(one.Samples, many.Samples) || one.Mean != many.Mean || one.Histogram != many.Histogram {
			t.Fatalf("one worker %v, three %v: %v", one.Mean, many.Mean, err)
		}
		if told.Load() == 0 {
			t.Fatal("nobody was told of progress")
		}
		sum := 0
		for _, n := range one.Histogram {
			sum += n
		}
		if sum != len(one.Samples) || sum+one.Refused != s.Trials {
			t.Fatalf("%d in the histogram, %d samples, %d refused", sum, len(one.Samples), one.Refused)
		}
		for _, v := range one.Samples {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatal(v)
			}
		}
	})
}

func TestRefusedSettings(t *testing.T) {
	for field, edit := range map[string]func(*montecarlo.Settings){
		"trials":      func(s *montecarlo.Settings) { s.Trials = 99 },
		"volPP":       func(s *montecarlo.Settings) { s.Growth = 10.1 },
		"marginVolPP": func(s *montecarlo.Settings) { s.Margin = math.NaN() },
		"s2cVolPct":   func(s *montecarlo.Settings) { s.SalesToCap = -1 },
		"corrGM":      func(s *montecarlo.Settings) { s.Correlation = 1 },
	} {
		s := montecarlo.Preset()
		edit(&s)
		_, err := montecarlo.Run(t.Context(), montecarlo.Case{Inputs: dcf.Preset(), Mode: dcf.Compat}, s, 1, nil)
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := montecarlo.Preset()
	s.Trials = 10_000
	most := 0
	_, err := montecarlo.Run(ctx, montecarlo.Case{Inputs: dcf.Preset(), Mode: dcf.Compat}, s, 1, func(done int) { most = done; cancel() })
	if !errors.Is(err, context.Canceled) || most != 128 {
		t.Errorf("%v after %d trials", err, most)
	}
}

func BenchmarkTenThousandTrials(b *testing.B) {
	for b.Loop() {
		run(b, "golden", 10_000, 2)
	}
}
