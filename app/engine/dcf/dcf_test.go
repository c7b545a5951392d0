package dcf_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// tolerance is the agreement the published figures are held to; they carry nine decimals.
const tolerance = 1e-9

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12f, want %.12f", name, got, want)
	}
}

func compute(t *testing.T, in dcf.Inputs, mode dcf.Mode) dcf.Result {
	t.Helper()
	r, err := dcf.Compute(in, mode)
	if err != nil {
		t.Fatalf("compute: %v", err)
	}
	return r
}

func TestPresetReproducesThePublishedFigures(t *testing.T) {
	r := compute(t, dcf.Preset(), dcf.Compat)
	revenue := []float64{560, 627.2, 702.464, 758.66112, 819.3540096, 884.902330368, 920.298423583}
	fcff := []float64{59.24, 66.3488, 74.310656, 114.561575595, 116.139890442, 125.431081678, 163.143627577}
	if r.Years != len(revenue) {
		t.Fatalf("years = %d, want %d", r.Years, len(revenue))
	}
	for y := range revenue {
		near(t, "revenue", r.Series.Revenue[y], revenue[y])
		near(t, "fcff", r.Series.FCFF[y], fcff[y])
	}
	near(t, "sumPvFcff", r.Totals.SumPVFCFF, 488.251417609)
	near(t, "pvTv", r.Totals.PVTerminal, 1407.327382933)
	near(t, "ev", r.Totals.EnterpriseValue, 1895.578800542)
	near(t, "equity", r.Totals.Equity, 1595.578800542)
	near(t, "perShare", r.Totals.PerShare, 10.637192004)
	near(t, "tvPct", r.Totals.TerminalShare, .742426209)
	near(t, "roic", r.KPIs.ROIC.Value, 5.519649524)
	near(t, "reinvestRate", r.KPIs.ReinvestRate.Value, .181170923)
	near(t, "fcffCAGR", r.KPIs.FCFFCAGR.Value, .183929506)
	near(t, "evNopat", r.KPIs.EVToNOPAT.Value, 11.145798775)
	if r.KPIs.PaybackYear != 0 {
		t.Errorf("payback = %d, want 0", r.KPIs.PaybackYear)
	}
	if len(r.Warnings) != 0 {
		t.Errorf("the preset warns: %v", r.Warnings)
	}
}

func TestMultiple(t *testing.T) {
	in := dcf.Preset()
	in.Method, in.TVMultiple = dcf.Multiple, dcf.Some(12)
	r := compute(t, in, dcf.Compat)
	near(t, "ev", r.Totals.EnterpriseValue, 1585.966776296)
	near(t, "perShare", r.Totals.PerShare, 8.573111842)
}

func TestWithoutStageFields(t *testing.T) {
	in := dcf.Preset()
	in.Stages = [3]dcf.Stage{}
	near(t, "perShare", compute(t, in, dcf.Compat).Totals.PerShare, 8.803111547)
}

// The corners of the original's sensitivity grid are full runs with two inputs changed.
func TestSensitivityCorners(t *testing.T) {
	for _, c := range []struct{ wacc, g, want float64 }{
		{.07, .01, 12.930567745}, {.07, .035, 21.558304856},
		{.12, .01, 5.415529493}, {.12, .035, 6.888856391},
		{.0842938039, .025, 12}, {.09, .0328115385, 12}, // the solver's answers, to its 1e-4
	} {
		in := dcf.Preset()
		in.WACC, in.TermGrowth = c.wacc, c.g
		got := compute(t, in, dcf.Compat).Totals.PerShare
		limit := tolerance
		if c.want == 12 {
			limit = 1e-4
		}
		if !(math.Abs(got-c.want) <= limit) {
			t.Errorf("wacc %v g %v: perShare = %.9f, want %.9f", c.wacc, c.g, got, c.want)
		}
	}
}

func TestPaybackYear(t *testing.T) {
	in := dcf.Preset()
	in.Method, in.TVMultiple = dcf.Multiple, dcf.Some(0) // no terminal value: half is paid early
	r := compute(t, in, dcf.Compat)
	var sum float64
	want := 0
	for y := range r.Years {
		sum += r.Series.PresentFCF[y]
		if want == 0 && sum >= r.Totals.EnterpriseValue/2 {
			want = y + 1
		}
	}
	// 54.35 + 55.84 + 57.38 + 81.16 = 248.73 is the first sum above half of 488.25.
	if want != 4 || r.KPIs.PaybackYear != want {
		t.Errorf("payback = %d, recomputed %d, want 4", r.KPIs.PaybackYear, want)
	}
}

