package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/market"
)

type tickerInput struct {
	Ticker string `path:"ticker" maxLength:"16" pattern:"^[A-Za-z0-9._^=-]{1,16}$" doc:"In any case"`
}

type pricesInput struct {
	Ticker   string `path:"ticker" maxLength:"16" pattern:"^[A-Za-z0-9._^=-]{1,16}$" doc:"In any case"`
	Interval string `query:"interval" default:"daily" enum:"daily,weekly,monthly"`
}

// source is what every answer says about its figures.
type source struct {
	Provider string    `json:"provider"`
	AsOf     time.Time `json:"as_of" doc:"When the provider gave them"`
	Units    string    `json:"units" enum:"millions" doc:"Of money and shares, but not of prices"`
}

type marketOutput[T any] struct {
	XCache string `header:"X-Cache" doc:"HIT, MISS, or STALE for figures older than they should be: new ones are being fetched, or the provider does not answer"`
	Age    int    `header:"Age" doc:"Seconds since the provider gave the figures"`
	Body   struct {
		Success bool   `json:"success"`
		Data    T      `json:"data"`
		Source  source `json:"source"`
	}
}

type figuresData struct {
	Ticker            string            `json:"ticker"`
	Name              string            `json:"company_name"`
	Sector            string            `json:"sector"`
	Industry          string            `json:"industry"`
	Description       string            `json:"description"`
	Currency          string            `json:"currency"`
	MarketCap         float64           `json:"market_cap"`
	SharesOutstanding float64           `json:"shares_outstanding"`
	Beta              float64           `json:"beta"`
	Ratios            market.Ratios     `json:"ratios"`
	Revenue           float64           `json:"revenue" doc:"This and the next four of the newest year"`
	EBIT              float64           `json:"ebit"`
	NetIncome         float64           `json:"net_income"`
	TotalDebt         float64           `json:"total_debt"`
	Cash              float64           `json:"cash"`
	Income            []market.Income   `json:"income_statement" nullable:"false" doc:"Up to five years, newest first"`
	Balance           []market.Balance  `json:"balance_sheet" nullable:"false"`
	CashFlow          []market.CashFlow `json:"cash_flow" nullable:"false"`
}

type dcfInputsData struct {
	Ticker   string     `json:"ticker"`
	Currency string     `json:"currency"`
	Inputs   CaseFields `json:"inputs" doc:"A body for POST /api/dcf"`
}

type pricesData struct {
	Ticker   string         `json:"ticker"`
	Interval string         `json:"interval"`
	Prices   []market.Price `json:"prices" nullable:"false" doc:"Oldest first"`
}

// describeMarket registers /api/financial-data.
func describeMarket(a huma.API, s *service) {
	op := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/financial-data/{ticker}" + path, Tags: []string{"market"}, Summary: summary, Description: description,
			RejectUnknownQueryParameters: true, Errors: []int{401, 404, 422, 500, 503}, Middlewares: huma.Middlewares{s.needsUser}, Security: bearer()}
	}
	huma.Register(a, op("financialData", "", "Figures of a company", "Overview and up to five years of statements."), s.figures)
	huma.Register(a, op("dcfInputs", "/dcf-inputs", "What a valuation takes from the figures", "Derived from the newest year; tax rate, discount rate, terminal growth, decay and years are "+
		"conventions to be changed."), s.dcfInputs)
	huma.Register(a, op("historicalPrices", "/historical-prices", "Prices of a share", "The last 100 days, 52 weeks or 24 months, or as many as the provider has."), s.historicalPrices)
}

func (s *service) figures(ctx context.Context, in *tickerInput) (*marketOutput[figuresData], error) {
	c, st, fresh, err := s.companyFigures(ctx, in.Ticker)
	if err != nil {
		return nil, s.noFigures(ctx, in.Ticker, err)
	}
	d := figuresData{
		Ticker: c.Ticker, Name: c.Name, Sector: c.Sector, Industry: c.Industry, Description: c.Description, Currency: c.Currency, MarketCap: c.MarketCap,
		SharesOutstanding: c.SharesOutstanding, Beta: c.Beta, Ratios: c.Ratios, Income: st.Income, Balance: st.Balance, CashFlow: st.CashFlow,
	}
	if len(st.Income) > 0 {
		d.Revenue, d.EBIT, d.NetIncome = st.Income[0].Revenue, st.Income[0].EBIT, st.Income[0].NetIncome
	}
	if len(st.Balance) > 0 {
		d.TotalDebt, d.Cash = st.Balance[0].TotalDebt, st.Balance[0].Cash
	}
	return answered(s, d, fresh), nil
}

