// Package dcf values a company by discounting its free cash flow over three growth stages.
//
// It is a pure function of its inputs: no clock, no I/O, no state, and no heap allocation for inputs
// that raise no warning. It refuses whatever would make a number meaningless (a terminal growth at
// or above the discount rate, a year count the series cannot hold, a value that is not finite)
// instead of bending the inputs until they fit, and it never returns NaN or an infinity.
//
// Rates, shares of revenue and margins are decimals (0.09 is 9 %). Money is in millions of one
// currency, and so is the share count.
package dcf

import "math"

// MaxYears is the longest explicit forecast. The arrays of Series have this length.
const MaxYears = 15

// MinYears is the shortest explicit forecast: three stages need three years.
const MinYears = 3

// Mode says whether growth and margins below zero count as zero.
type Mode uint8

const (
	// Compat floors growth and margins at zero, as the published figures of the original do.
	Compat Mode = iota
	// Unfloored lets revenue shrink and margins be negative. A loss earns its tax back in its own
	// year, because NOPAT is EBIT × (1 − tax) for either sign.
	Unfloored
)

// Method says how the years after the forecast are valued.
type Method uint8

const (
	// Perpetuity grows the last free cash flow for ever at TermGrowth.
	Perpetuity Method = iota
	// Multiple multiplies the first free cash flow after the forecast by TVMultiple.
	Multiple
)

// Optional is a number that may be absent. The zero value is absent.
type Optional struct {
	Value float64
	Set   bool
}

// Some returns a present Optional.
func Some(v float64) Optional { return Optional{Value: v, Set: true} }

// Stage overrides the company-wide drivers for the years of one stage. An absent field falls back:
// growth to GrowthY1 less GrowthDecay a year, margin to EBITMargin, sales to capital to SalesToCap,
// working capital to none.
type Stage struct {
	Growth         Optional
	Margin         Optional
	SalesToCap     Optional
	WorkingCapital Optional // net working capital, as a share of revenue
}

// Inputs is one valuation case. Limits gives the range of each field.
type Inputs struct {
	Revenue     float64 // of the year before the forecast
	GrowthY1    float64
	GrowthDecay float64 // taken off the growth every year after the first
	Years       int
	TermGrowth  float64
	EBITMargin  float64
	TaxRate     float64
	SalesToCap  float64 // revenue gained for one unit invested
	WACC        float64
	Shares      float64
	NetDebt     float64

	Stage1End int // last year of stage 1; years after Stage2End are stage 3
	Stage2End int
	Stages    [3]Stage

	Method     Method
	TVMultiple Optional // required by Multiple
}

// Series holds one value a year; index 0 is the first forecast year, and only the first Years
// entries mean anything.
type Series struct {
	Revenue, Growth, Margin, EBIT, NOPAT  [MaxYears]float64
	NWCRatio, NWC, DeltaNWC               [MaxYears]float64
	Capex, Reinvestment, FCFF, PresentFCF [MaxYears]float64
}

// Totals is the valuation itself.
type Totals struct {
	SumPVFCFF       float64
	PVTerminal      float64
	EnterpriseValue float64
	Equity          float64
	PerShare        float64
	TerminalShare   float64 // PVTerminal / EnterpriseValue, 0 when that is not positive
}

// KPIs are ratios read off the series. A ratio whose denominator is zero, or which compares flows
// of different sign, is absent.
type KPIs struct {
	ROIC         Optional // mean NOPAT / mean reinvestment; the name is the original's
	ReinvestRate Optional // mean reinvestment / mean NOPAT
	FCFFCAGR     Optional // absent unless the first and the last flow are positive
	PaybackYear  int      // first year whose summed PV reaches half of the enterprise value; 0: none
	EVToNOPAT    Optional
}

// Result is what Compute returns for valid inputs.
type Result struct {
	Years    int
	Series   Series
	Totals   Totals
	KPIs     KPIs
	Warnings []Warning
}

// Preset is the case the original ships as its default: it is worth 10.637192004 a share.
func Preset() Inputs {
	return Inputs{
		Revenue: 500, GrowthY1: .12, GrowthDecay: .015, Years: 7, TermGrowth: .025,
		EBITMargin: .22, TaxRate: .23, SalesToCap: 2.5, WACC: .09, Shares: 150, NetDebt: 300,
		Stage1End: 3, Stage2End: 6,
		Stages: [3]Stage{
			{Some(.12), Some(.20), Some(2.5), Some(.05)},
			{Some(.08), Some(.22), Some(3.0), Some(.04)},
			{Some(.04), Some(.24), Some(3.5), Some(.035)},
		},
	}
}

