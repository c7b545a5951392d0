package dcf

// Limit is the range of one field, under the name the API and its clients use.
type Limit struct {
	Field    string
	Min, Max float64
	// Above says that Min itself is out of range.
	Above bool
	// Integer says that the field counts years.
	Integer bool
	// Optional says that the field may be absent (null).
	Optional bool
}

// fieldCount is the number of numeric fields of Inputs.
const fieldCount = 26

// money bounds every amount and count. It is far above any company (10^12 millions) and low enough
// that no product of the largest inputs comes near the range of a float64, which is how Compute
// keeps its promise of finite results.
const money = 1e12

// Limits lists the range of every numeric field, in the order of Inputs. The years, tax, sales to
// capital, WACC, revenue and shares ranges are the original's; the others only keep results finite.
func Limits() [fieldCount]Limit {
	return [fieldCount]Limit{
		{Field: "revenue", Max: money, Above: true},
		{Field: "growthY1", Min: -1, Max: 10},
		{Field: "growthDecay", Min: -1, Max: 1},
		{Field: "years", Min: MinYears, Max: MaxYears, Integer: true},
		{Field: "termGrowth", Min: -.5, Max: .25},
		{Field: "ebitMargin", Min: -10, Max: 10},
		{Field: "taxRate", Max: .6},
		{Field: "salesToCap", Max: 10, Above: true},
		{Field: "wacc", Min: .03, Max: .25},
		{Field: "shares", Max: money, Above: true},
		{Field: "netDebt", Min: -money, Max: money},
		{Field: "stage1End", Min: 1, Max: MaxYears, Integer: true},
		{Field: "stage2End", Min: 2, Max: MaxYears, Integer: true},
		{Field: "s1Growth", Min: -1, Max: 10, Optional: true},
		{Field: "s1Margin", Min: -10, Max: 10, Optional: true},
		{Field: "s1S2C", Max: 1000, Above: true, Optional: true},
		{Field: "s1NWC", Max: 10, Optional: true},
		{Field: "s2Growth", Min: -1, Max: 10, Optional: true},
		{Field: "s2Margin", Min: -10, Max: 10, Optional: true},
		{Field: "s2S2C", Max: 1000, Above: true, Optional: true},
		{Field: "s2NWC", Max: 10, Optional: true},
		{Field: "s3Growth", Min: -1, Max: 10, Optional: true},
		{Field: "s3Margin", Min: -10, Max: 10, Optional: true},
		{Field: "s3S2C", Max: 1000, Above: true, Optional: true},
		{Field: "s3NWC", Max: 10, Optional: true},
		{Field: "tvMultipleVal", Max: 1000, Optional: true},
	}
}

// values lists the fields in the order of Limits.
func (in *Inputs) values() [fieldCount]Optional {
	a, b, c := &in.Stages[0], &in.Stages[1], &in.Stages[2]
	return [fieldCount]Optional{
		Some(in.Revenue), Some(in.GrowthY1), Some(in.GrowthDecay), Some(float64(in.Years)),
		Some(in.TermGrowth), Some(in.EBITMargin), Some(in.TaxRate), Some(in.SalesToCap),
		Some(in.WACC), Some(in.Shares), Some(in.NetDebt),
		Some(float64(in.Stage1End)), Some(float64(in.Stage2End)),
		a.Growth, a.Margin, a.SalesToCap, a.WorkingCapital,
		b.Growth, b.Margin, b.SalesToCap, b.WorkingCapital,
		c.Growth, c.Margin, c.SalesToCap, c.WorkingCapital,
		in.TVMultiple,
	}
}
