package api

import (
	"context"

	"github.com/valor-ivx/weir/app/engine/lbo"
	"github.com/valor-ivx/weir/app/engine/merger"
)

type lboRequest struct {
	PurchasePrice      float64 `json:"purchasePrice" doc:"In millions, as all amounts"`
	EquityContribution float64 `json:"equityContribution"`
	Revenue            float64 `json:"revenue" doc:"Of the year before the first"`
	EBITDAMargin       float64 `json:"ebitdaMargin"`
	RevenueGrowth      float64 `json:"revenueGrowth"`
	GrowthDecay        float64 `json:"growthDecay" doc:"Taken off the growth every year; it stops at 0"`
	Years              int     `json:"years" minimum:"3" maximum:"10"`
	TaxRate            float64 `json:"taxRate"`
	Depreciation       float64 `json:"depreciation" doc:"Share of revenue, as the two that follow"`
	Capex              float64 `json:"capex"`
	WorkingCapital     float64 `json:"workingCapital"`
	SeniorShare        float64 `json:"seniorShare" doc:"Share of the debt; the three sum to 1"`
	SeniorRate         float64 `json:"seniorRate"`
	MezzanineShare     float64 `json:"mezzanineShare"`
	MezzanineRate      float64 `json:"mezzanineRate"`
	HighYieldShare     float64 `json:"highYieldShare"`
	HighYieldRate      float64 `json:"highYieldRate"`
}

type lboYear struct {
	Year                 int     `json:"year"`
	Revenue              float64 `json:"revenue"`
	EBITDA               float64 `json:"ebitda"`
	EBIT                 float64 `json:"ebit"`
	Interest             float64 `json:"interest"`
	Tax                  float64 `json:"tax"`
	FreeCashFlow         float64 `json:"fcf" doc:"Before interest"`
	Principal            float64 `json:"principal" doc:"Repaid; negative is drawn, because the flow did not cover the interest"`
	Debt                 float64 `json:"debt" doc:"At the end of the year"`
	Cash                 float64 `json:"cash" doc:"Left after the last of the debt"`
	Capex                float64 `json:"capex"`
	WorkingCapitalChange float64 `json:"deltaWorkingCapital"`
}

type lboExit struct {
	Multiple        float64  `json:"multiple" doc:"Of the last EBITDA"`
	EnterpriseValue float64  `json:"ev"`
	Equity          float64  `json:"equity"`
	MOIC            float64  `json:"moic"`
	IRR             *float64 `json:"irr" doc:"Decimal; null when nothing is left"`
}

type lboTarget struct {
	IRR             float64  `json:"irr"`
	Equity          float64  `json:"equity"`
	EnterpriseValue float64  `json:"ev"`
	Multiple        *float64 `json:"multiple"`
}

type lboMetrics struct {
	TotalDebt      float64  `json:"totalDebt"`
	Leverage       float64  `json:"leverageRatio" doc:"Debt over equity"`
	DebtRate       float64  `json:"wacd"`
	FinalEBITDA    float64  `json:"finalEbitda"`
	FinalDebt      float64  `json:"finalDebt"`
	TotalInterest  float64  `json:"totalInterestPaid"`
	TotalPrincipal float64  `json:"totalPrincipalPaid"`
	MeanIRR        *float64 `json:"avgIRR"`
	MeanMOIC       float64  `json:"avgMOIC"`
}

type lboData struct {
	Params  lboRequest  `json:"params"`
	Years   []lboYear   `json:"years" nullable:"false"`
	Exits   []lboExit   `json:"exits" nullable:"false"`
	Targets []lboTarget `json:"targets" nullable:"false" doc:"What a sale would have to bring for each return"`
	Metrics lboMetrics  `json:"metrics"`
}

