package risk

import (
	"fmt"
	"math"
	"slices"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Market is what is known of some assets: their expected returns and how they vary together.
type Market struct {
	Means      []float64
	Covariance [][]float64 // symmetric, positive semidefinite
}

// Portfolio is a mix of them.
type Portfolio struct {
	Weights  []float64 // at least 0, sum 1
	Return   float64
	Variance float64
	Sharpe   dcf.Optional // absent where nothing varies
}

// Observe estimates a market from series of equal length, one per asset: means, and covariances of the sample.
func Observe(assets [][]float64) (Market, error) {
	if len(assets) < 2 || len(assets) > MaxAssets {
		return Market{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "returns", Message: fmt.Sprintf("must be of 2 to %d assets", MaxAssets)}}}
	}
	for i, s := range assets {
		if v := series("returns", s); len(v) > 0 {
			v[0].Message = fmt.Sprintf("asset %d: %s", i+1, v[0].Message)
			return Market{}, &dcf.InvalidError{Violations: v}
		}
		if len(s) != len(assets[0]) {
			return Market{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "returns", Message: fmt.Sprintf("asset %d has %d periods, the first %d", i+1, len(s), len(assets[0]))}}}
		}
	}
	n := len(assets)
	m := Market{Means: make([]float64, n), Covariance: make([][]float64, n)}
	for i, s := range assets {
		m.Means[i], _ = moments(s)
		m.Covariance[i] = make([]float64, n)
	}
	for i := range n {
		for j := range i + 1 {
			c := 0.0
			for k := range assets[i] {
				c += (assets[i][k] - m.Means[i]) * (assets[j][k] - m.Means[j])
			}
			c /= float64(len(assets[i]) - 1)
			m.Covariance[i][j], m.Covariance[j][i] = c, c
		}
	}
	return m, nil
}

// MinimumVariance is the mix that varies least.
func MinimumVariance(m Market) (Portfolio, error) {
	if err := m.check(); err != nil {
		return Portfolio{}, err
	}
	w := m.descend(make([]float64, len(m.Means)), 1)
	return m.portfolio(w, 0), nil
}

// MaxSharpe is the mix with the most return above riskFree for its deviation. Of the mixes for all trade-offs between variance and return (Markowitz's frontier) it is the
// one that touches the steepest line; the trade-off is found by golden section, because the ratio rises to it and falls after it.
func MaxSharpe(m Market, riskFree float64) (Portfolio, error) {
	if err := m.check(); err != nil {
		return Portfolio{}, err
	}
	if !(riskFree >= -1 && riskFree <= 1) {
		return Portfolio{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "riskFree", Message: "must be from -1 to 1"}}}
	}
	excess := make([]float64, len(m.Means))
	for i, v := range m.Means {
		excess[i] = v - riskFree
	}
	if slices.Max(excess) <= 0 {
		return Portfolio{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "riskFree", Message: "is not below the return of any asset: there is nothing to be had for a risk"}}}
	}
	return m.portfolio(m.steepest(excess), riskFree), nil
}

// steepest solves min w'Cw for excess'w = 1, w ≥ 0, which is the steepest mix but for its scale, by descending for ever heavier penalties on the return's lack.
func (m Market) steepest(excess []float64) []float64 {
	try := func(logAversion float64) (w []float64, ratio float64) {
		scaled := make([]float64, len(excess))
		for i, e := range excess {
			scaled[i] = e * math.Exp(logAversion)
		}
		w = m.descend(scaled, 1)
		gained, variance := 0.0, m.variance(w)
		for i := range w {
			gained += w[i] * excess[i]
		}
		if variance <= 0 {
			variance = math.SmallestNonzeroFloat64
		}
		return w, gained / math.Sqrt(variance)
	}
	// Between caring for variance alone and for return alone lie some twenty powers of e around the scale of the covariances.
	middle := math.Log(m.scale()) - math.Log(maxAbs(excess))
	low, high := middle-12, middle+12
	const golden = 0.6180339887498949
	a, b := high-golden*(high-low), low+golden*(high-low)
	wa, ra := try(a)
	wb, rb := try(b)
	for range 60 {
		if ra >= rb {
			high, b, wb, rb = b, a, wa, ra
			a = high - golden*(high-low)
			wa, ra = try(a)
		} else {
			low, a, wa, ra = a, b, wb, rb
			b = low + golden*(high-low)
			wb, rb = try(b)
		}
	}
	if ra >= rb {
		return wa
	}
	return wb
}

