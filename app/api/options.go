package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/option"
)

// OptionFields is option.Inputs in JSON. It is exported because huma skips embedded structs that are not.
type OptionFields struct {
	Kind       string  `json:"kind" enum:"call,put"`
	Spot       float64 `json:"spot"`
	Strike     float64 `json:"strike"`
	Time       float64 `json:"time" doc:"Years to the end"`
	Volatility float64 `json:"volatility" doc:"Standard deviation of a year, decimal"`
	Rate       float64 `json:"rate" doc:"Continuous, decimal"`
	Yield      float64 `json:"yield" doc:"Paid continuously by what the option is on"`
}

func (f OptionFields) inputs() option.Inputs {
	return option.Inputs{Kind: option.Kind(f.Kind), Spot: f.Spot, Strike: f.Strike, Time: f.Time, Volatility: f.Volatility, Rate: f.Rate, Yield: f.Yield}
}

func usualOption() OptionFields {
	return OptionFields{Kind: "call", Spot: 100, Strike: 100, Time: 1, Volatility: .2, Rate: .05}
}

type optionGreeks struct {
	Delta float64 `json:"delta"`
	Gamma float64 `json:"gamma"`
	Theta float64 `json:"theta" doc:"A day"`
	Vega  float64 `json:"vega" doc:"For one percentage point, as rho"`
	Rho   float64 `json:"rho"`
}

// OptionWorth is option.Result in JSON.
type OptionWorth struct {
	Value     float64      `json:"value"`
	Greeks    optionGreeks `json:"greeks"`
	Intrinsic float64      `json:"intrinsicValue"`
	TimeValue float64      `json:"timeValue"`
}

func worthOf(r option.Result) OptionWorth {
	return OptionWorth{r.Value, optionGreeks(r.Greeks), r.Intrinsic, r.TimeValue}
}

type blackData struct {
	Params OptionFields `json:"params"`
	OptionWorth
}

type latticeRequest struct {
	OptionFields
	Steps    int  `json:"steps" minimum:"1" maximum:"5000"`
	American bool `json:"american" doc:"May be exercised at every step"`
}

type latticeData struct {
	Params latticeRequest `json:"params"`
	OptionWorth
}

// FirmFields are those of a firm's options.
type FirmFields struct {
	Time       float64 `json:"timeToExpiry"`
	Volatility float64 `json:"volatility"`
	Rate       float64 `json:"riskFreeRate"`
}

type expansionRequest struct {
	FirmFields
	Value      float64 `json:"currentValue"`
	Cost       float64 `json:"expansionCost"`
	Multiplier float64 `json:"expansionMultiplier"`
}

type expansionData struct {
	Params expansionRequest `json:"params"`
	OptionWorth
	Incremental OptionWorth `json:"incremental" doc:"The right alone: a call on what the firm gains, where the figures above are, as the original's, of the whole firm"`
}

type abandonmentRequest struct {
	FirmFields
	Value   float64 `json:"currentValue"`
	Salvage float64 `json:"salvageValue"`
}

type abandonmentData struct {
	Params abandonmentRequest `json:"params"`
	OptionWorth
}

type timingRequest struct {
	FirmFields
	Value float64 `json:"projectValue"`
	Cost  float64 `json:"investmentCost"`
	Yield float64 `json:"yield" doc:"What the project pays a year, which waiting forgoes"`
}

type timingData struct {
	Params timingRequest `json:"params"`
	OptionWorth
	Threshold *float64 `json:"threshold" doc:"Project value from which waiting is worth nothing; null when there is none"`
	InvestNow bool     `json:"shouldExerciseNow"`
}

// describeOptions registers /api/options.
func describeOptions(a huma.API, s *service) {
	const text = "{} or no body values the preset; each field given overrides it."
	usual := FirmFields{Time: 2, Volatility: .4, Rate: .05}
	computation[OptionFields, blackData]{path: "/api/options/black-scholes", id: "blackScholes", engine: "black_scholes", quick: true, summary: "Value a European option", description: text,
		preset: usualOption(), compute: func(_ context.Context, r OptionFields) (blackData, error) {
			v, err := option.Black(r.inputs())
			return blackData{r, worthOf(v)}, err
		}}.register(a, s)
	computation[latticeRequest, latticeData]{path: "/api/options/binomial", id: "binomial", engine: "binomial", summary: "Value an option on a binomial lattice", description: text,
		preset: latticeRequest{usualOption(), 100, false}, compute: func(ctx context.Context, r latticeRequest) (latticeData, error) {
			workers, err := s.heavy.take(ctx, 1)
			if err != nil {
				return latticeData{}, err
			}
			defer s.heavy.give(workers)
			v, err := option.Lattice(r.inputs(), r.Steps, r.American)
			return latticeData{r, worthOf(v)}, err
		}}.register(a, s)
	computation[expansionRequest, expansionData]{path: "/api/options/expansion", id: "expansionOption", engine: "expansion", quick: true, summary: "Value the right to expand", description: text,
		preset: expansionRequest{usual, 1e6, 5e5, 2.5}, compute: func(_ context.Context, r expansionRequest) (expansionData, error) {
			whole, gained, err := option.Expand(option.Expansion{Value: r.Value, Cost: r.Cost, Time: r.Time, Volatility: r.Volatility, Rate: r.Rate, Multiplier: r.Multiplier})
			return expansionData{r, worthOf(whole), worthOf(gained)}, err
		}}.register(a, s)
	computation[abandonmentRequest, abandonmentData]{path: "/api/options/abandonment", id: "abandonmentOption", engine: "abandonment", quick: true, summary: "Value the right to abandon", description: text,
		preset: abandonmentRequest{usual, 1e6, 8e5}, compute: func(_ context.Context, r abandonmentRequest) (abandonmentData, error) {
			v, err := option.Abandon(option.Abandonment{Value: r.Value, Salvage: r.Salvage, Time: r.Time, Volatility: r.Volatility, Rate: r.Rate})
			return abandonmentData{r, worthOf(v)}, err
		}}.register(a, s)
	computation[timingRequest, timingData]{path: "/api/options/timing", id: "timingOption", engine: "timing", quick: true, summary: "Value the right to wait with an investment", description: text,
		preset: timingRequest{usual, 1e6, 1e6, .05}, compute: func(ctx context.Context, r timingRequest) (timingData, error) {
			workers, err := s.heavy.take(ctx, 1)
			if err != nil {
				return timingData{}, err
			}
			defer s.heavy.give(workers)
			v, threshold, now, err := option.Defer(option.Deferral{Value: r.Value, Cost: r.Cost, Time: r.Time, Volatility: r.Volatility, Rate: r.Rate, Yield: r.Yield})
			return timingData{r, worthOf(v), pointer(threshold), now}, err
		}}.register(a, s)
}
