package option

import (
	"fmt"
	"math"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Expansion is the right to make the firm Multiplier times as large for Cost.
type Expansion struct {
	Value, Cost, Time, Volatility, Rate float64
	Multiplier                          float64
}

// Expand values the right as the original does, as a call on the whole firm once it has grown. Incremental is the call on what is gained, which is what the right
// itself is worth. The error is an *dcf.InvalidError, as of the two that follow.
func Expand(e Expansion) (whole, incremental Result, err error) {
	if !(e.Multiplier > 1 && e.Multiplier <= 100) {
		return whole, incremental, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "expansionMultiplier", Message: "must be above 1 and at most 100"}}}
	}
	in := Inputs{Kind: Call, Spot: e.Value * e.Multiplier, Strike: e.Cost, Time: e.Time, Volatility: e.Volatility, Rate: e.Rate}
	if whole, err = firm(in, "currentValue", "expansionCost"); err != nil {
		return whole, incremental, err
	}
	in.Spot = e.Value * (e.Multiplier - 1)
	incremental, err = firm(in, "currentValue", "expansionCost")
	return whole, incremental, err
}

// Abandonment is the right to give the firm up for Salvage.
type Abandonment struct {
	Value, Salvage, Time, Volatility, Rate float64
}

// Abandon values it as a put.
func Abandon(a Abandonment) (Result, error) {
	return firm(Inputs{Kind: Put, Spot: a.Value, Strike: a.Salvage, Time: a.Time, Volatility: a.Volatility, Rate: a.Rate}, "currentValue", "salvageValue")
}

// Deferral is the right to invest Cost at any time up to Time in a project that is worth Value now and pays Yield of it a year, which waiting forgoes.
type Deferral struct {
	Value, Cost, Time, Volatility, Rate, Yield float64
}

// lattice is fine enough for the first four digits of a value.
const latticeSteps = 400

// Defer values the right as an American call. InvestNow says that waiting is worth nothing; Threshold is the least Value from which that is so, absent when no value up to
// a hundred times the cost is (a project that pays nothing meanwhile is never worth starting early at a rate above 0).
func Defer(d Deferral) (r Result, threshold dcf.Optional, investNow bool, err error) {
	in := Inputs{Kind: Call, Spot: d.Value, Strike: d.Cost, Time: d.Time, Volatility: d.Volatility, Rate: d.Rate, Yield: d.Yield}
	if v := validate(&in, "projectValue", "investmentCost"); len(v) > 0 {
		return r, threshold, false, &dcf.InvalidError{Violations: v}
	}
	early := func(value float64) bool {
		at := in
		at.Spot = value
		return worth(&at) <= at.intrinsic()*(1+1e-9) && at.intrinsic() > 0
	}
	in.Spot = d.Value
	if r, err = american(in); err != nil {
		return r, threshold, false, err
	}
	low, high := d.Cost, math.Min(100*d.Cost, 1e12)
	if early(high) {
		for range 40 {
			mid := (low + high) / 2
			if early(mid) {
				high = mid
			} else {
				low = mid
			}
		}
		threshold = dcf.Some(high)
	}
	return r, threshold, early(d.Value), nil
}

// american is the option on a lattice, or in closed form where nothing is uncertain or the lattice cannot branch.
func american(in Inputs) (Result, error) {
	if !branches(&in, latticeSteps) || in.Volatility == 0 {
		r := black(&in)
		r.Value = math.Max(r.Value, r.Intrinsic)
		r.TimeValue = r.Value - r.Intrinsic
		return r, nil
	}
	return Lattice(in, latticeSteps, true)
}

// worth is american's value alone, for searches.
func worth(in *Inputs) float64 {
	if !branches(in, latticeSteps) || in.Volatility == 0 || in.Time == 0 {
		r := black(in)
		return math.Max(r.Value, r.Intrinsic)
	}
	return newTree(latticeSteps).value(in, true)
}

// firm values a European option whose spot and strike go by other names.
func firm(in Inputs, spot, strike string) (Result, error) {
	if v := validate(&in, spot, strike); len(v) > 0 {
		return Result{}, &dcf.InvalidError{Violations: v}
	}
	return black(&in), nil
}

// String is for messages of tests and logs.
func (in Inputs) String() string {
	return fmt.Sprintf("%s S=%v K=%v T=%v s=%v r=%v q=%v", in.Kind, in.Spot, in.Strike, in.Time, in.Volatility, in.Rate, in.Yield)
}
