package stat_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/stat"
)

func TestMedian(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		in   []float64
		want float64
	}{
		"none":         {nil, nan},
		"one":          {[]float64{4}, 4},
		"odd":          {[]float64{9, 1, 5}, 5},
		"even":         {[]float64{1, 9, 5, 3}, 4},
		"missing":      {[]float64{nan, 2, nan, 8, 5}, 5},
		"all missing":  {[]float64{nan, nan}, nan},
		"no overflow":  {[]float64{math.MaxFloat64, math.MaxFloat64}, math.MaxFloat64},
		"equal values": {[]float64{7, 7, 7, 7}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.in)
			got := stat.Median(c.in)
			if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
				t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
			}
			for i := range before {
				if before[i] != c.in[i] && !math.IsNaN(before[i]) {
					t.Fatalf("input was reordered: %v, was %v", c.in, before)
				}
			}
		})
	}
}

func TestRatiosPairRoundsAndSkipMissingOnes(t *testing.T) {
	got := stat.Ratios([]float64{10, 30, 5, math.NaN()}, []float64{5, 10, 0, 2, 8})
	want := []float64{2, 3}
	if len(got) != 4 || got[0] != want[0] || got[1] != want[1] {
		t.Fatalf("Ratios = %v, want 2, 3, NaN, NaN", got)
	}
	if !math.IsNaN(got[2]) || !math.IsNaN(got[3]) {
		t.Errorf("a zero reference and a missing subject must give NaN, got %v", got[2:])
	}
	if m := stat.Median(got); m != 2.5 {
		t.Errorf("median of ratios = %v, want 2.5", m)
	}
}

// A disturbance that slows both sides of a round alike must not move the ratio.
func TestRatiosCancelCommonNoise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.SliceOfN(rapid.Float64Range(0.5, 4), 1, 9).Draw(t, "noise")
		truth := rapid.Float64Range(0.1, 10).Draw(t, "ratio")
		subject, reference := make([]float64, len(noise)), make([]float64, len(noise))
		for i, n := range noise {
			subject[i], reference[i] = 15*truth*n, 15*n
		}
		if got := stat.Median(stat.Ratios(subject, reference)); math.Abs(got-truth) > 1e-9*truth {
			t.Fatalf("ratio %v, want %v", got, truth)
		}
	})
}

func TestQuantileIsNearestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SliceOfN(rapid.Int64Range(-5, 1000), 1, 50).Draw(t, "samples")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		slices.Sort(s)
		got := stat.Quantile(s, q)
		atMost, below := 0, 0
		for _, v := range s {
			if v <= got {
				atMost++
			}
			if v < got {
				below++
			}
		}
		if float64(atMost) < q*float64(len(s)) {
			t.Fatalf("Quantile(%v, %v) = %v covers too little", s, q, got)
		}
		if below > 0 && float64(below) >= q*float64(len(s)) {
			t.Fatalf("Quantile(%v, %v) = %v is not the smallest that covers", s, q, got)
		}
	})
	if stat.Quantile(nil, 0.5) != 0 {
		t.Error("no samples must give 0")
	}
}

func TestMean(t *testing.T) {
	if m := stat.Mean([]int64{1, 2, 6}); m != 3 {
		t.Errorf("Mean = %v, want 3", m)
	}
	if m := stat.Mean(nil); m != 0 {
		t.Errorf("Mean of none = %v, want 0", m)
	}
}
