package lbo_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/lbo"
)

func near(t *testing.T, name string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.9f, want %.9f", name, got, want)
	}
}

// TestPreset: the published figures, derived with the first working capital in place. They carry six decimals or nine.
func TestPreset(t *testing.T) {
	r, err := lbo.Compute(lbo.Preset())
	if err != nil {
		t.Fatal(err)
	}
	for i, debt := range []float64{577.65, 549.221025, 514.585665, 473.719197, 426.704549} {
		near(t, "debt", r.Years[i].Debt, debt, 5e-7)
	}
	m := r.Metrics
	near(t, "EBITDA of the last year", m.FinalEBITDA, 133.763011, 5e-7)
	near(t, "rate of the debt", m.DebtRate, .078, 1e-12)
	near(t, "interest", m.TotalInterest, 211.783719, 5e-7)
	near(t, "principal", m.TotalPrincipal, 173.295451, 5e-7)
	near(t, "leverage", m.Leverage, 1.5, 1e-12)
	for i, want := range []struct{ equity, moic, irr float64 }{
		{375.873518, .939684, -1.236528}, {643.399540, 1.608499, 9.972514}, {910.925563, 2.277314, 17.892066}, {0, 2.946129, 24.122453}, {0, 3.614944, 29.306487},
	} {
		e := r.Exits[i]
		if want.equity != 0 {
			near(t, "equity", e.Equity, want.equity, 5e-7)
		}
		near(t, "MOIC", e.MOIC, want.moic, 5e-7)
		near(t, "IRR", 100*e.IRR.Value, want.irr, 1e-6) // published to six decimals, not all of them rounded alike
	}
	near(t, "multiple for 20 %", r.Targets[1].Multiple.Value, 10.630985, 5e-7)
	near(t, "multiple for 25 %", r.Targets[2].Multiple.Value, 12.315869, 5e-7)
}

func valid(t *rapid.T) lbo.Inputs {
	f := func(name string, low, high float64) float64 { return rapid.Float64Range(low, high).Draw(t, name) }
	senior := f("senior", 0, 1)
	mezzanine := f("mezzanine", 0, 1-senior)
	price := f("price", 1e-3, 1e12)
	return lbo.Inputs{
		PurchasePrice: price, EquityContribution: math.Max(1e-6, price*f("equity", 1e-6, 1)), Revenue: f("revenue", 1e-3, 1e12), EBITDAMargin: f("margin", 1e-6, 1),
		RevenueGrowth: f("growth", -1, 10), GrowthDecay: f("decay", -1, 1), Years: rapid.IntRange(lbo.MinYears, lbo.MaxYears).Draw(t, "years"),
		TaxRate: f("tax", 0, 1), Depreciation: f("depreciation", 0, 1), Capex: f("capex", 0, 1), WorkingCapital: f("working capital", 0, 10),
		Debt: [3]lbo.Tranche{{Share: senior, Rate: f("r1", 0, 1)}, {Share: mezzanine, Rate: f("r2", 0, 1)}, {Share: 1 - senior - mezzanine, Rate: f("r3", 0, 1)}},
	}
}

// TestBooksBalance: whatever the case, no figure is NaN or infinite, debt and cash change by what flowed, and a target's sale gives its return.
func TestBooksBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := valid(t)
		r, err := lbo.Compute(in)
		if err != nil {
			t.Fatal(err)
		}
		near := func(name string, a, b, scale float64) {
			if math.IsNaN(a) || math.IsInf(a, 0) || math.Abs(a-b) > 1e-9*(1+math.Abs(scale)) {
				t.Fatalf("%s: %v, %v", name, a, b)
			}
		}
		debt, cash := r.Metrics.TotalDebt, 0.0
		for _, y := range r.Years {
			scale := math.Abs(debt) + math.Abs(y.FreeCashFlow) + y.Interest + y.Cash
			near("net debt", (debt-cash)-(y.Debt-y.Cash), y.FreeCashFlow-y.Interest, scale)
			if y.Debt < -1e-6*scale || y.Debt > 0 && y.Cash > cash {
				t.Fatalf("cash is put aside beside debt: %+v", y)
			}
			debt, cash = y.Debt, y.Cash
		}
		last := r.Years[len(r.Years)-1]
		for _, target := range r.Targets {
			equity := target.EnterpriseValue - last.Debt + last.Cash
			near("return", in.EquityContribution*math.Pow(1+target.IRR, float64(in.Years)), equity, math.Abs(target.EnterpriseValue)+math.Abs(last.Debt)+last.Cash)
		}
		for _, e := range r.Exits {
			near("exit", e.Equity, e.MOIC*in.EquityContribution, e.Equity)
			if e.IRR.Set != (e.Equity > 0) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	for field, edit := range map[string]func(*lbo.Inputs){
		"purchasePrice":      func(in *lbo.Inputs) { in.PurchasePrice = 0 },
		"equityContribution": func(in *lbo.Inputs) { in.EquityContribution = 1001 },
		"revenue":            func(in *lbo.Inputs) { in.Revenue = math.NaN() },
		"ebitdaMargin":       func(in *lbo.Inputs) { in.EBITDAMargin = 1.01 },
		"years":              func(in *lbo.Inputs) { in.Years = 11 },
		"taxRate":            func(in *lbo.Inputs) { in.TaxRate = -.1 },
		"mezzanineRate":      func(in *lbo.Inputs) { in.Debt[1].Rate = math.Inf(1) },
		"seniorShare":        func(in *lbo.Inputs) { in.Debt[0].Share = .5 },
	} {
		in := lbo.Preset()
		edit(&in)
		_, err := lbo.Compute(in)
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestAllEquity: without debt nothing is owed, and the flow is the buyers'.
func TestAllEquity(t *testing.T) {
	in := lbo.Preset()
	in.EquityContribution = in.PurchasePrice
	r, err := lbo.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	if r.Metrics.TotalInterest != 0 || r.Metrics.FinalDebt != 0 || r.Years[4].Cash <= 0 {
		t.Errorf("%+v", r.Metrics)
	}
	if e := r.Exits[0]; math.Abs(e.Equity-(6*r.Metrics.FinalEBITDA+r.Years[4].Cash)) > 1e-9 {
		t.Errorf("the cash is nobody's: %+v", e)
	}
}