func TestUnflooredLiftsTheFloors(t *testing.T) {
	in := dcf.Preset()
	in.Stages[0].Growth, in.Stages[0].Margin = dcf.Some(-.10), dcf.Some(-.05)
	floored := compute(t, in, dcf.Compat)
	near(t, "floored revenue", floored.Series.Revenue[0], 500)
	near(t, "floored margin", floored.Series.Margin[0], 0)
	lifted := compute(t, in, dcf.Unfloored)
	near(t, "revenue", lifted.Series.Revenue[0], 450)
	near(t, "nopat", lifted.Series.NOPAT[0], 450*-.05*(1-.23))
	near(t, "capex", lifted.Series.Capex[0], 0) // shrinking returns no capital
	if lifted.KPIs.FCFFCAGR.Set {
		t.Errorf("a growth rate was computed from a negative first flow")
	}
	for _, name := range []string{"growth", "margin"} {
		if !warns(floored, name) {
			t.Errorf("compat does not say that it floored %s: %v", name, floored.Warnings)
		}
		if warns(lifted, name) {
			t.Errorf("compat:false claims to have floored %s", name)
		}
	}
}

func TestViolations(t *testing.T) {
	type edit = func(*dcf.Inputs)
	for _, c := range []struct {
		name, field string
		mode        dcf.Mode
		edit        edit
	}{
		{"terminal growth at wacc", "termGrowth", dcf.Compat, func(in *dcf.Inputs) { in.TermGrowth = in.WACC }},
		{"the original's silent bump", "termGrowth", dcf.Compat, func(in *dcf.Inputs) { in.TermGrowth, in.WACC = .04, .03 }},
		{"stages reversed", "stage2End", dcf.Compat, func(in *dcf.Inputs) { in.Stage2End = 3 }},
		{"stage 1 past the end", "stage1End", dcf.Compat, func(in *dcf.Inputs) { in.Stage1End = 8 }},
		{"stage 2 past the end", "stage2End", dcf.Compat, func(in *dcf.Inputs) { in.Stage2End = 8 }},
		{"too few years", "years", dcf.Compat, func(in *dcf.Inputs) { in.Years = 2 }},
		{"too many years", "years", dcf.Compat, func(in *dcf.Inputs) { in.Years = 16 }},
		{"tax above", "taxRate", dcf.Compat, func(in *dcf.Inputs) { in.TaxRate = .61 }},
		{"tax below", "taxRate", dcf.Compat, func(in *dcf.Inputs) { in.TaxRate = -.01 }},
		{"no capital", "salesToCap", dcf.Compat, func(in *dcf.Inputs) { in.SalesToCap = 0 }},
		{"too light", "salesToCap", dcf.Compat, func(in *dcf.Inputs) { in.SalesToCap = 10.1 }},
		{"wacc below", "wacc", dcf.Compat, func(in *dcf.Inputs) { in.WACC = .029 }},
		{"wacc above", "wacc", dcf.Compat, func(in *dcf.Inputs) { in.WACC = .251 }},
		{"no revenue", "revenue", dcf.Compat, func(in *dcf.Inputs) { in.Revenue = 0 }},
		{"negative revenue", "revenue", dcf.Compat, func(in *dcf.Inputs) { in.Revenue = -1 }},
		{"no shares", "shares", dcf.Compat, func(in *dcf.Inputs) { in.Shares = 0 }},
		{"NaN", "netDebt", dcf.Compat, func(in *dcf.Inputs) { in.NetDebt = math.NaN() }},
		{"infinity", "netDebt", dcf.Compat, func(in *dcf.Inputs) { in.NetDebt = math.Inf(1) }},
		{"NaN in a stage", "s3S2C", dcf.Compat, func(in *dcf.Inputs) { in.Stages[2].SalesToCap = dcf.Some(math.NaN()) }},
		{"negative working capital", "s2NWC", dcf.Compat, func(in *dcf.Inputs) { in.Stages[1].WorkingCapital = dcf.Some(-.1) }},
		{"multiple missing", "tvMultipleVal", dcf.Compat, func(in *dcf.Inputs) { in.Method = dcf.Multiple }},
		{"unknown method", "tvMethod", dcf.Compat, func(in *dcf.Inputs) { in.Method = 9 }},
		{"more than all revenue lost", "growthDecay", dcf.Unfloored, func(in *dcf.Inputs) {
			in.Stages, in.GrowthY1, in.GrowthDecay = [3]dcf.Stage{}, -.9, .5
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := dcf.Preset()
			c.edit(&in)
			_, err := dcf.Compute(in, c.mode)
			var invalid *dcf.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("error = %v, want an InvalidError", err)
			}
			found := false
			for _, v := range invalid.Violations {
				found = found || v.Field == c.field
			}
			if !found || !strings.Contains(err.Error(), c.field) {
				t.Errorf("violations %v do not name %s", err, c.field)
			}
		})
	}
}

