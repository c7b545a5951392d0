package dcf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Violation is one reason why inputs have no valuation.
type Violation struct {
	Field   string
	Message string
}

// InvalidError carries every violation of one case.
type InvalidError struct {
	Violations []Violation
}

func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("invalid inputs")
	for i, v := range e.Violations {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + v.Field + " " + v.Message)
	}
	return b.String()
}

// Validate returns every violation, or nil. Mode matters because only Unfloored can let a growth
// path fall below −100 %.
func Validate(in Inputs, mode Mode) []Violation {
	limits, values := Limits(), in.values()
	var out []Violation
	for i := range limits {
		if values[i].Set && !limits[i].holds(values[i].Value) {
			out = append(out, Violation{limits[i].Field, limits[i].String()})
		}
	}
	if in.Method > Multiple {
		out = append(out, Violation{"tvMethod", "must be perpetuity or multiple"})
	}
	if len(out) > 0 {
		return out // the checks below compare fields, which says nothing about fields out of range
	}
	return in.relations(mode)
}

// relations checks fields against each other.
func (in *Inputs) relations(mode Mode) []Violation {
	var out []Violation
	if in.TermGrowth >= in.WACC {
		out = append(out, Violation{"termGrowth", "must be below wacc"})
	}
	if in.Stage2End <= in.Stage1End {
		out = append(out, Violation{"stage2End", "must be after stage1End"})
	}
	if in.Stage1End > in.Years {
		out = append(out, Violation{"stage1End", "must not be after the last year"})
	}
	if in.Stage2End > in.Years {
		out = append(out, Violation{"stage2End", "must not be after the last year"})
	}
	if in.Method == Multiple && !in.TVMultiple.Set {
		out = append(out, Violation{"tvMultipleVal", "is required by tvMethod multiple"})
	}
	if y, found := in.firstGrowthBelow(-1); mode == Unfloored && found {
		out = append(out, Violation{"growthDecay",
			fmt.Sprintf("takes the growth of year %d below -1", y+1)})
	}
	return out
}

// firstGrowthBelow returns the first year index whose growth, before any floor, is below g.
func (in *Inputs) firstGrowthBelow(g float64) (int, bool) {
	for y := range in.Years {
		if in.growth(y) < g {
			return y, true
		}
	}
	return 0, false
}

// String says in a sentence what the limit asks for.
func (l Limit) String() string {
	low, high := number(l.Min), number(l.Max)
	if l.Above {
		return "must be above " + low + " and at most " + high
	}
	return "must be from " + low + " to " + high
}

// holds is false for NaN, which compares false with everything.
func (l Limit) holds(v float64) bool {
	if l.Above && v == l.Min {
		return false
	}
	return v >= l.Min && v <= l.Max && !math.IsInf(v, 0)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
