package dcf_test

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"pgregory.net/rapid"
)

// valid draws any inputs that Validate accepts, extremes included: the ranges are Limits itself.
func valid(t *rapid.T, mode dcf.Mode) dcf.Inputs {
	draw := func(name string) float64 {
		for _, l := range dcf.Limits() {
			if l.Field == name {
				low := l.Min
				if l.Above {
					low = math.Nextafter(l.Min, l.Max)
				}
				return rapid.Float64Range(low, l.Max).Draw(t, name)
			}
		}
		t.Fatalf("no limit for %s", name)
		return 0
	}
	maybe := func(name string) dcf.Optional {
		if rapid.Bool().Draw(t, "has "+name) {
			return dcf.Some(draw(name))
		}
		return dcf.Optional{}
	}
	in := dcf.Inputs{
		Revenue: draw("revenue"), GrowthY1: draw("growthY1"), GrowthDecay: draw("growthDecay"),
		TermGrowth: draw("termGrowth"), EBITMargin: draw("ebitMargin"), TaxRate: draw("taxRate"),
		SalesToCap: draw("salesToCap"), WACC: draw("wacc"), Shares: draw("shares"),
		NetDebt: draw("netDebt"), TVMultiple: maybe("tvMultipleVal"),
	}
	in.Years = rapid.IntRange(dcf.MinYears, dcf.MaxYears).Draw(t, "years")
	in.Stage1End = rapid.IntRange(1, in.Years-1).Draw(t, "stage1End")
	in.Stage2End = rapid.IntRange(in.Stage1End+1, in.Years).Draw(t, "stage2End")
	for i, s := range []string{"s1", "s2", "s3"} {
		in.Stages[i] = dcf.Stage{
			Growth: maybe(s + "Growth"), Margin: maybe(s + "Margin"),
			SalesToCap: maybe(s + "S2C"), WorkingCapital: maybe(s + "NWC"),
		}
	}
	if in.TVMultiple.Set && rapid.Bool().Draw(t, "by multiple") {
		in.Method = dcf.Multiple
	}
	if len(dcf.Validate(in, mode)) > 0 {
		t.Skip("terminal growth at or above wacc, or more than all revenue lost")
	}
	return in
}

func drawMode(t *rapid.T) dcf.Mode {
	return rapid.SampledFrom([]dcf.Mode{dcf.Compat, dcf.Unfloored}).Draw(t, "mode")
}

// badNumber walks every float of a result and returns the name of one that is not finite.
func badNumber(v reflect.Value, name string) string {
	switch v.Kind() {
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			return name
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if bad := badNumber(v.Field(i), name+"."+v.Type().Field(i).Name); bad != "" {
				return bad
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			if bad := badNumber(v.Index(i), name); bad != "" {
				return bad
			}
		}
	}
	return ""
}

func TestValidInputsGiveFiniteResults(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := drawMode(t)
		r, err := dcf.Compute(valid(t, mode), mode)
		if err != nil {
			t.Fatal(err)
		}
		if bad := badNumber(reflect.ValueOf(r), "result"); bad != "" {
			t.Fatalf("%s is not finite", bad)
		}
	})
}

func TestPerShareFallsWithNetDebt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := drawMode(t)
		in := valid(t, mode)
		more := in
		more.NetDebt = rapid.Float64Range(in.NetDebt, 1e12).Draw(t, "more debt")
		a, err := dcf.Compute(in, mode)
		b, err2 := dcf.Compute(more, mode)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if b.Totals.PerShare > a.Totals.PerShare {
			t.Fatalf("debt %g → %g, perShare %g → %g", in.NetDebt, more.NetDebt,
				a.Totals.PerShare, b.Totals.PerShare)
		}
		if a.Totals.EnterpriseValue != b.Totals.EnterpriseValue {
			t.Fatal("debt changed the enterprise value")
		}
	})
}

func TestTotalsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := drawMode(t)
		in := valid(t, mode)
		r, err := dcf.Compute(in, mode)
		if err != nil {
			t.Fatal(err)
		}
		sum := r.Totals.SumPVFCFF + r.Totals.PVTerminal
		if sum != r.Totals.EnterpriseValue || sum-in.NetDebt != r.Totals.Equity {
			t.Fatalf("totals do not add up: %+v", r.Totals)
		}
		previous := in.Revenue
		for y := range r.Years {
			if !close(r.Series.Revenue[y], previous*(1+r.Series.Growth[y])) ||
				!close(r.Series.FCFF[y], r.Series.NOPAT[y]-r.Series.Capex[y]-r.Series.DeltaNWC[y]) {
				t.Fatalf("year %d does not follow from the one before", y+1)
			}
			previous = r.Series.Revenue[y]
		}
		for y := r.Years; y < dcf.MaxYears; y++ {
			if r.Series.Revenue[y] != 0 {
				t.Fatalf("year %d is past the forecast and not empty", y+1)
			}
		}
	})
}

func close(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
}

// Doubling every amount doubles the value: a unit error would show here. Powers of two are exact.
func TestValueScalesWithMoney(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := drawMode(t)
		in := valid(t, mode)
		if in.Revenue > 5e11 || in.Revenue < 1e-300 || math.Abs(in.NetDebt) > 5e11 {
			t.Skip("the double is out of range or the half is subnormal")
		}
		double := in
		double.Revenue, double.NetDebt = 2*in.Revenue, 2*in.NetDebt
		a, err := dcf.Compute(in, mode)
		b, err2 := dcf.Compute(double, mode)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if !close(b.Totals.PerShare, 2*a.Totals.PerShare) {
			t.Fatalf("perShare %g → %g", a.Totals.PerShare, b.Totals.PerShare)
		}
	})
}

// Where no floor bites the two modes are one.
func TestModesAgreeAboveTheFloors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := valid(t, dcf.Unfloored)
		in.GrowthY1, in.GrowthDecay = math.Abs(in.GrowthY1), -math.Abs(in.GrowthDecay)
		in.EBITMargin = math.Abs(in.EBITMargin)
		for i := range in.Stages {
			in.Stages[i].Growth.Value = math.Abs(in.Stages[i].Growth.Value)
			in.Stages[i].Margin.Value = math.Abs(in.Stages[i].Margin.Value)
		}
		a, err := dcf.Compute(in, dcf.Unfloored)
		b, err2 := dcf.Compute(in, dcf.Compat)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if a.Totals != b.Totals || a.Series != b.Series {
			t.Fatalf("modes differ: %+v, %+v", a.Totals, b.Totals)
		}
	})
}

// FuzzCompute feeds raw float64 patterns, NaN and infinities included: an error or a finite result.
func FuzzCompute(f *testing.F) {
	f.Add(uint8(7), uint8(3), uint8(6), uint8(0), []byte{})
	f.Add(uint8(15), uint8(1), uint8(2), uint8(3), bytesOf(1e12, 10, -1, .2499999999, -10, .6))
	f.Add(uint8(3), uint8(2), uint8(3), uint8(1), bytesOf(math.NaN(), math.Inf(1), math.Copysign(0, -1)))
	f.Fuzz(func(t *testing.T, years, end1, end2, flags uint8, raw []byte) {
		in := dcf.Preset()
		in.Years, in.Stage1End, in.Stage2End = int(years), int(end1), int(end2)
		in.Method = dcf.Method(flags >> 1 & 3)
		if flags&8 != 0 {
			in.TVMultiple = dcf.Some(12)
		}
		targets := []*float64{&in.Revenue, &in.GrowthY1, &in.GrowthDecay, &in.TermGrowth,
			&in.EBITMargin, &in.TaxRate, &in.SalesToCap, &in.WACC, &in.Shares, &in.NetDebt}
		for i := range in.Stages {
			s := &in.Stages[i]
			targets = append(targets, &s.Growth.Value, &s.Margin.Value, &s.SalesToCap.Value,
				&s.WorkingCapital.Value)
		}
		for i := 0; i < len(targets) && len(raw) >= 8; i, raw = i+1, raw[8:] {
			*targets[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw))
		}
		r, err := dcf.Compute(in, dcf.Mode(flags&1))
		if err != nil {
			return
		}
		if bad := badNumber(reflect.ValueOf(r), "result"); bad != "" {
			t.Fatalf("%s is not finite for %+v", bad, in)
		}
	})
}

func bytesOf(values ...float64) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}