func (s *service) dcfInputs(ctx context.Context, in *tickerInput) (*marketOutput[dcfInputsData], error) {
	c, st, fresh, err := s.companyFigures(ctx, in.Ticker)
	if err != nil {
		return nil, s.noFigures(ctx, in.Ticker, err)
	}
	derived, err := market.DCFInputs(c, st)
	if err != nil {
		return nil, s.noFigures(ctx, in.Ticker, err)
	}
	return answered(s, dcfInputsData{c.Ticker, c.Currency, caseOf(derived)}, fresh), nil
}

// caseOf adds the conventions of the original to what the figures say. Stages are taken away, so that the company-wide drivers apply, but for working
// capital, which has no such driver.
func caseOf(in market.Inputs) CaseFields {
	f := toFields(dcf.Preset())
	f.Revenue, f.GrowthY1, f.EBITMargin, f.SalesToCap, f.Shares, f.NetDebt = in.Revenue, in.GrowthY1, in.EBITMargin, in.SalesToCap, in.Shares, in.NetDebt
	f.GrowthDecay, f.WACC, f.TermGrowth, f.Years, f.Stage1End, f.Stage2End, f.TaxRate = .015, .09, .025, 7, 3, 6, .25
	f.S1Growth, f.S1Margin, f.S1S2C = nil, nil, nil
	f.S2Growth, f.S2Margin, f.S2S2C = nil, nil, nil
	f.S3Growth, f.S3Margin, f.S3S2C = nil, nil, nil
	one, two, three := in.WorkingCapital, in.WorkingCapital, in.WorkingCapital
	f.S1NWC, f.S2NWC, f.S3NWC = &one, &two, &three
	return f
}

func (s *service) historicalPrices(ctx context.Context, in *pricesInput) (*marketOutput[pricesData], error) {
	ticker := strings.ToUpper(in.Ticker)
	list, fresh, err := s.Market.Prices(ctx, ticker, in.Interval)
	if err != nil {
		return nil, s.noFigures(ctx, in.Ticker, err)
	}
	return answered(s, pricesData{ticker, in.Interval, list}, fresh), nil
}

// companyFigures are of two kinds; together they are as fresh as the older.
func (s *service) companyFigures(ctx context.Context, ticker string) (market.Company, market.Statements, market.Freshness, error) {
	ticker = strings.ToUpper(ticker)
	c, fresh, err := s.Market.Company(ctx, ticker)
	if err != nil {
		return c, market.Statements{}, fresh, err
	}
	st, other, err := s.Market.Statements(ctx, ticker)
	for _, worse := range []string{market.Miss, market.Stale} {
		if other.Cache == worse || fresh.Cache == worse {
			fresh.Cache = worse
		}
	}
	fresh.Age = max(fresh.Age, other.Age)
	return c, st, fresh, err
}

func answered[T any](s *service, data T, fresh market.Freshness) *marketOutput[T] {
	out := &marketOutput[T]{XCache: fresh.Cache, Age: int(fresh.Age / time.Second)}
	out.Body.Success, out.Body.Data = true, data
	out.Body.Source = source{s.Market.Provider.Name(), s.Now().Add(-fresh.Age).UTC(), "millions"}
	return out
}

// noFigures turns an error into an answer. That a third party does not answer is no fault of ours, and neither is it the client's.
func (s *service) noFigures(ctx context.Context, ticker string, err error) error {
	var wait *market.UnavailableError
	switch {
	case errors.Is(err, market.ErrUnknown):
		detail := "there are no figures of " + strings.ToUpper(ticker)
		if f, ok := s.Market.Provider.(*market.Fixtures); ok {
			detail += "; there are those of " + strings.Join(f.Tickers(), ", ")
		}
		return problem(http.StatusNotFound, detail)
	case errors.As(err, &wait):
		seconds := max(1, int(math.Ceil(wait.RetryAfter.Seconds())))
		return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable, "the provider of figures does not answer"), http.Header{"Retry-After": {strconv.Itoa(seconds)}})
	}
	return s.internal(ctx, err)
}