func lboOperation() computation[lboRequest, lboData] {
	p := lbo.Preset()
	return computation[lboRequest, lboData]{
		path: "/api/lbo", id: "lbo", engine: "lbo", quick: true, summary: "Value a purchase with debt",
		description: "{} or no body values the preset; each field given overrides it.",
		preset: lboRequest{p.PurchasePrice, p.EquityContribution, p.Revenue, p.EBITDAMargin, p.RevenueGrowth, p.GrowthDecay, p.Years, p.TaxRate, p.Depreciation,
			p.Capex, p.WorkingCapital, p.Debt[0].Share, p.Debt[0].Rate, p.Debt[1].Share, p.Debt[1].Rate, p.Debt[2].Share, p.Debt[2].Rate},
		compute: func(_ context.Context, r lboRequest) (lboData, error) {
			result, err := lbo.Compute(lbo.Inputs{
				PurchasePrice: r.PurchasePrice, EquityContribution: r.EquityContribution, Revenue: r.Revenue, EBITDAMargin: r.EBITDAMargin,
				RevenueGrowth: r.RevenueGrowth, GrowthDecay: r.GrowthDecay, Years: r.Years, TaxRate: r.TaxRate, Depreciation: r.Depreciation, Capex: r.Capex,
				WorkingCapital: r.WorkingCapital,
				Debt: [3]lbo.Tranche{{Share: r.SeniorShare, Rate: r.SeniorRate}, {Share: r.MezzanineShare, Rate: r.MezzanineRate},
					{Share: r.HighYieldShare, Rate: r.HighYieldRate}},
			})
			if err != nil {
				return lboData{}, err
			}
			return lboView(r, &result), nil
		},
	}
}

func lboView(request lboRequest, r *lbo.Result) lboData {
	m := r.Metrics
	d := lboData{Params: request, Metrics: lboMetrics{m.TotalDebt, m.Leverage, m.DebtRate, m.FinalEBITDA, m.FinalDebt, m.TotalInterest, m.TotalPrincipal,
		pointer(m.MeanIRR), m.MeanMOIC}}
	for i, y := range r.Years {
		d.Years = append(d.Years, lboYear{i + 1, y.Revenue, y.EBITDA, y.EBIT, y.Interest, y.Tax, y.FreeCashFlow, y.Principal, y.Debt, y.Cash, y.Capex, y.WorkingCapitalChange})
	}
	for _, e := range r.Exits {
		d.Exits = append(d.Exits, lboExit{e.Multiple, e.EnterpriseValue, e.Equity, e.MOIC, pointer(e.IRR)})
	}
	for _, t := range r.Targets {
		d.Targets = append(d.Targets, lboTarget{t.IRR, t.Equity, t.EnterpriseValue, pointer(t.Multiple)})
	}
	return d
}

type mergerRequest struct {
	AcquirerRevenue  float64  `json:"acquirerRevenue" doc:"In millions, as all amounts and share counts"`
	AcquirerEBITDA   float64  `json:"acquirerEBITDA"`
	AcquirerShares   float64  `json:"acquirerShares"`
	AcquirerNetDebt  float64  `json:"acquirerNetDebt"`
	AcquirerDA       float64  `json:"acquirerDA" doc:"Depreciation and amortisation; not looked at with compat, as interest, debtRate and cashYield"`
	AcquirerInterest float64  `json:"acquirerInterest"`
	TargetRevenue    float64  `json:"targetRevenue"`
	TargetEBITDA     float64  `json:"targetEBITDA"`
	TargetShares     float64  `json:"targetShares"`
	TargetNetDebt    float64  `json:"targetNetDebt"`
	TargetDA         float64  `json:"targetDA"`
	TargetInterest   float64  `json:"targetInterest"`
	PurchasePrice    float64  `json:"purchasePrice"`
	Cash             float64  `json:"cash" doc:"Percent of the price; sums to 100 with stock"`
	Stock            float64  `json:"stock"`
	SharePrice       *float64 `json:"acquirerSharePrice" doc:"At which new shares are issued; required with compat false where stock is above 0"`
	Synergies        float64  `json:"synergies" doc:"A year, before tax"`
	SynergyYears     int      `json:"synergyYears"`
	TaxRate          float64  `json:"taxRate"`
	DebtRate         float64  `json:"debtRate" doc:"Of the cash part, when it is borrowed"`
	CashYield        float64  `json:"cashYield" doc:"Lost on the cash part, when it is there"`
	IntegrationCost  float64  `json:"integrationCost"`
	DiscountRate     float64  `json:"discountRate" doc:"Of the synergies"`
	Compat           bool     `json:"compat"`
}

