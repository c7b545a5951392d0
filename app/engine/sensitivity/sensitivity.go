// Package sensitivity asks what a valuation would be if two of its inputs were others, and what one input would have to be for a given value.
//
// It is pure: every cell and every step is a full run of package dcf. A case that dcf refuses has no value; it is never bent until it has one.
package sensitivity

import (
	"errors"
	"fmt"
	"math"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Steps bound an axis: it has one point more than steps.
const (
	MinSteps = 2
	MaxSteps = 100
)

// Axis varies one input of Limits from Min to Max, both included.
type Axis struct {
	Field    string
	Min, Max float64
}

// Metric is what a cell shows.
type Metric string

// The metrics, in millions but for the price of a share and the share that the terminal value makes up.
const (
	PerShare        Metric = "perShare"
	EnterpriseValue Metric = "ev"
	Equity          Metric = "equity"
	TerminalShare   Metric = "tvPct"
)

func (m Metric) of(t dcf.Totals) float64 {
	switch m {
	case EnterpriseValue:
		return t.EnterpriseValue
	case Equity:
		return t.Equity
	case TerminalShare:
		return t.TerminalShare
	}
	return t.PerShare
}

// Grid is a table of values: Cells[i][j] belongs to First[i] and Second[j], and is absent where dcf refuses the case (a terminal growth at or above the
// discount rate, say).
type Grid struct {
	First, Second []float64
	Cells         [][]dcf.Optional
}

// Compute fills a grid of steps+1 by steps+1 cells. The base case itself need not be valid: its two fields are replaced in every cell.
func Compute(base dcf.Inputs, mode dcf.Mode, axes [2]Axis, steps int, m Metric) (Grid, error) {
	if err := check(axes, steps, m); err != nil {
		return Grid{}, err
	}
	g := Grid{First: points(axes[0], steps), Second: points(axes[1], steps), Cells: make([][]dcf.Optional, steps+1)}
	for i, a := range g.First {
		row := make([]dcf.Optional, steps+1)
		outer, _ := base.With(axes[0].Field, a)
		for j, b := range g.Second {
			inner, _ := outer.With(axes[1].Field, b)
			if r, err := dcf.Compute(inner, mode); err == nil {
				row[j] = dcf.Some(m.of(r.Totals))
			}
		}
		g.Cells[i] = row
	}
	return g, nil
}

func check(axes [2]Axis, steps int, m Metric) error {
	var out dcf.InvalidError
	say := func(field, message string) {
		out.Violations = append(out.Violations, dcf.Violation{Field: field, Message: message})
	}
	for i, a := range axes {
		name := fmt.Sprintf("param%d", i+1)
		l, ok := limit(a.Field)
		switch {
		case !ok:
			say(name, "is not a numeric input of the valuation")
		case l.Integer:
			say(name, "counts years and cannot be varied in steps")
		case !(a.Min < a.Max) || math.IsInf(a.Min, 0) || math.IsInf(a.Max, 0):
			say(name+"Min", "must be below "+name+"Max")
		case a.Min < l.Min || a.Max > l.Max:
			say(name+"Min", "and "+name+"Max: "+a.Field+" "+l.String())
		}
	}
	if axes[0].Field == axes[1].Field {
		say("param2", "must differ from param1")
	}
	if steps < MinSteps || steps > MaxSteps {
		say("steps", fmt.Sprintf("must be from %d to %d", MinSteps, MaxSteps))
	}
	switch m {
	case PerShare, EnterpriseValue, Equity, TerminalShare:
	default:
		say("metric", "must be perShare, ev, equity or tvPct")
	}
	if len(out.Violations) > 0 {
		return &out
	}
	return nil
}

func limit(field string) (dcf.Limit, bool) {
	for _, l := range dcf.Limits() {
		if l.Field == field {
			return l, true
		}
	}
	return dcf.Limit{}, false
}

func points(a Axis, steps int) []float64 {
	out := make([]float64, steps+1)
	for i := range out {
		out[i] = a.Min + (a.Max-a.Min)*float64(i)/float64(steps)
	}
	out[steps] = a.Max // whatever the rounding
	return out
}

// Unknown is the input that Solve looks for.
type Unknown string

// The unknowns, and where they are looked for: the original's ranges.
const (
	WACC       Unknown = "wacc"       // from 5 to 15 %
	TermGrowth Unknown = "termGrowth" // from 0 to 10 %
)

// Tolerance is how far the price of a share may be from the target.
const Tolerance = 1e-4

// iterations narrow the range to 1e-13. The original stops as soon as it is within Tolerance; its published answers are the roots themselves.
const iterations = 40

// Solution is an answer of Solve.
type Solution struct {
	Value    float64
	PerShare float64
}

// ErrNoSolution says that no value within the range gives the target.
var ErrNoSolution = errors.New("no value in range gives the target")

// Solve finds the unknown for which a share is worth target, by bisection: a share is worth less the higher the discount rate, and more the higher the terminal growth.
// A case that dcf refuses counts as beyond the target, because what it refuses within these ranges is a growth too near to the discount rate, where values
// grow without bound. A violation of any other kind is an *dcf.InvalidError.
func Solve(base dcf.Inputs, mode dcf.Mode, u Unknown, target float64) (Solution, error) {
	low, high := .05, .15
	switch {
	case u == TermGrowth:
		low, high = 0, .10
	case u != WACC:
		return Solution{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "solveFor", Message: "must be wacc or termGrowth"}}}
	}
	if math.IsNaN(target) || math.IsInf(target, 0) {
		return Solution{}, &dcf.InvalidError{Violations: []dcf.Violation{{Field: "target", Message: "must be a number"}}}
	}
	if err := others(base, mode, u); err != nil {
		return Solution{}, err
	}
	var found Solution
	for range iterations {
		mid := (low + high) / 2
		in, _ := base.With(string(u), mid)
		r, err := dcf.Compute(in, mode)
		found = Solution{Value: mid, PerShare: r.Totals.PerShare}
		if err != nil {
			found.PerShare = math.Inf(1)
		}
		if (found.PerShare > target) == (u == WACC) {
			low = mid
		} else {
			high = mid
		}
	}
	if math.Abs(found.PerShare-target) > Tolerance {
		return Solution{}, ErrNoSolution
	}
	return found, nil
}

// others are the violations of what is not looked for.
func others(base dcf.Inputs, mode dcf.Mode, u Unknown) error {
	if u == WACC {
		base.WACC = math.Max(.15, base.TermGrowth+.01)
	} else {
		base.TermGrowth = 0
	}
	if v := dcf.Validate(base, mode); len(v) > 0 {
		return &dcf.InvalidError{Violations: v}
	}
	return nil
}
