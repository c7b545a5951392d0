package risk_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/risk"
)

func near(t *testing.T, name string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.9f, want %.9f", name, got, want)
	}
}

func golden() []float64 {
	return []float64{-.05, -.03, -.02, -.01, -.005, 0, .004, .006, .01, .012, .015, .018, .02, .022, .025, .03, .031, .035, .04, .045}
}

func TestGoldens(t *testing.T) {
	l, err := risk.ValueAtRisk(golden(), .95, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", l.Mean, .0099, 1e-12)
	near(t, "deviation", l.StandardDeviation, .024093895, 1e-9)
	near(t, "VaR 95", l.Historical, -.031, 1e-12)
	near(t, "CVaR 95", l.Expected, -.05, 1e-12)
	near(t, "parametric 95", l.Parametric, -.029730931, 1e-9)
	l, err = risk.ValueAtRisk(golden(), .99, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "VaR 99", l.Historical, -.0462, 1e-12)
	p, err := risk.MinimumVariance(risk.Market{Means: []float64{0, 0}, Covariance: [][]float64{{.04, .006}, {.006, .09}}})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "first weight", p.Weights[0], .711864407, 1e-9)
	near(t, "second weight", p.Weights[1], .288135593, 1e-9)
	near(t, "variance", p.Variance, .030203390, 1e-9)
}

// TestLossesAreOrdered: more confidence never means a smaller loss, the expected loss is no smaller than the quantile, and all lie within the series.
func TestLossesAreOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		returns := rapid.SliceOfN(rapid.Float64Range(-1, 2), 2, 60).Draw(t, "returns")
		low := rapid.Float64Range(.5, .99).Draw(t, "confidence")
		a, err := risk.ValueAtRisk(returns, low, 1)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := risk.ValueAtRisk(returns, math.Min(.9999, low+.005), 1)
		if b.Historical > a.Historical+1e-12 || b.Parametric > a.Parametric+1e-12 || a.Expected > a.Historical+1e-12 {
			t.Fatalf("%+v, with more confidence %+v", a, b)
		}
		nine, _ := risk.ValueAtRisk(returns, low, 9)
		if math.Abs(nine.Historical-3*a.Historical) > 1e-9 {
			t.Fatalf("nine periods: %+v of %+v", nine, a)
		}
	})
}

// market draws one whose covariance comes from series, so that it is a covariance.
func market(t *rapid.T) risk.Market {
	n := rapid.IntRange(2, 6).Draw(t, "assets")
	periods := rapid.IntRange(n+2, 30).Draw(t, "periods")
	assets := make([][]float64, n)
	for i := range assets {
		assets[i] = rapid.SliceOfN(rapid.Float64Range(-.2, .3), periods, periods).Draw(t, "asset")
	}
	m, err := risk.Observe(assets)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func variance(m risk.Market, w []float64) (v float64) {
	for i := range w {
		for j := range w {
			v += w[i] * w[j] * m.Covariance[i][j]
		}
	}
	return v
}

// TestNothingBeatsTheBest: the weights are a mix, no mix drawn at random varies less than the first portfolio or has a better ratio than the second.
func TestNothingBeatsTheBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := market(t)
		least, err := risk.MinimumVariance(m)
		if err != nil {
			t.Fatal(err)
		}
		steep, err := risk.MaxSharpe(m, 0)
		var bad *dcf.InvalidError
		if err != nil && !errors.As(err, &bad) {
			t.Fatal(err)
		}
		for _, p := range []risk.Portfolio{least, steep} {
			sum := 0.0
			for _, w := range p.Weights {
				if w < 0 {
					t.Fatalf("%v", p.Weights)
				}
				sum += w
			}
			if p.Weights != nil && math.Abs(sum-1) > 1e-9 {
				t.Fatalf("%v sum to %v", p.Weights, sum)
			}
		}
		for range 20 {
			w := make([]float64, len(m.Means))
			sum, gained := 0.0, 0.0
			for i := range w {
				w[i] = rapid.Float64Range(0, 1).Draw(t, "weight")
				sum += w[i]
			}
			if sum == 0 {
				continue
			}
			for i := range w {
				w[i] /= sum
				gained += w[i] * m.Means[i]
			}
			v := variance(m, w)
			if v < least.Variance-1e-10 {
				t.Fatalf("%v varies by %v, %v by %v", w, v, least.Weights, least.Variance)
			}
			if steep.Sharpe.Set && v > 1e-9 && gained/math.Sqrt(v) > steep.Sharpe.Value*(1+1e-6)+1e-9 {
				t.Fatalf("%v has a ratio of %v, %v of %v", w, gained/math.Sqrt(v), steep.Weights, steep.Sharpe.Value)
			}
		}
	})
}

// TestMaxSharpeOfTwo: without correlation the weights go as excess over variance.
func TestMaxSharpeOfTwo(t *testing.T) {
	p, err := risk.MaxSharpe(risk.Market{Means: []float64{.08, .12}, Covariance: [][]float64{{.04, 0}, {0, .09}}}, .02)
	if err != nil {
		t.Fatal(err)
	}
	a, b := .06/.04, .10/.09
	near(t, "first weight", p.Weights[0], a/(a+b), 1e-6)
	near(t, "ratio", p.Sharpe.Value, math.Sqrt(.06*.06/.04+.10*.10/.09), 1e-9)
}

func TestRefusals(t *testing.T) {
	fails := func(name string, err error) {
		t.Helper()
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := risk.ValueAtRisk([]float64{.1}, .95, 1)
	fails("one return", err)
	_, err = risk.ValueAtRisk([]float64{.1, math.NaN()}, .95, 1)
	fails("NaN", err)
	_, err = risk.ValueAtRisk(golden(), 1, 1)
	fails("certainty", err)
	_, err = risk.ValueAtRisk(golden(), .95, 0)
	fails("no horizon", err)
	_, err = risk.Observe([][]float64{{.1, .2}, {.1}})
	fails("series of two lengths", err)
	_, err = risk.MinimumVariance(risk.Market{Means: []float64{0, 0}, Covariance: [][]float64{{.04, .07}, {.07, .09}}})
	fails("more than perfectly correlated", err)
	_, err = risk.MinimumVariance(risk.Market{Means: []float64{0, 0}, Covariance: [][]float64{{.04, .01}, {.02, .09}}})
	fails("not symmetric", err)
	_, err = risk.MaxSharpe(risk.Market{Means: []float64{.01, .01}, Covariance: [][]float64{{.04, 0}, {0, .09}}}, .02)
	fails("nothing above the riskless rate", err)
}
