package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// dcfRequest starts as the preset; the body overrides it.
type dcfRequest struct {
	CaseFields
	Compat bool `json:"compat"`
}

type dcfInput struct {
	Payload casePayload
}

type dcfBody struct {
	Success bool    `json:"success"`
	Data    dcfData `json:"data"`
}

type dcfData struct {
	Compat   bool         `json:"compat" doc:"Whether growth and margins below 0 counted as 0"`
	Params   CaseFields   `json:"params" doc:"The case that was valued: the preset with the fields of the request"`
	Series   dcfSeries    `json:"series" doc:"One entry a year; the first is the first forecast year"`
	Totals   dcfTotals    `json:"totals"`
	KPIs     dcfKPIs      `json:"kpis"`
	Warnings []dcfWarning `json:"warnings" nullable:"false"`
}

type dcfSeries struct {
	Revenue      []float64 `json:"rev" nullable:"false"`
	Growth       []float64 `json:"growths" nullable:"false"`
	Margin       []float64 `json:"margins" nullable:"false"`
	EBIT         []float64 `json:"ebit" nullable:"false"`
	NOPAT        []float64 `json:"nopat" nullable:"false"`
	NWCRatio     []float64 `json:"nwcRatio" nullable:"false"`
	NWC          []float64 `json:"nwc" nullable:"false"`
	DeltaNWC     []float64 `json:"deltaNwc" nullable:"false"`
	Capex        []float64 `json:"capexProxy" nullable:"false"`
	Reinvestment []float64 `json:"reinvest" nullable:"false"`
	FCFF         []float64 `json:"fcff" nullable:"false"`
	PresentFCF   []float64 `json:"pvFcff" nullable:"false"`
}

type dcfTotals struct {
	SumPVFCFF       float64 `json:"sumPvFcff"`
	PVTerminal      float64 `json:"pvTv"`
	EnterpriseValue float64 `json:"ev"`
	Equity          float64 `json:"equity"`
	PerShare        float64 `json:"perShare"`
	TerminalShare   float64 `json:"tvPct" doc:"Share of ev that pvTv makes up, as a decimal; 0 when ev is not positive"`
}

type dcfKPIs struct {
	ROIC         *float64 `json:"roic" doc:"Mean NOPAT over mean reinvestment; null when that is 0"`
	ReinvestRate *float64 `json:"reinvestRate" doc:"Mean reinvestment over mean NOPAT; null when that is 0"`
	FCFFCAGR     *float64 `json:"fcffCAGR" doc:"Null unless the first and the last flow are positive"`
	PaybackYear  int      `json:"payback" doc:"First year whose summed present values reach half of ev; 0 when none does"`
	EVToNOPAT    *float64 `json:"evNopat" doc:"ev over the last NOPAT; null when that is 0"`
}

type dcfWarning struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (s *service) valueDCF(ctx context.Context, in *dcfInput) (*huma.StreamResponse, error) {
	return s.answered(ctx, question{path: "/api/dcf", body: in.Payload.bytes, quick: true}, func() (any, error) { return s.computeDCF(in) })
}

func (s *service) computeDCF(in *dcfInput) (any, error) {
	request := dcfRequest{CaseFields: toFields(dcf.Preset()), Compat: true}
	if issues := s.dcf.Decode(in.Payload.bytes, &request); len(issues) > 0 {
		s.Metrics.DCFInvalid.Inc()
		return nil, invalid(issues)
	}
	result, err := dcf.Compute(request.inputs(), mode(request.Compat))
	if refused := violationsOf(err); refused != nil {
		s.Metrics.DCFInvalid.Inc()
		return nil, refused
	}
	s.Metrics.DCFValid.Inc()
	return dcfBody{Success: true, Data: view(request, &result)}, nil
}

// view slices the arrays of the result, which must stay where it is until the answer is written.
func view(request dcfRequest, r *dcf.Result) dcfData {
	s, n := &r.Series, r.Years
	warnings := make([]dcfWarning, len(r.Warnings))
	for i, w := range r.Warnings {
		warnings[i] = dcfWarning(w)
	}
	return dcfData{
		Compat: request.Compat,
		Params: request.CaseFields,
		Series: dcfSeries{
			s.Revenue[:n], s.Growth[:n], s.Margin[:n], s.EBIT[:n], s.NOPAT[:n], s.NWCRatio[:n],
			s.NWC[:n], s.DeltaNWC[:n], s.Capex[:n], s.Reinvestment[:n], s.FCFF[:n], s.PresentFCF[:n],
		},
		Totals: dcfTotals(r.Totals),
		KPIs: dcfKPIs{
			ROIC: pointer(r.KPIs.ROIC), ReinvestRate: pointer(r.KPIs.ReinvestRate),
			FCFFCAGR: pointer(r.KPIs.FCFFCAGR), PaybackYear: r.KPIs.PaybackYear,
			EVToNOPAT: pointer(r.KPIs.EVToNOPAT),
		},
		Warnings: warnings,
	}
}