func maxAbs(x []float64) (most float64) {
	for _, v := range x {
		most = math.Max(most, math.Abs(v))
	}
	return most
}

// scale is the largest variance, 1 where there is none.
func (m Market) scale() float64 {
	most := 0.0
	for i := range m.Covariance {
		most = math.Max(most, m.Covariance[i][i])
	}
	if most == 0 {
		return 1
	}
	return most
}

// descend minimises w'Cw/2 - gain'w over w ≥ 0 that sum to total: cyclic exchange between pairs of assets, each solved exactly, until none helps. The problem is
// convex, so where no pair helps nothing does.
func (m Market) descend(gain []float64, total float64) []float64 {
	n := len(gain)
	w := make([]float64, n)
	slope := make([]float64, n) // of the objective
	for i := range w {
		w[i] = total / float64(n)
	}
	for i := range w {
		slope[i] = -gain[i]
		for j := range w {
			slope[i] += m.Covariance[i][j] * w[j]
		}
	}
	rounding := 1e-15 * (m.scale() + maxAbs(gain))
	for range 200 * n * n {
		// From the asset whose weight costs most to the one whose costs least.
		from, to := -1, 0
		for i := range w {
			if w[i] > 0 && (from < 0 || slope[i] > slope[from]) {
				from = i
			}
			if slope[i] < slope[to] {
				to = i
			}
		}
		if slope[from]-slope[to] <= rounding {
			break
		}
		curve := m.Covariance[from][from] + m.Covariance[to][to] - 2*m.Covariance[from][to]
		move := w[from]
		if curve > 0 {
			move = math.Min(move, (slope[from]-slope[to])/curve)
		}
		w[from] -= move
		w[to] += move
		for i := range slope {
			slope[i] += move * (m.Covariance[i][to] - m.Covariance[i][from])
		}
	}
	return w
}

func (m Market) variance(w []float64) (v float64) {
	for i := range w {
		for j := range w {
			v += w[i] * w[j] * m.Covariance[i][j]
		}
	}
	return math.Max(0, v)
}

func (m Market) portfolio(w []float64, riskFree float64) Portfolio {
	p := Portfolio{Weights: w, Variance: m.variance(w)}
	for i := range w {
		p.Return += w[i] * m.Means[i]
	}
	if p.Variance > 0 {
		p.Sharpe = dcf.Some((p.Return - riskFree) / math.Sqrt(p.Variance))
	}
	return p
}

// check holds what is given to what a covariance can be, as far as descend relies on it.
func (m Market) check() error {
	bad := func(format string, args ...any) error {
		return &dcf.InvalidError{Violations: []dcf.Violation{{Field: "covariance", Message: fmt.Sprintf(format, args...)}}}
	}
	n := len(m.Means)
	if n < 2 || n > MaxAssets || len(m.Covariance) != n {
		return bad("must have a row for each of 2 to %d means", MaxAssets)
	}
	for i, row := range m.Covariance {
		if len(row) != n {
			return bad("row %d must have %d numbers", i+1, n)
		}
		if !(math.Abs(m.Means[i]) <= 100) {
			return &dcf.InvalidError{Violations: []dcf.Violation{{Field: "means", Message: fmt.Sprintf("number %d must be from -100 to 100", i+1)}}}
		}
		for j, v := range row {
			if !(math.Abs(v) <= 1e4) || math.Abs(v-m.Covariance[j][i]) > 1e-12*(1+math.Abs(v)) {
				return bad("must be symmetric, with numbers up to 10000")
			}
			if v*v > m.Covariance[i][i]*m.Covariance[j][j]*(1+1e-9) {
				return bad("of %d and %d is more than their variances allow", i+1, j+1)
			}
		}
	}
	return nil
}