type mergerData struct {
	Params         mergerRequest `json:"params"`
	SharePrice     float64       `json:"sharePrice" doc:"At which new shares were issued: with compat the acquirer's revenue a share, as the original has it"`
	NewShares      float64       `json:"newShares"`
	EBITDA         float64       `json:"proFormaEBITDA"`
	NetIncome      float64       `json:"proFormaNetIncome"`
	EPSBefore      float64       `json:"preDealEPS"`
	EPS            float64       `json:"proFormaEPS"`
	Accretion      *float64      `json:"accretion" doc:"Decimal; null when there were no earnings before"`
	FromTarget     float64       `json:"targetContribution" doc:"A share"`
	FromSynergies  float64       `json:"synergyContribution"`
	PVSynergies    float64       `json:"pvSynergies"`
	NetDebt        float64       `json:"proFormaNetDebt"`
	PriceToEBITDA  *float64      `json:"evEbitda"`
	PriceToRevenue float64       `json:"evRevenue"`
	EVToEBITDA     *float64      `json:"proFormaEvEbitda"`
	ROIC           float64       `json:"roic"`
}

func mergerOperation() computation[mergerRequest, mergerData] {
	p := merger.Preset()
	a, t := p.Acquirer, p.Target
	return computation[mergerRequest, mergerData]{
		path: "/api/ma", id: "merger", engine: "merger", quick: true, summary: "What a purchase does to earnings per share",
		description: "{} or no body values the preset; each field given overrides it. compat, the default, reproduces the original, which issued shares at the acquirer's revenue a share.",
		preset: mergerRequest{AcquirerRevenue: a.Revenue, AcquirerEBITDA: a.EBITDA, AcquirerShares: a.Shares, AcquirerNetDebt: a.NetDebt,
			TargetRevenue: t.Revenue, TargetEBITDA: t.EBITDA, TargetShares: t.Shares, TargetNetDebt: t.NetDebt, PurchasePrice: p.PurchasePrice, Cash: p.Cash, Stock: p.Stock,
			Synergies: p.Synergies, SynergyYears: p.SynergyYears, TaxRate: p.TaxRate, DiscountRate: p.DiscountRate, Compat: p.Compat},
		compute: func(_ context.Context, r mergerRequest) (mergerData, error) {
			v, err := merger.Compute(merger.Inputs{
				Acquirer:      merger.Company{Revenue: r.AcquirerRevenue, EBITDA: r.AcquirerEBITDA, Shares: r.AcquirerShares, NetDebt: r.AcquirerNetDebt, DA: r.AcquirerDA, Interest: r.AcquirerInterest},
				Target:        merger.Company{Revenue: r.TargetRevenue, EBITDA: r.TargetEBITDA, Shares: r.TargetShares, NetDebt: r.TargetNetDebt, DA: r.TargetDA, Interest: r.TargetInterest},
				PurchasePrice: r.PurchasePrice, Cash: r.Cash, Stock: r.Stock, SharePrice: optional(r.SharePrice), Synergies: r.Synergies, SynergyYears: r.SynergyYears,
				TaxRate: r.TaxRate, DebtRate: r.DebtRate, CashYield: r.CashYield, IntegrationCost: r.IntegrationCost, DiscountRate: r.DiscountRate, Compat: r.Compat,
			})
			if err != nil {
				return mergerData{}, err
			}
			return mergerData{r, v.SharePrice, v.NewShares, v.EBITDA, v.NetIncome, v.EPSBefore, v.EPS, pointer(v.Accretion), v.FromTarget, v.FromSynergies, v.PVSynergies,
				v.NetDebt, pointer(v.PriceToEBITDA), v.PriceToRevenue, pointer(v.EVToEBITDA), v.ROIC}, nil
		},
	}
}
