package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/risk"
)

type lossRequest struct {
	Returns    []float64 `json:"returns" nullable:"false" minItems:"2" maxItems:"10000" doc:"Decimals, one a period; a loss is negative"`
	Confidence float64   `json:"confidence"`
	Horizon    int       `json:"horizon" doc:"Periods"`
}

type lossData struct {
	Confidence float64 `json:"confidence"`
	Horizon    int     `json:"horizon"`
	Mean       float64 `json:"mean" doc:"Of one period"`
	Deviation  float64 `json:"standardDeviation"`
	Historical float64 `json:"historicalVaR" doc:"A return: negative is a loss. As the two that follow, over the horizon"`
	Parametric float64 `json:"parametricVaR" doc:"Of a normal distribution"`
	Expected   float64 `json:"cvar" doc:"Mean of the returns at historicalVaR or worse"`
}

type portfolioRequest struct {
	Names   []string    `json:"names" nullable:"false" doc:"Of the assets; none or one for each"`
	Returns [][]float64 `json:"returns" nullable:"false" doc:"A series for each asset, all of the same periods"`
	// Objective is what the mix is best at.
	Objective string  `json:"objective" enum:"minVariance,maxSharpe"`
	RiskFree  float64 `json:"riskFree" doc:"Of one period, as the returns are"`
}

type portfolioData struct {
	Objective string    `json:"objective"`
	Names     []string  `json:"names" nullable:"false"`
	Weights   []float64 `json:"weights" nullable:"false" doc:"At least 0; sum to 1"`
	Return    float64   `json:"return"`
	Variance  float64   `json:"variance"`
	Sharpe    *float64  `json:"sharpe" doc:"null where nothing varies"`
}

// describeRisk registers /api/risk and /api/portfolio.
func describeRisk(a huma.API, s *service) {
	computation[lossRequest, lossData]{
		path: "/api/risk/var", id: "valueAtRisk", engine: "var", quick: true, summary: "What a series of returns may lose", description: "returns is required.",
		preset: lossRequest{Returns: []float64{}, Confidence: .95, Horizon: 1},
		compute: func(_ context.Context, r lossRequest) (lossData, error) {
			l, err := risk.ValueAtRisk(r.Returns, r.Confidence, r.Horizon)
			return lossData{r.Confidence, r.Horizon, l.Mean, l.StandardDeviation, l.Historical, l.Parametric, l.Expected}, err
		}}.register(a, s)
	computation[portfolioRequest, portfolioData]{
		path: "/api/portfolio/optimize", id: "optimizePortfolio", engine: "portfolio", summary: "Mix assets", description: "returns is required.",
		preset: portfolioRequest{Names: []string{}, Returns: [][]float64{}, Objective: "minVariance"},
		compute: func(ctx context.Context, r portfolioRequest) (portfolioData, error) {
			workers, err := s.heavy.take(ctx, 1)
			if err != nil {
				return portfolioData{}, err
			}
			defer s.heavy.give(workers)
			return mix(r)
		}}.register(a, s)
}

func mix(r portfolioRequest) (portfolioData, error) {
	if len(r.Names) != 0 && len(r.Names) != len(r.Returns) {
		return portfolioData{}, unprocessable("names", "must be none or one for each series")
	}
	m, err := risk.Observe(r.Returns)
	if err != nil {
		return portfolioData{}, err
	}
	var p risk.Portfolio
	switch r.Objective {
	case "minVariance":
		p, err = risk.MinimumVariance(m)
	case "maxSharpe":
		p, err = risk.MaxSharpe(m, r.RiskFree)
	default:
		return portfolioData{}, unprocessable("objective", "must be minVariance or maxSharpe")
	}
	return portfolioData{r.Objective, r.Names, p.Weights, p.Return, p.Variance, pointer(p.Sharpe)}, err
}
