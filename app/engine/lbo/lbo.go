// Package lbo values the purchase of a company with debt: how its cash flows repay the debt, and what the buyers' money has become at the end.
//
// It is pure. Rates and shares of revenue are decimals, money is in millions. The working capital of the year before the first is that year's share of
// revenue: the published original left it out, which made every figure after it NaN.
package lbo

import (
	"fmt"
	"math"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// The range of Years.
const (
	MinYears = 3
	MaxYears = 10
)

// Tranche is a part of the debt: a share of it, and what it costs a year.
type Tranche struct {
	Share, Rate float64
}

// Inputs is one purchase.
type Inputs struct {
	PurchasePrice      float64
	EquityContribution float64
	Revenue            float64 // of the year before the first
	EBITDAMargin       float64
	RevenueGrowth      float64 // of the first year
	GrowthDecay        float64 // taken off it every year after
	Years              int
	TaxRate            float64
	Depreciation       float64 // share of revenue, as the two that follow
	Capex              float64
	WorkingCapital     float64
	Debt               [3]Tranche // senior, mezzanine, high yield; the shares sum to 1
}

// Preset is the original's case.
func Preset() Inputs {
	return Inputs{PurchasePrice: 1000, EquityContribution: 400, Revenue: 500, EBITDAMargin: .20, RevenueGrowth: .08, GrowthDecay: .01, Years: 5,
		TaxRate: .25, Depreciation: .03, Capex: .04, WorkingCapital: .15, Debt: [3]Tranche{{.6, .06}, {.3, .10}, {.1, .12}}}
}

// Year is one year of the holding.
type Year struct {
	Revenue, Growth, EBITDA, EBIT    float64
	Interest, Tax, FreeCashFlow      float64 // FreeCashFlow is before interest
	Principal                        float64 // repaid; negative is drawn, because the flow did not cover the interest
	Debt, Cash                       float64 // at its end
	Capex, WorkingCapitalChange, Dep float64
}

// Exit is a sale at the end for a multiple of the last EBITDA.
type Exit struct {
	Multiple        float64
	EnterpriseValue float64
	Equity          float64
	MOIC            float64      // Equity / EquityContribution
	IRR             dcf.Optional // a year; absent when nothing is left
}

// Target is what a sale would have to bring for a return.
type Target struct {
	IRR             float64
	Equity          float64
	EnterpriseValue float64
	Multiple        dcf.Optional // of the last EBITDA; absent when that is not positive
}

// Metrics sum the holding up.
type Metrics struct {
	TotalDebt      float64
	Leverage       float64 // debt / equity
	DebtRate       float64 // weighted mean of the tranches
	FinalEBITDA    float64
	FinalDebt      float64
	TotalInterest  float64
	TotalPrincipal float64
	MeanIRR        dcf.Optional // of the exits; absent when one has none
	MeanMOIC       float64
}

// Result is what Compute returns for valid inputs.
type Result struct {
	Years   []Year
	Exits   []Exit
	Targets []Target
	Metrics Metrics
}

// Multiples and Returns are what exits and targets are computed for.
func Multiples() [5]float64 { return [...]float64{6, 8, 10, 12, 14} }

// Returns are the yearly rates of Targets.
func Returns() [4]float64 { return [...]float64{.15, .20, .25, .30} }

// Compute runs the case. The error is an *dcf.InvalidError that names every field at fault.
func Compute(in Inputs) (Result, error) {
	if v := validate(&in); len(v) > 0 {
		return Result{}, &dcf.InvalidError{Violations: v}
	}
	r := Result{Years: make([]Year, in.Years)}
	m := &r.Metrics
	m.TotalDebt = in.PurchasePrice - in.EquityContribution
	m.Leverage = m.TotalDebt / in.EquityContribution
	for _, t := range in.Debt {
		m.DebtRate += t.Share * t.Rate
	}
	hold(&in, &r)
	last := &r.Years[in.Years-1]
	m.FinalEBITDA, m.FinalDebt = last.EBITDA, last.Debt
	sell(&in, &r)
	return r, nil
}

// hold fills the years.
func hold(in *Inputs, r *Result) {
	m := &r.Metrics
	revenue, debt, cash := in.Revenue, m.TotalDebt, 0.0
	for i := range r.Years {
		y := &r.Years[i]
		y.Growth = math.Max(0, in.RevenueGrowth-in.GrowthDecay*float64(i))
		y.Revenue = revenue * (1 + y.Growth)
		y.EBITDA = y.Revenue * in.EBITDAMargin
		y.Dep = y.Revenue * in.Depreciation
		y.EBIT = y.EBITDA - y.Dep
		y.Interest = debt * m.DebtRate
		y.Tax = math.Max(0, (y.EBIT-y.Interest)*in.TaxRate)
		y.Capex = y.Revenue * in.Capex
		y.WorkingCapitalChange = (y.Revenue - revenue) * in.WorkingCapital
		y.FreeCashFlow = y.EBITDA - y.Tax - y.Capex - y.WorkingCapitalChange
		excess := y.FreeCashFlow - y.Interest
		y.Principal = math.Min(excess, debt)
		debt -= y.Principal
		cash += excess - y.Principal
		y.Debt, y.Cash = debt, cash
		m.TotalInterest += y.Interest
		m.TotalPrincipal += y.Principal
		revenue = y.Revenue
	}
}

// sell values the exits. Cash that was left after the last of the debt is the buyers' too; the original forgot it.
func sell(in *Inputs, r *Result) {
	m, last := &r.Metrics, &r.Years[in.Years-1]
	years := float64(in.Years)
	all := dcf.Some(0)
	multiples := Multiples()
	for _, multiple := range multiples {
		e := Exit{Multiple: multiple, EnterpriseValue: multiple * last.EBITDA}
		e.Equity = e.EnterpriseValue - last.Debt + last.Cash
		e.MOIC = e.Equity / in.EquityContribution
		if e.Equity > 0 {
			e.IRR = dcf.Some(math.Pow(e.MOIC, 1/years) - 1)
		}
		all.Set = all.Set && e.IRR.Set
		all.Value += e.IRR.Value / float64(len(multiples))
		m.MeanMOIC += e.MOIC / float64(len(multiples))
		r.Exits = append(r.Exits, e)
	}
	if all.Set {
		m.MeanIRR = all
	}
	for _, rate := range Returns() {
		t := Target{IRR: rate, Equity: in.EquityContribution * math.Pow(1+rate, years)}
		t.EnterpriseValue = t.Equity + last.Debt - last.Cash
		if last.EBITDA > 0 {
			t.Multiple = dcf.Some(t.EnterpriseValue / last.EBITDA)
		}
		r.Targets = append(r.Targets, t)
	}
}

// money bounds amounts, as in package dcf.
const money = 1e12

func validate(in *Inputs) (out []dcf.Violation) {
	say := func(field, format string, args ...any) {
		out = append(out, dcf.Violation{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	between := func(field string, v, low, high float64) {
		if !(v >= low && v <= high) {
			say(field, "must be from %v to %v", low, high)
		}
	}
	above := func(field string, v, high float64) {
		if !(v > 0 && v <= high) {
			say(field, "must be above 0 and at most %v", high)
		}
	}
	above("purchasePrice", in.PurchasePrice, money)
	above("equityContribution", in.EquityContribution, money)
	above("revenue", in.Revenue, money)
	above("ebitdaMargin", in.EBITDAMargin, 1)
	between("revenueGrowth", in.RevenueGrowth, -1, 10)
	between("growthDecay", in.GrowthDecay, -1, 1)
	between("years", float64(in.Years), MinYears, MaxYears)
	between("taxRate", in.TaxRate, 0, 1)
	between("depreciation", in.Depreciation, 0, 1)
	between("capex", in.Capex, 0, 1)
	between("workingCapital", in.WorkingCapital, 0, 10)
	sum := 0.0
	for i, name := range [...]string{"senior", "mezzanine", "highYield"} {
		between(name+"Share", in.Debt[i].Share, 0, 1)
		between(name+"Rate", in.Debt[i].Rate, 0, 1)
		sum += in.Debt[i].Share
	}
	if len(out) > 0 {
		return out // what follows compares fields, which says nothing about fields out of range
	}
	if in.EquityContribution > in.PurchasePrice {
		say("equityContribution", "must not be above purchasePrice")
	}
	if math.Abs(sum-1) > .01 {
		say("seniorShare", "mezzanineShare and highYieldShare must sum to 1")
	}
	return out
}
