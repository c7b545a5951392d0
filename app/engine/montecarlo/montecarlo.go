// Package montecarlo asks how uncertain growth, margins and capital needs make a valuation: it values the case many times with drivers drawn around the given ones.
//
// A seed fixes every figure, on any number of processors: the generator can be entered at any trial. It has no state and no clock; Run uses as many
// goroutines as it is told to and returns when all have ended.
package montecarlo

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// The range of Trials.
const (
	MinTrials = 100
	MaxTrials = 10_000
)

// Bins is the size of a Histogram.
const Bins = 30

// Settings say how uncertain what is. Standard deviations; growth and margins in percentage points, sales to capital in percent of itself.
type Settings struct {
	Trials      int
	Seed        uint32
	Growth      float64 // 0 to 10
	Margin      float64 // 0 to 10
	SalesToCap  float64 // 0 to 50
	Correlation float64 // of growth and margin in stage 1, -0.99 to 0.99
}

// Case is what is valued.
type Case struct {
	Inputs dcf.Inputs
	Mode   dcf.Mode
}

// Preset is the original's: 1000 trials, 2 points for growth and margin, 5 % for sales to capital, a correlation of 0.3.
func Preset() Settings {
	return Settings{Trials: 1000, Growth: 2, Margin: 2, SalesToCap: 5, Correlation: .3}
}

// Seed is the seed of a text.
func Seed(text string) uint32 { return seedOf(text) }

// Result is what the trials came to, by the value of a share. Trials without a finite value are left out of it and counted as Refused.
type Result struct {
	Trials, Refused       int
	Mean, Median          float64
	P10, P90              float64
	Min, Max              float64
	Histogram             [Bins]int // equal parts of Min to Max; all in the first when those are equal
	Samples               []float64 // sorted
	StandardDeviation     float64
	ProbabilityOfNegative float64
}

// drawsPerTrial is nine normals of two draws each.
const drawsPerTrial = 18

// chunk is how many trials are done between two looks at the context.
const chunk = 128

// Run values the case. progress, which may be nil, is told from any of the goroutines how many trials are done; the error is the context's, or an *dcf.InvalidError.
func Run(ctx context.Context, c Case, s Settings, workers int, progress func(done int)) (Result, error) {
	if err := Validate(c, s); err != nil {
		return Result{}, err
	}
	values, zeros, err := run(ctx, c, s, workers, progress)
	if err == nil && zeros > 0 && workers > 1 {
		// A draw of exactly zero (one in four thousand million) was drawn again, which moved all that follow: only one after the other knows by how much.
		values, _, err = run(ctx, c, s, 1, nil)
	}
	if err != nil {
		return Result{}, err
	}
	return summarise(values), nil
}

// run values every trial. With one worker the stream goes on from trial to trial; with more, each chunk enters it where it would be if no draw were zero.
func run(ctx context.Context, c Case, s Settings, workers int, progress func(int)) (values []float64, zeros int, err error) {
	values = make([]float64, s.Trials)
	var next, done, again atomic.Int64
	work := func() {
		one := stream{counter: s.Seed}
		for ctx.Err() == nil {
			from := int(next.Add(chunk)) - chunk
			if from >= s.Trials {
				return
			}
			if workers > 1 {
				one = at(s.Seed, from*drawsPerTrial)
			}
			to := min(from+chunk, s.Trials)
			for i := from; i < to; i++ {
				values[i] = trial(c, s, &one)
			}
			if workers > 1 {
				again.Add(int64(one.zeros))
			}
			if n := int(done.Add(int64(to - from))); progress != nil {
				progress(n)
			}
		}
	}
	var all sync.WaitGroup
	for range max(1, workers) - 1 {
		all.Go(work)
	}
	work()
	all.Wait()
	return values, int(again.Load()), context.Cause(ctx)
}

// trial draws the drivers of one trial, in the original's order, and values it: NaN when that has no value.
func trial(c Case, s Settings, r *stream) float64 {
	in, mode := &c.Inputs, c.Mode
	z1, z2 := r.normal(), r.normal()
	e2, e3 := r.normal(), r.normal()
	m2, m3 := r.normal(), r.normal()
	k1, k2, k3 := r.normal(), r.normal(), r.normal()
	growth, margin, capital := s.Growth/100, s.Margin/100, s.SalesToCap/100
	rho := s.Correlation
	for i, d := range [3]struct{ growth, margin, capital float64 }{
		{z1 * growth, (rho*z1 + math.Sqrt(1-rho*rho)*z2) * margin, k1}, {e2 * growth, m2 * margin, k2}, {e3 * growth, m3 * margin, k3},
	} {
		st := &in.Stages[i]
		st.Growth = shifted(st.Growth, d.growth, mode)
		st.Margin = shifted(st.Margin, d.margin, mode)
		if st.SalesToCap.Set {
			st.SalesToCap.Value = math.Max(.1, st.SalesToCap.Value*(1+capital*d.capital))
		}
	}
	res, err := dcf.Compute(*in, mode)
	if err != nil {
		return math.NaN()
	}
	return res.Totals.PerShare
}

// shifted is a driver moved by d. One that no stage states is not moved: its uncertainty would be another's.
func shifted(o dcf.Optional, d float64, mode dcf.Mode) dcf.Optional {
	if !o.Set {
		return o
	}
	o.Value += d
	if mode == dcf.Compat {
		o.Value = math.Max(0, o.Value)
	}
	return o
}

// Validate names every field at fault, of the case and of the settings; nil: none is.
func Validate(c Case, s Settings) error {
	v := dcf.Validate(c.Inputs, c.Mode)
	in := func(field string, got, low, high float64) {
		if !(got >= low && got <= high) {
			v = append(v, dcf.Violation{Field: field, Message: fmt.Sprintf("must be from %v to %v", low, high)})
		}
	}
	in("trials", float64(s.Trials), MinTrials, MaxTrials)
	in("volPP", s.Growth, 0, 10)
	in("marginVolPP", s.Margin, 0, 10)
	in("s2cVolPct", s.SalesToCap, 0, 50)
	in("corrGM", s.Correlation, -.99, .99)
	if len(v) > 0 {
		return &dcf.InvalidError{Violations: v}
	}
	return nil
}

func summarise(values []float64) Result {
	r := Result{Trials: len(values)}
	r.Samples = slices.DeleteFunc(values, math.IsNaN)
	r.Refused = r.Trials - len(r.Samples)
	n := len(r.Samples)
	if n == 0 {
		return r
	}
	slices.Sort(r.Samples)
	quantile := func(q float64) float64 { return r.Samples[int(q*float64(n))] }
	r.Median, r.P10, r.P90 = quantile(.5), quantile(.1), quantile(.9)
	r.Min, r.Max = r.Samples[0], r.Samples[n-1]
	negative := 0
	for _, v := range r.Samples {
		r.Mean += v / float64(n)
		if v < 0 {
			negative++
		}
		r.Histogram[bin(v, r.Min, r.Max)]++
	}
	for _, v := range r.Samples {
		r.StandardDeviation += (v - r.Mean) * (v - r.Mean) / float64(n)
	}
	r.StandardDeviation = math.Sqrt(r.StandardDeviation)
	r.ProbabilityOfNegative = float64(negative) / float64(n)
	return r
}

func bin(v, low, high float64) int {
	if !(high > low) {
		return 0
	}
	return min(Bins-1, int((v-low)/(high-low)*Bins))
}
