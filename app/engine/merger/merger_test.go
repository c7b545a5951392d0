package merger_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/merger"
)

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9*(1+math.Abs(want))) {
		t.Errorf("%s is %.9f, want %.9f", name, got, want)
	}
}

func TestPreset(t *testing.T) {
	r, err := merger.Compute(merger.Preset())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "new shares", r.NewShares, 32)
	near(t, "EBITDA", r.EBITDA, 300)
	near(t, "net income", r.NetIncome, 195)
	near(t, "EPS", r.EPS, 1.477272727272727)
	near(t, "EPS before", r.EPSBefore, 1.3)
	near(t, "accretion", 100*r.Accretion.Value, 13.636363636363636)
	near(t, "synergies", r.PVSynergies, 75.81573538817)
	near(t, "net debt", r.NetDebt, 880)
	near(t, "EV/EBITDA", r.EVToEBITDA.Value, 5.6)
	near(t, "ROIC", r.ROIC, .24375)
}

// TestRealSharePrice: shares are issued at their price, and what the original ignored costs earnings.
func TestRealSharePrice(t *testing.T) {
	in := merger.Preset()
	in.Compat, in.SharePrice = false, dcf.Some(20)
	in.Acquirer.DA, in.Target.DA, in.Acquirer.Interest, in.DebtRate = 40, 16, 15, .07
	r, err := merger.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "new shares", r.NewShares, 16)
	near(t, "EPS before", r.EPSBefore, .65*(200-40-15)/100)
	near(t, "EPS", r.EPS, .65*(300-40-16-15-480*.07)/116)
}

// TestFigures: none is NaN or infinite, and the parts of the earnings sum to the whole.
func TestFigures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := func(name string, low, high float64) float64 { return rapid.Float64Range(low, high).Draw(t, name) }
		c := func(name string) merger.Company {
			return merger.Company{Revenue: f(name+" revenue", 1e-6, 1e12), EBITDA: f(name+" EBITDA", -1e12, 1e12), Shares: f(name+" shares", 1e-6, 1e12), NetDebt: f(name+" debt", -1e12, 1e12)}
		}
		in := merger.Preset()
		in.Acquirer, in.Target = c("acquirer"), c("target")
		in.Cash = f("cash", 0, 100)
		in.Stock = 100 - in.Cash
		in.PurchasePrice, in.Synergies, in.DiscountRate = f("price", 1e-6, 1e12), f("synergies", -1e12, 1e12), f("rate", 0, 1)
		r, err := merger.Compute(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []float64{r.NewShares, r.EPS, r.Accretion.Value, r.PVSynergies, r.NetDebt, r.EVToEBITDA.Value, r.PriceToEBITDA.Value, r.ROIC} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%+v", r)
			}
		}
		shares := in.Acquirer.Shares + r.NewShares
		whole := r.FromTarget + r.FromSynergies + .65*in.Acquirer.EBITDA/shares
		if math.Abs(whole-r.EPS) > 1e-9*(math.Abs(r.FromTarget)+math.Abs(r.FromSynergies)+math.Abs(in.Acquirer.EBITDA/shares)+1) {
			t.Fatalf("parts %v, whole %v", whole, r.EPS)
		}
	})
}

// TestNextToNothing: what is next to no earnings is none, not a multiple without end.
func TestNextToNothing(t *testing.T) {
	in := merger.Preset()
	in.Acquirer.EBITDA, in.Target.EBITDA, in.Synergies = 1e-300, 9.556619453472961e-299, 0
	r, err := merger.Compute(in)
	if err != nil {
		t.Fatal(err)
	}
	if r.PriceToEBITDA.Set || r.EVToEBITDA.Set || r.Accretion.Set {
		t.Errorf("%+v", r)
	}
}

func TestRefusals(t *testing.T) {
	for field, edit := range map[string]func(*merger.Inputs){
		"stock":              func(in *merger.Inputs) { in.Stock = 50 },
		"targetRevenue":      func(in *merger.Inputs) { in.Target.Revenue = 0 },
		"acquirerShares":     func(in *merger.Inputs) { in.Acquirer.Shares = math.NaN() },
		"acquirerSharePrice": func(in *merger.Inputs) { in.Compat = false },
		"synergyYears":       func(in *merger.Inputs) { in.SynergyYears = -1 },
		"discountRate":       func(in *merger.Inputs) { in.DiscountRate = math.Inf(1) },
		"cashYield": func(in *merger.Inputs) {
			in.Compat, in.SharePrice, in.DebtRate, in.CashYield = false, dcf.Some(10), .05, .02
		},
	} {
		in := merger.Preset()
		edit(&in)
		_, err := merger.Compute(in)
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
