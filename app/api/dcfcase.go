package api

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// CaseFields is dcf.Inputs in JSON. The names are the original's. It is exported because huma skips
// embedded structs that are not.
type CaseFields struct {
	Revenue       float64  `json:"revenue" doc:"Revenue of the year before the forecast, in millions"`
	GrowthY1      float64  `json:"growthY1" doc:"Growth of the first year where no stage states one"`
	GrowthDecay   float64  `json:"growthDecay" doc:"Taken off that growth every year"`
	Years         int      `json:"years"`
	TermGrowth    float64  `json:"termGrowth" doc:"Growth after the forecast; below wacc"`
	EBITMargin    float64  `json:"ebitMargin"`
	TaxRate       float64  `json:"taxRate"`
	SalesToCap    float64  `json:"salesToCap" doc:"Revenue gained for one unit invested"`
	WACC          float64  `json:"wacc"`
	Shares        float64  `json:"shares" doc:"In millions"`
	NetDebt       float64  `json:"netDebt" doc:"In millions; negative is cash"`
	Stage1End     int      `json:"stage1End" doc:"Last year of stage 1"`
	Stage2End     int      `json:"stage2End" doc:"Last year of stage 2; after stage1End and within years"`
	S1Growth      *float64 `json:"s1Growth"`
	S1Margin      *float64 `json:"s1Margin"`
	S1S2C         *float64 `json:"s1S2C"`
	S1NWC         *float64 `json:"s1NWC" doc:"Net working capital as a share of revenue"`
	S2Growth      *float64 `json:"s2Growth"`
	S2Margin      *float64 `json:"s2Margin"`
	S2S2C         *float64 `json:"s2S2C"`
	S2NWC         *float64 `json:"s2NWC"`
	S3Growth      *float64 `json:"s3Growth"`
	S3Margin      *float64 `json:"s3Margin"`
	S3S2C         *float64 `json:"s3S2C"`
	S3NWC         *float64 `json:"s3NWC"`
	TVMethod      string   `json:"tvMethod" enum:"perpetuity,multiple"`
	TVMultipleVal *float64 `json:"tvMultipleVal" doc:"Required by tvMethod multiple"`
}

const (
	perpetuity = "perpetuity"
	multiple   = "multiple"
)

// inputs gives the engine an invalid method for an unknown one: it is the engine that refuses.
func (f CaseFields) inputs() dcf.Inputs {
	in := dcf.Inputs{
		Revenue: f.Revenue, GrowthY1: f.GrowthY1, GrowthDecay: f.GrowthDecay, Years: f.Years,
		TermGrowth: f.TermGrowth, EBITMargin: f.EBITMargin, TaxRate: f.TaxRate,
		SalesToCap: f.SalesToCap, WACC: f.WACC, Shares: f.Shares, NetDebt: f.NetDebt,
		Stage1End: f.Stage1End, Stage2End: f.Stage2End,
		Stages: [3]dcf.Stage{
			{Growth: optional(f.S1Growth), Margin: optional(f.S1Margin),
				SalesToCap: optional(f.S1S2C), WorkingCapital: optional(f.S1NWC)},
			{Growth: optional(f.S2Growth), Margin: optional(f.S2Margin),
				SalesToCap: optional(f.S2S2C), WorkingCapital: optional(f.S2NWC)},
			{Growth: optional(f.S3Growth), Margin: optional(f.S3Margin),
				SalesToCap: optional(f.S3S2C), WorkingCapital: optional(f.S3NWC)},
		},
		TVMultiple: optional(f.TVMultipleVal),
	}
	switch f.TVMethod {
	case perpetuity:
		in.Method = dcf.Perpetuity
	case multiple:
		in.Method = dcf.Multiple
	default:
		in.Method = dcf.Multiple + 1
	}
	return in
}

func toFields(in dcf.Inputs) CaseFields {
	method := perpetuity
	if in.Method == dcf.Multiple {
		method = multiple
	}
	s := &in.Stages
	return CaseFields{
		in.Revenue, in.GrowthY1, in.GrowthDecay, in.Years, in.TermGrowth, in.EBITMargin, in.TaxRate,
		in.SalesToCap, in.WACC, in.Shares, in.NetDebt, in.Stage1End, in.Stage2End,
		pointer(s[0].Growth), pointer(s[0].Margin), pointer(s[0].SalesToCap), pointer(s[0].WorkingCapital),
		pointer(s[1].Growth), pointer(s[1].Margin), pointer(s[1].SalesToCap), pointer(s[1].WorkingCapital),
		pointer(s[2].Growth), pointer(s[2].Margin), pointer(s[2].SalesToCap), pointer(s[2].WorkingCapital),
		method, pointer(in.TVMultiple),
	}
}

func optional(p *float64) dcf.Optional {
	if p == nil {
		return dcf.Optional{}
	}
	return dcf.Some(*p)
}

func pointer(o dcf.Optional) *float64 {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// dcfSchema describes the request. Ranges come from the engine and defaults from the preset, so
// that the document cannot drift from what is enforced.
func dcfSchema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, reflect.TypeFor[dcfRequest]())
	for _, l := range dcf.Limits() {
		p := s.Properties[l.Field]
		low, high := l.Min, l.Max
		p.Maximum = &high
		if l.Above {
			p.ExclusiveMinimum = &low
		} else {
			p.Minimum = &low
		}
	}
	// Marshal and Unmarshal cannot fail on a struct of finite numbers; an empty map would leave the
	// defaults out of the document, which its golden file would show.
	preset, _ := json.Marshal(dcfRequest{CaseFields: toFields(dcf.Preset()), Compat: true})
	defaults := map[string]any{}
	_ = json.Unmarshal(preset, &defaults)
	for name, p := range s.Properties {
		p.Default = defaults[name]
	}
	s.Properties["compat"].Description = "true counts growth and margins below 0 as 0, as the original does"
	s.Required = nil
	return s
}
