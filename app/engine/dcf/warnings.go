package dcf

import (
	"fmt"
	"math"
)

// Warning is a remark on inputs that are valid but unusual. Field names the input.
type Warning struct {
	Field   string
	Message string
}

// warnings lists the remarks of the original, and adds one where a floor changed a figure: a number
// that was not computed from what the caller sent has to say so.
func warnings(in *Inputs, mode Mode, s *Series) []Warning {
	var out []Warning
	first := &in.Stages[0]
	stageMargins := [3]string{"s1Margin", "s2Margin", "s3Margin"}
	out = growthWarning(out, field(first.Growth, "s1Growth", "growthY1"), in.growth(0))
	for y := range in.Years {
		st := in.stage(y)
		if y > 0 && st == in.stage(y-1) {
			continue // one remark a stage
		}
		name := field(in.Stages[st].Margin, stageMargins[st], "ebitMargin")
		if !mentions(out, name) {
			out = marginWarning(out, name, or(in.Stages[st].Margin, in.EBITMargin))
		}
	}
	if in.TermGrowth > .04 || in.TermGrowth < 0 {
		out = append(out, Warning{"termGrowth", "a terminal growth is usually between 0 and 0.04"})
	}
	// Three times revenue stands in for an enterprise value; debt beyond twice that is suspicious.
	if math.Abs(in.NetDebt) > 2*(3*in.Revenue) {
		out = append(out, Warning{"netDebt", "is large against six times revenue"})
	}
	if y, found := in.firstGrowthBelow(0); mode == Compat && found {
		out = append(out, Warning{"growth",
			fmt.Sprintf("is below 0 in year %d and counts as 0 (compat)", y+1)})
	}
	for y := range in.Years {
		if -s.DeltaNWC[y] > .05*s.Revenue[y] {
			out = append(out, Warning{"nwc",
				fmt.Sprintf("year %d releases more than 5 %% of revenue from working capital", y+1)})
		}
	}
	if mode == Compat {
		out = flooredMargins(out, in)
	}
	return out
}

func growthWarning(out []Warning, name string, g float64) []Warning {
	if g > .5 || g < 0 {
		return append(out, Warning{name, "a first growth is usually between 0 and 0.5"})
	}
	return out
}

func marginWarning(out []Warning, name string, m float64) []Warning {
	if m > .6 || m < 0 {
		return append(out, Warning{name, "a margin is usually between 0 and 0.6"})
	}
	return out
}

func flooredMargins(out []Warning, in *Inputs) []Warning {
	for y := range in.Years {
		if or(in.Stages[in.stage(y)].Margin, in.EBITMargin) < 0 {
			return append(out, Warning{"margin",
				fmt.Sprintf("is below 0 in year %d and counts as 0 (compat)", y+1)})
		}
	}
	return out
}

func field(o Optional, set, fallback string) string {
	if o.Set {
		return set
	}
	return fallback
}

func mentions(ws []Warning, name string) bool {
	for _, w := range ws {
		if w.Field == name {
			return true
		}
	}
	return false
}
