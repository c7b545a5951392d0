// Package market gets figures of companies from a provider and keeps them: fresh ones for as long as their kind allows, older ones while new ones are fetched,
// and the last known ones when the provider does not answer.
//
// It ships a provider of its own, five invented companies, so that nothing needs the network. It refuses to guess: what a provider does not know is nothing.
package market

import (
	"context"
	"errors"
	"fmt"
)

// Errors of providers and of Service.
var (
	// ErrUnknown says that there are no such figures.
	ErrUnknown = errors.New("no such figures")
	// ErrUnavailable says that the provider did not answer, or was not asked because it did not lately, and nothing is known from before.
	ErrUnavailable = errors.New("the provider of figures does not answer")
)

// Intervals of prices.
const (
	Daily   = "daily"
	Weekly  = "weekly"
	Monthly = "monthly"
)

// Provider has figures. Its methods fail with ErrUnknown for what there is not, and with anything else for a fault of its own.
type Provider interface {
	Name() string
	Company(ctx context.Context, ticker string) (Company, error)
	Statements(ctx context.Context, ticker string) (Statements, error)
	Prices(ctx context.Context, ticker, interval string) ([]Price, error)
}

// Company is what hardly changes. Money and shares are in millions.
type Company struct {
	Ticker            string  `json:"ticker"`
	Name              string  `json:"company_name"`
	Sector            string  `json:"sector"`
	Industry          string  `json:"industry"`
	Description       string  `json:"description"`
	Currency          string  `json:"currency"`
	MarketCap         float64 `json:"market_cap"`
	SharesOutstanding float64 `json:"shares_outstanding"`
	Beta              float64 `json:"beta"`
	Ratios            Ratios  `json:"ratios"`
}

// Ratios are null where they mean nothing.
type Ratios struct {
	PriceToEarnings *float64 `json:"price_to_earnings"`
	PriceToBook     *float64 `json:"price_to_book"`
	PriceToSales    *float64 `json:"price_to_sales"`
	DividendYield   *float64 `json:"dividend_yield"`
}

// Statements are up to five years, newest first, in millions. Income has at least one.
type Statements struct {
	Income   []Income   `json:"income"`
	Balance  []Balance  `json:"balance"`
	CashFlow []CashFlow `json:"cash_flow"`
}

// Income is a year's.
type Income struct {
	Year        string  `json:"fiscal_year_end"` // 2025-12-31
	Revenue     float64 `json:"revenue"`
	GrossProfit float64 `json:"gross_profit"`
	EBIT        float64 `json:"ebit"`
	NetIncome   float64 `json:"net_income"`
}

// Balance is of the end of a year.
type Balance struct {
	Year               string  `json:"fiscal_year_end"`
	TotalAssets        float64 `json:"total_assets"`
	CurrentAssets      float64 `json:"current_assets"`
	CurrentLiabilities float64 `json:"current_liabilities"`
	TotalDebt          float64 `json:"total_debt"`
	Cash               float64 `json:"cash"`
	Equity             float64 `json:"equity"`
}

// CashFlow is a year's. Free is what operations brought less capital expenditures.
type CashFlow struct {
	Year                string  `json:"fiscal_year_end"`
	Operating           float64 `json:"operating_cash_flow"`
	CapitalExpenditures float64 `json:"capital_expenditures"`
	Free                float64 `json:"free_cash_flow"`
	Dividends           float64 `json:"dividends"`
}

// Price is of one day, or of the last day of a week or month.
type Price struct {
	Date   string  `json:"date"` // 2025-12-31
	Open   float64 `json:"open"`
	High   float64 `json:"high"`
	Low    float64 `json:"low"`
	Close  float64 `json:"close"`
	Volume float64 `json:"volume"`
}

// Inputs are what a discounted cash flow takes from the figures. The rest is convention: it is the reader's to change.
type Inputs struct {
	Revenue, GrowthY1, EBITMargin, SalesToCap, Shares, NetDebt, WorkingCapital float64
}

// Ranges that a valuation takes; figures beyond them are brought to their ends.
const (
	defaultSalesToCap = 2.5
	maxSalesToCap     = 10
	maxGrowth         = 10
)

// DCFInputs derives them from the newest year.
func DCFInputs(c Company, s Statements) (Inputs, error) {
	if len(s.Income) == 0 || s.Income[0].Revenue <= 0 || c.SharesOutstanding <= 0 {
		return Inputs{}, fmt.Errorf("derive inputs of %s: no revenue or no shares: %w", c.Ticker, ErrUnknown)
	}
	now := s.Income[0]
	in := Inputs{Revenue: now.Revenue, EBITMargin: clamp(now.EBIT/now.Revenue, -10, 10), SalesToCap: defaultSalesToCap, Shares: c.SharesOutstanding}
	if len(s.Income) > 1 && s.Income[1].Revenue > 0 {
		in.GrowthY1 = clamp(now.Revenue/s.Income[1].Revenue-1, -1, maxGrowth)
	}
	if len(s.Balance) > 0 {
		b := s.Balance[0]
		in.NetDebt = b.TotalDebt - b.Cash
		// Less than nothing is bound by customers who pay early; a valuation counts that as nothing.
		in.WorkingCapital = clamp((b.CurrentAssets-b.CurrentLiabilities)/now.Revenue, 0, 10)
		if b.TotalAssets > 0 {
			in.SalesToCap = clamp(now.Revenue/b.TotalAssets, .01, maxSalesToCap)
		}
	}
	return in, nil
}

func clamp(v, low, high float64) float64 { return min(max(v, low), high) }
