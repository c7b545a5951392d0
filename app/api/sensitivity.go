package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/sensitivity"
)

type gridRequest struct {
	CaseFields
	Compat    bool    `json:"compat"`
	Param1    string  `json:"param1" doc:"An input of the valuation, by its name"`
	Param1Min float64 `json:"param1Min"`
	Param1Max float64 `json:"param1Max"`
	Param2    string  `json:"param2" doc:"Another"`
	Param2Min float64 `json:"param2Min"`
	Param2Max float64 `json:"param2Max"`
	Steps     int     `json:"steps" minimum:"2" maximum:"100" doc:"Each axis has one point more"`
	Metric    string  `json:"metric" enum:"perShare,ev,equity,tvPct"`
}

type gridData struct {
	Compat  bool         `json:"compat"`
	Params  CaseFields   `json:"params" doc:"The case around which the two inputs were varied"`
	Metric  string       `json:"metric"`
	Param1  string       `json:"param1"`
	Param2  string       `json:"param2"`
	Values1 []float64    `json:"values1" nullable:"false"`
	Values2 []float64    `json:"values2" nullable:"false"`
	Cells   [][]*float64 `json:"cells" nullable:"false" doc:"A row for each of values1, in it a value for each of values2; null where the case has none, as a termGrowth at or above wacc"`
}

func gridOperation() computation[gridRequest, gridData] {
	return computation[gridRequest, gridData]{
		path: "/api/dcf/sensitivity", id: "dcfSensitivity", engine: "sensitivity", summary: "Value a company over a grid of two inputs",
		description: "{} or no body varies wacc and termGrowth around the preset. Another param needs a range of its own.",
		preset: gridRequest{CaseFields: toFields(dcf.Preset()), Compat: true, Param1: "wacc", Param1Min: .07, Param1Max: .12,
			Param2: "termGrowth", Param2Min: .01, Param2Max: .035, Steps: 24, Metric: string(sensitivity.PerShare)},
		compute: func(_ context.Context, r gridRequest) (gridData, error) {
			axes := [2]sensitivity.Axis{{Field: r.Param1, Min: r.Param1Min, Max: r.Param1Max}, {Field: r.Param2, Min: r.Param2Min, Max: r.Param2Max}}
			g, err := sensitivity.Compute(r.inputs(), mode(r.Compat), axes, r.Steps, sensitivity.Metric(r.Metric))
			if err != nil {
				return gridData{}, err
			}
			cells := make([][]*float64, len(g.Cells))
			for i, row := range g.Cells {
				cells[i] = make([]*float64, len(row))
				for j := range row {
					if row[j].Set {
						cells[i][j] = &row[j].Value
					}
				}
			}
			return gridData{r.Compat, r.CaseFields, r.Metric, r.Param1, r.Param2, g.First, g.Second, cells}, nil
		},
	}
}

type solveRequest struct {
	CaseFields
	Compat   bool    `json:"compat"`
	SolveFor string  `json:"solveFor" enum:"wacc,termGrowth" doc:"wacc is looked for from 0.05 to 0.15, termGrowth from 0 to 0.10"`
	Target   float64 `json:"target" doc:"What a share is to be worth"`
}

type solveData struct {
	Compat   bool       `json:"compat"`
	Params   CaseFields `json:"params" doc:"The case, with what was found in it"`
	SolveFor string     `json:"solveFor"`
	Value    float64    `json:"value"`
	PerShare float64    `json:"perShare" doc:"Within 0.0001 of the target"`
}

func solveOperation() computation[solveRequest, solveData] {
	return computation[solveRequest, solveData]{
		path: "/api/dcf/solve", id: "dcfSolve", engine: "solve", quick: true, summary: "Find the discount rate or the terminal growth for a value",
		description: "422 when no value in its range gives the target.",
		preset:      solveRequest{CaseFields: toFields(dcf.Preset()), Compat: true, SolveFor: string(sensitivity.WACC), Target: 12},
		compute: func(_ context.Context, r solveRequest) (solveData, error) {
			found, err := sensitivity.Solve(r.inputs(), mode(r.Compat), sensitivity.Unknown(r.SolveFor), r.Target)
			if errors.Is(err, sensitivity.ErrNoSolution) {
				return solveData{}, unprocessable("target", fmt.Sprintf("no %s in its range makes a share worth %v", r.SolveFor, r.Target))
			}
			if err != nil {
				return solveData{}, err
			}
			in, _ := r.inputs().With(r.SolveFor, found.Value)
			return solveData{r.Compat, toFields(in), r.SolveFor, found.Value, found.PerShare}, nil
		},
	}
}

// unprocessable refuses one field as an error of a computation.
func unprocessable(name, message string) error { return error(field(name, message)) }

func mode(compat bool) dcf.Mode {
	if compat {
		return dcf.Compat
	}
	return dcf.Unfloored
}

// describeComputations registers what values and changes nothing.
func describeComputations(a huma.API, s *service) {
	gridOperation().register(a, s)
	solveOperation().register(a, s)
	monteCarloOperation(s.heavy).stream(a, s)
	lboOperation().register(a, s)
	mergerOperation().register(a, s)
	describeOptions(a, s)
	describeRisk(a, s)
}
