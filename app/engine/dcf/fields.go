package dcf

// With returns the inputs with one numeric field of Limits set, by its name there. Years and stage ends take whole numbers; false is a name that there is not.
func (in Inputs) With(field string, v float64) (Inputs, bool) {
	switch field {
	case "years":
		in.Years = int(v)
	case "stage1End":
		in.Stage1End = int(v)
	case "stage2End":
		in.Stage2End = int(v)
	case "tvMultipleVal":
		in.TVMultiple = Some(v)
	default:
		if p := in.driver(field); p != nil {
			*p = v
			break
		}
		p := in.override(field)
		if p == nil {
			return in, false
		}
		*p = Some(v)
	}
	return in, true
}

// driver is the company-wide field of that name.
func (in *Inputs) driver(field string) *float64 {
	switch field {
	case "revenue":
		return &in.Revenue
	case "growthY1":
		return &in.GrowthY1
	case "growthDecay":
		return &in.GrowthDecay
	case "termGrowth":
		return &in.TermGrowth
	case "ebitMargin":
		return &in.EBITMargin
	case "taxRate":
		return &in.TaxRate
	case "salesToCap":
		return &in.SalesToCap
	case "wacc":
		return &in.WACC
	case "shares":
		return &in.Shares
	case "netDebt":
		return &in.NetDebt
	}
	return nil
}

// override is the stage's field of that name, as s2Margin.
func (in *Inputs) override(field string) *Optional {
	if len(field) < 3 || field[0] != 's' || field[1] < '1' || field[1] > '3' {
		return nil
	}
	s := &in.Stages[field[1]-'1']
	switch field[2:] {
	case "Growth":
		return &s.Growth
	case "Margin":
		return &s.Margin
	case "S2C":
		return &s.SalesToCap
	case "NWC":
		return &s.WorkingCapital
	}
	return nil
}
