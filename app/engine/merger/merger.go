// Package merger asks what one company's purchase of another does to the earnings of each of its shares.
//
// It is pure. Money and share counts are in millions, rates decimals, the mix of cash and stock in percent as the parties state it. New shares are issued at the
// acquirer's share price. The original took revenue a share for the price; Compat does that again, to reproduce its figures.
package merger

import (
	"fmt"
	"math"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Company is one of the two.
type Company struct {
	Revenue, EBITDA, Shares, NetDebt float64
	// DA is depreciation and amortisation, Interest what its debt costs a year.
	DA, Interest float64
}

// Inputs is one purchase.
type Inputs struct {
	Acquirer, Target Company
	PurchasePrice    float64
	Cash, Stock      float64 // percent; sum to 100
	SharePrice       dcf.Optional
	Synergies        float64 // a year, before tax
	SynergyYears     int
	TaxRate          float64
	DebtRate         float64 // of the cash part, which is borrowed
	CashYield        float64 // lost on it instead, where the acquirer has cash
	IntegrationCost  float64 // once, before tax
	DiscountRate     float64 // of synergies
	Compat           bool
}

// Preset is the original's case.
func Preset() Inputs {
	return Inputs{
		Acquirer: Company{Revenue: 1000, EBITDA: 200, Shares: 100, NetDebt: 300}, Target: Company{Revenue: 400, EBITDA: 80, Shares: 50, NetDebt: 100},
		PurchasePrice: 800, Cash: 60, Stock: 40, Synergies: 20, SynergyYears: 5, TaxRate: .35, DiscountRate: .10, Compat: true,
	}
}

// Result is what Compute returns for valid inputs.
type Result struct {
	SharePrice     float64 // at which shares are issued
	NewShares      float64
	EBITDA         float64 // of both, with synergies
	NetIncome      float64 // of both
	EPSBefore      float64 // the acquirer's alone
	EPS            float64
	Accretion      dcf.Optional // decimal; absent when there were no earnings to speak of before
	FromTarget     float64      // a share, as the next
	FromSynergies  float64
	PVSynergies    float64
	NetDebt        float64
	PriceToEBITDA  dcf.Optional // of the target
	PriceToRevenue float64
	EVToEBITDA     dcf.Optional // of both, at the price paid and their debt
	ROIC           float64      // after-tax EBITDA of both on the price, as the original defines it
}

// Compute runs the case. The error is an *dcf.InvalidError that names every field at fault.
func Compute(in Inputs) (Result, error) {
	if v := validate(&in); len(v) > 0 {
		return Result{}, &dcf.InvalidError{Violations: v}
	}
	a, t := &in.Acquirer, &in.Target
	keep := 1 - in.TaxRate
	r := Result{SharePrice: in.SharePrice.Value}
	if in.Compat {
		r.SharePrice = a.Revenue / a.Shares
	}
	paid := in.PurchasePrice * in.Cash / 100
	r.NewShares = in.PurchasePrice * in.Stock / 100 / r.SharePrice
	shares := a.Shares + r.NewShares
	r.EBITDA = a.EBITDA + t.EBITDA + in.Synergies
	before := keep * a.EBITDA
	if in.Compat {
		r.NetIncome = keep * r.EBITDA
	} else {
		before = keep * (a.EBITDA - a.DA - a.Interest)
		r.NetIncome = keep * (r.EBITDA - a.DA - t.DA - a.Interest - t.Interest - paid*(in.DebtRate+in.CashYield))
	}
	r.EPSBefore, r.EPS = before/a.Shares, r.NetIncome/shares
	if before >= tiny {
		r.Accretion = dcf.Some(r.EPS/r.EPSBefore - 1)
	}
	r.FromTarget, r.FromSynergies = keep*t.EBITDA/shares, keep*in.Synergies/shares
	r.PVSynergies = in.Synergies*annuity(in.DiscountRate, in.SynergyYears) - in.IntegrationCost
	r.NetDebt = a.NetDebt + t.NetDebt + paid
	r.PriceToRevenue = in.PurchasePrice / t.Revenue
	r.PriceToEBITDA = over(in.PurchasePrice, t.EBITDA)
	r.EVToEBITDA = over(in.PurchasePrice+r.NetDebt, r.EBITDA)
	r.ROIC = keep * r.EBITDA / in.PurchasePrice
	return r, nil
}

// annuity is the present value of 1 a year.
func annuity(rate float64, years int) float64 {
	if rate == 0 {
		return float64(years)
	}
	return (1 - math.Pow(1+rate, -float64(years))) / rate
}

// over is absent where there are no earnings to speak of: a multiple of a loss says nothing, and one of next to nothing is more than a number can be.
func over(v, earnings float64) dcf.Optional {
	if earnings < tiny {
		return dcf.Optional{}
	}
	return dcf.Some(v / earnings)
}

// money bounds amounts, as in package dcf; tiny is the least that is divided by.
const (
	money = 1e12
	tiny  = 1e-6
)

func validate(in *Inputs) (out []dcf.Violation) {
	between := func(field string, v, low, high float64) {
		if !(v >= low && v <= high) {
			out = append(out, dcf.Violation{Field: field, Message: fmt.Sprintf("must be from %v to %v", low, high)})
		}
	}
	for name, c := range map[string]*Company{"acquirer": &in.Acquirer, "target": &in.Target} {
		between(name+"Revenue", c.Revenue, tiny, money)
		between(name+"EBITDA", c.EBITDA, -money, money)
		between(name+"Shares", c.Shares, tiny, money)
		between(name+"NetDebt", c.NetDebt, -money, money)
		between(name+"DA", c.DA, 0, money)
		between(name+"Interest", c.Interest, 0, money)
	}
	between("purchasePrice", in.PurchasePrice, tiny, money)
	between("cash", in.Cash, 0, 100)
	between("stock", in.Stock, 0, 100)
	between("synergies", in.Synergies, -money, money)
	between("synergyYears", float64(in.SynergyYears), 0, 50)
	between("taxRate", in.TaxRate, 0, 1)
	between("debtRate", in.DebtRate, 0, 1)
	between("cashYield", in.CashYield, 0, 1)
	between("integrationCost", in.IntegrationCost, 0, money)
	between("discountRate", in.DiscountRate, 0, 1)
	if in.SharePrice.Set {
		between("acquirerSharePrice", in.SharePrice.Value, tiny, money)
	}
	if len(out) > 0 {
		return out
	}
	if math.Abs(in.Cash+in.Stock-100) > 1e-9 {
		out = append(out, dcf.Violation{Field: "stock", Message: "and cash must sum to 100"})
	}
	if !in.Compat && in.Stock > 0 && !in.SharePrice.Set {
		out = append(out, dcf.Violation{Field: "acquirerSharePrice", Message: "is required where stock is issued and compat is false"})
	}
	if !in.Compat && in.DebtRate > 0 && in.CashYield > 0 {
		out = append(out, dcf.Violation{Field: "cashYield", Message: "and debtRate exclude each other: the cash part is borrowed or it is there"})
	}
	return out
}