func TestEveryViolationIsReported(t *testing.T) {
	in := dcf.Preset()
	in.Revenue, in.TaxRate, in.WACC = -1, 2, 9
	if got := len(dcf.Validate(in, dcf.Compat)); got != 3 {
		t.Errorf("%d violations, want 3", got)
	}
}

func TestLimitsAreInclusiveWhereTheySaySo(t *testing.T) {
	in := dcf.Preset()
	in.TaxRate, in.SalesToCap, in.WACC = .6, 10, .25
	if v := dcf.Validate(in, dcf.Compat); len(v) != 0 {
		t.Errorf("upper limits refused: %v", v)
	}
	in.TaxRate, in.WACC, in.Years, in.Stage1End, in.Stage2End = 0, .03, 3, 1, 2
	if v := dcf.Validate(in, dcf.Compat); len(v) != 0 {
		t.Errorf("lower limits refused: %v", v)
	}
}

func warns(r dcf.Result, field string) bool {
	for _, w := range r.Warnings {
		if w.Field == field {
			return true
		}
	}
	return false
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, field string
		edit        func(*dcf.Inputs)
	}{
		{"growth above", "s1Growth", func(in *dcf.Inputs) { in.Stages[0].Growth = dcf.Some(.51) }},
		{"growth below", "s1Growth", func(in *dcf.Inputs) { in.Stages[0].Growth = dcf.Some(-.01) }},
		{"fallback growth", "growthY1", func(in *dcf.Inputs) { in.Stages[0].Growth, in.GrowthY1 = dcf.Optional{}, .6 }},
		{"margin above", "s2Margin", func(in *dcf.Inputs) { in.Stages[1].Margin = dcf.Some(.61) }},
		{"margin below", "s3Margin", func(in *dcf.Inputs) { in.Stages[2].Margin = dcf.Some(-.1) }},
		{"fallback margin", "ebitMargin", func(in *dcf.Inputs) { in.Stages[2].Margin, in.EBITMargin = dcf.Optional{}, .7 }},
		{"terminal growth above", "termGrowth", func(in *dcf.Inputs) { in.TermGrowth = .041 }},
		{"terminal growth below", "termGrowth", func(in *dcf.Inputs) { in.TermGrowth = -.001 }},
		{"net debt", "netDebt", func(in *dcf.Inputs) { in.NetDebt = 3001 }},
		{"net cash", "netDebt", func(in *dcf.Inputs) { in.NetDebt = -3001 }},
		{"release", "nwc", func(in *dcf.Inputs) { in.Stages[0].WorkingCapital = dcf.Some(.2) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := dcf.Preset()
			c.edit(&in)
			if r := compute(t, in, dcf.Compat); !warns(r, c.field) {
				t.Errorf("no warning on %s in %v", c.field, r.Warnings)
			}
		})
	}
}

func TestComputeDoesNotAllocate(t *testing.T) {
	in := dcf.Preset()
	if n := testing.AllocsPerRun(100, func() { _, _ = dcf.Compute(in, dcf.Compat) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkCompute(b *testing.B) {
	in := dcf.Preset()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dcf.Compute(in, dcf.Compat); err != nil {
			b.Fatal(err)
		}
	}
}
