package sensitivity_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/sensitivity"
)

func usual() [2]sensitivity.Axis {
	return [2]sensitivity.Axis{{Field: "wacc", Min: .07, Max: .12}, {Field: "termGrowth", Min: .01, Max: .035}}
}

func TestCornersOfTheUsualGrid(t *testing.T) {
	g, err := sensitivity.Compute(dcf.Preset(), dcf.Compat, usual(), 24, sensitivity.PerShare)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.First) != 25 || len(g.Second) != 25 || len(g.Cells) != 25 || len(g.Cells[0]) != 25 {
		t.Fatalf("%d by %d points", len(g.First), len(g.Second))
	}
	for _, c := range []struct {
		i, j int
		want float64
	}{{0, 0, 12.930567745}, {0, 24, 21.558304856}, {24, 0, 5.415529493}, {24, 24, 6.888856391}} {
		if got := g.Cells[c.i][c.j].Value; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("cell %d, %d is %.9f, want %.9f", c.i, c.j, got, c.want)
		}
	}
}

// TestEveryCellIsARun: for any two inputs and any metric, a cell is what dcf gives for that case, absent exactly where dcf refuses it.
func TestEveryCellIsARun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fields []dcf.Limit
		for _, l := range dcf.Limits() {
			if !l.Integer {
				fields = append(fields, l)
			}
		}
		axis := func(name string) sensitivity.Axis {
			l := rapid.SampledFrom(fields).Draw(t, name)
			a := rapid.Float64Range(l.Min, l.Max).Draw(t, name+" from")
			b := rapid.Float64Range(l.Min, l.Max).Draw(t, name+" to")
			return sensitivity.Axis{Field: l.Field, Min: min(a, b), Max: max(a, b)}
		}
		axes := [2]sensitivity.Axis{axis("first"), axis("second")}
		if axes[0].Field == axes[1].Field || axes[0].Min == axes[0].Max || axes[1].Min == axes[1].Max {
			t.Skip("no grid")
		}
		steps := rapid.IntRange(2, 5).Draw(t, "steps")
		g, err := sensitivity.Compute(dcf.Preset(), dcf.Compat, axes, steps, sensitivity.Equity)
		if err != nil {
			t.Fatal(err)
		}
		i, j := rapid.IntRange(0, steps).Draw(t, "i"), rapid.IntRange(0, steps).Draw(t, "j")
		in, _ := dcf.Preset().With(axes[0].Field, g.First[i])
		in, _ = in.With(axes[1].Field, g.Second[j])
		r, err := dcf.Compute(in, dcf.Compat)
		if cell := g.Cells[i][j]; cell.Set != (err == nil) || cell.Set && cell.Value != r.Totals.Equity {
			t.Fatalf("%v, but dcf says %v %v", cell, r.Totals.Equity, err)
		}
	})
}

func TestRefusedGrids(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(axes *[2]sensitivity.Axis, steps *int, m *sensitivity.Metric)
		field string
	}{
		"unknown input":  {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[0].Field = "waccc" }, "param1"},
		"years":          {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[1].Field = "years" }, "param2"},
		"twice":          {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[1] = a[0] }, "param2"},
		"backwards":      {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[0].Min = .2 }, "param1Min"},
		"not a number":   {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[0].Min = math.NaN() }, "param1Min"},
		"out of range":   {func(a *[2]sensitivity.Axis, _ *int, _ *sensitivity.Metric) { a[0].Max = 1 }, "param1Min"},
		"one step":       {func(_ *[2]sensitivity.Axis, s *int, _ *sensitivity.Metric) { *s = 1 }, "steps"},
		"too many steps": {func(_ *[2]sensitivity.Axis, s *int, _ *sensitivity.Metric) { *s = 101 }, "steps"},
		"metric":         {func(_ *[2]sensitivity.Axis, _ *int, m *sensitivity.Metric) { *m = "irr" }, "metric"},
	} {
		axes, steps, m := usual(), 24, sensitivity.PerShare
		c.edit(&axes, &steps, &m)
		_, err := sensitivity.Compute(dcf.Preset(), dcf.Compat, axes, steps, m)
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSolve: the published answers, and the range they lie in.
func TestSolve(t *testing.T) {
	for _, c := range []struct {
		unknown sensitivity.Unknown
		want    float64
	}{{sensitivity.WACC, .0842938039}, {sensitivity.TermGrowth, .0328115385}} {
		s, err := sensitivity.Solve(dcf.Preset(), dcf.Compat, c.unknown, 12)
		if err != nil || math.Abs(s.PerShare-12) > sensitivity.Tolerance {
			t.Fatalf("%s: %+v %v", c.unknown, s, err)
		}
		if math.Abs(s.Value-c.want) > 1e-9 {
			t.Errorf("%s = %.10f, want %.10f", c.unknown, s.Value, c.want)
		}
	}
	for _, target := range []float64{-1000, 1e9} {
		if _, err := sensitivity.Solve(dcf.Preset(), dcf.Compat, sensitivity.WACC, target); !errors.Is(err, sensitivity.ErrNoSolution) {
			t.Errorf("target %v: %v", target, err)
		}
	}
	var bad *dcf.InvalidError
	if _, err := sensitivity.Solve(dcf.Preset(), dcf.Compat, "revenue", 12); !errors.As(err, &bad) || bad.Violations[0].Field != "solveFor" {
		t.Error(err)
	}
	if _, err := sensitivity.Solve(dcf.Preset(), dcf.Compat, sensitivity.WACC, math.Inf(1)); !errors.As(err, &bad) || bad.Violations[0].Field != "target" {
		t.Error(err)
	}
	in := dcf.Preset()
	in.TaxRate = 2
	if _, err := sensitivity.Solve(in, dcf.Compat, sensitivity.WACC, 12); !errors.As(err, &bad) || bad.Violations[0].Field != "taxRate" {
		t.Error(err)
	}
}

// TestSolutionsSolve: whatever is found gives the target when it is put in.
func TestSolutionsSolve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.SampledFrom([]sensitivity.Unknown{sensitivity.WACC, sensitivity.TermGrowth}).Draw(t, "unknown")
		s, err := sensitivity.Solve(dcf.Preset(), dcf.Compat, u, rapid.Float64Range(4, 40).Draw(t, "target"))
		if errors.Is(err, sensitivity.ErrNoSolution) {
			return
		}
		in, _ := dcf.Preset().With(string(u), s.Value)
		r, err := dcf.Compute(in, dcf.Compat)
		if err != nil || math.Abs(r.Totals.PerShare-s.PerShare) > 1e-12 {
			t.Fatalf("%+v: %v %v", s, r.Totals.PerShare, err)
		}
	})
}