// Compute values one case. The error is an *InvalidError that names every field at fault.
func Compute(in Inputs, mode Mode) (Result, error) {
	if v := Validate(in, mode); len(v) > 0 {
		return Result{}, &InvalidError{Violations: v}
	}
	var r Result
	r.Years = in.Years
	forecast(&in, mode, &r.Series)
	r.Totals = value(&in, &r.Series)
	r.KPIs = kpis(in.Years, &r.Series, r.Totals.EnterpriseValue)
	r.Warnings = warnings(&in, mode, &r.Series)
	return r, nil
}

// forecast fills the yearly series of valid inputs.
func forecast(in *Inputs, mode Mode, s *Series) {
	revenue := in.Revenue
	nwc := in.Revenue * math.Max(0, in.Stages[0].WorkingCapital.Value)
	discount := 1.0
	for y := range in.Years {
		st := &in.Stages[in.stage(y)]
		growth := in.growth(y)
		margin := or(st.Margin, in.EBITMargin)
		if mode == Compat {
			growth, margin = math.Max(0, growth), math.Max(0, margin)
		}
		next := revenue * (1 + growth)
		ratio := math.Max(0, st.WorkingCapital.Value)

		s.Revenue[y], s.Growth[y], s.Margin[y] = next, growth, margin
		s.EBIT[y] = next * margin
		s.NOPAT[y] = s.EBIT[y] * (1 - in.TaxRate)
		s.NWCRatio[y], s.NWC[y] = ratio, next*ratio
		s.DeltaNWC[y] = s.NWC[y] - nwc
		// A ratio under 0.01 would turn any growth into an absurd investment: the original's floor.
		s.Capex[y] = math.Max(0, (next-revenue)/math.Max(.01, or(st.SalesToCap, in.SalesToCap)))
		s.Reinvestment[y] = s.Capex[y] + s.DeltaNWC[y]
		s.FCFF[y] = s.NOPAT[y] - s.Reinvestment[y]
		discount *= 1 + in.WACC
		s.PresentFCF[y] = s.FCFF[y] / discount
		revenue, nwc = next, s.NWC[y]
	}
}

func value(in *Inputs, s *Series) Totals {
	var t Totals
	for y := range in.Years {
		t.SumPVFCFF += s.PresentFCF[y]
	}
	// Both methods value the flow of the year after the forecast.
	after := s.PresentFCF[in.Years-1] * (1 + in.TermGrowth)
	if in.Method == Multiple {
		t.PVTerminal = after * in.TVMultiple.Value
	} else {
		t.PVTerminal = after / (in.WACC - in.TermGrowth)
	}
	t.EnterpriseValue = t.SumPVFCFF + t.PVTerminal
	t.Equity = t.EnterpriseValue - in.NetDebt
	t.PerShare = t.Equity / math.Max(1, in.Shares)
	if t.EnterpriseValue > 0 {
		t.TerminalShare = t.PVTerminal / t.EnterpriseValue
	}
	return t
}

func kpis(years int, s *Series, ev float64) KPIs {
	var k KPIs
	var nopat, reinvested, paid float64
	for y := range years {
		nopat += s.NOPAT[y]
		reinvested += s.Reinvestment[y]
		paid += s.PresentFCF[y]
		if k.PaybackYear == 0 && paid >= ev/2 {
			k.PaybackYear = y + 1
		}
	}
	first, last := s.FCFF[0], s.FCFF[years-1]
	k.ROIC = ratio(nopat, reinvested) // the means share their divisor
	k.ReinvestRate = ratio(reinvested, nopat)
	k.EVToNOPAT = ratio(ev, s.NOPAT[years-1])
	if first > 0 && last > 0 {
		k.FCFFCAGR = finite(math.Pow(last/first, 1/float64(years-1)) - 1)
	}
	return k
}

// growth is the growth of year index y before any floor.
func (in *Inputs) growth(y int) float64 {
	return or(in.Stages[in.stage(y)].Growth, in.GrowthY1-in.GrowthDecay*float64(y))
}

// stage is the index of the stage that year index y belongs to.
func (in *Inputs) stage(y int) int {
	switch {
	case y < in.Stage1End:
		return 0
	case y < in.Stage2End:
		return 1
	}
	return 2
}

func or(o Optional, fallback float64) float64 {
	if o.Set {
		return o.Value
	}
	return fallback
}

func ratio(a, b float64) Optional { return finite(a / b) }

func finite(v float64) Optional {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Optional{}
	}
	return Some(v)
}
