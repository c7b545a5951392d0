package market

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds an answer of the provider, in bytes; a hundred days of prices are 20 KB, its largest about 2 MB.
const maxAnswer = 8 << 20

// years of statements that are kept.
const years = 5

// Remote is a provider that speaks Alpha Vantage's interface: GET BASE/query?function=…&symbol=…. Figures come as strings, in units; "None" is none.
type Remote struct {
	base   *url.URL
	key    string
	client *http.Client
}

// NewRemote makes one of a base URL, http or https, and a key, which is in no error. The client's connections are the caller's to close.
func NewRemote(base, key string, client *http.Client) (*Remote, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("make provider: the URL is not http(s)://HOST[/PATH]")
	}
	return &Remote{base: u.JoinPath("query"), key: key, client: client}, nil
}

// Name implements Provider.
func (r *Remote) Name() string { return r.base.Host }

// ask gets one function's answer into v.
func (r *Remote) ask(ctx context.Context, v any, function, ticker string, more ...string) error {
	q := url.Values{"function": {function}, "symbol": {ticker}, "apikey": {r.key}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	u := *r.base
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("ask for %s of %s: bad request", function, ticker)
	}
	res, err := r.client.Do(req)
	if err != nil {
		var with *url.Error // which has the key
		if errors.As(err, &with) {
			err = with.Err
		}
		return fmt.Errorf("ask for %s of %s: %w", function, ticker, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s of %s: %w", function, ticker, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("read %s of %s: more than %d bytes", function, ticker, maxAnswer)
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s of %s: %w", function, ticker, ErrUnknown)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("ask for %s of %s: answer %s", function, ticker, res.Status)
	}
	var said struct {
		Note, Information string // it has had enough of us
		Error             string `json:"Error Message"` // it does not know the ticker
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("read %s of %s: not JSON", function, ticker)
	}
	if said.Note != "" || said.Information != "" {
		return fmt.Errorf("ask for %s of %s: the provider's limit is reached", function, ticker)
	}
	if said.Error != "" || strings.TrimSpace(string(body)) == "{}" {
		return fmt.Errorf("%s of %s: %w", function, ticker, ErrUnknown)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read %s of %s: another shape", function, ticker)
	}
	return nil
}

// figure is a number as the provider writes it.
type figure string

// value is 0 for none and for what is no number.
func (f figure) value() float64 {
	v, err := strconv.ParseFloat(string(f), 64)
	if err != nil || v != v || v > 1e300 || v < -1e300 {
		return 0
	}
	return v
}

func (f figure) millions() float64 { return f.value() / 1e6 }

func (f figure) ratio() *float64 {
	if v := f.value(); v != 0 {
		return &v
	}
	return nil
}

// Company implements Provider.
func (r *Remote) Company(ctx context.Context, ticker string) (Company, error) {
	var a struct {
		Symbol, Name, Sector, Industry, Description, Currency          string
		MarketCapitalization, SharesOutstanding, Beta                  figure
		PERatio, PriceToBookRatio, PriceToSalesRatioTTM, DividendYield figure
	}
	if err := r.ask(ctx, &a, "OVERVIEW", ticker); err != nil {
		return Company{}, err
	}
	if a.Symbol == "" {
		return Company{}, fmt.Errorf("overview of %s: %w", ticker, ErrUnknown)
	}
	return Company{
		Ticker: ticker, Name: a.Name, Sector: a.Sector, Industry: a.Industry, Description: a.Description, Currency: a.Currency,
		MarketCap: a.MarketCapitalization.millions(), SharesOutstanding: a.SharesOutstanding.millions(), Beta: a.Beta.value(),
		Ratios: Ratios{a.PERatio.ratio(), a.PriceToBookRatio.ratio(), a.PriceToSalesRatioTTM.ratio(), a.DividendYield.ratio()},
	}, nil
}

// annual is the answer of the three statements; each has some of the fields.
type annual struct {
	Reports []struct {
		Year         string `json:"fiscalDateEnding"`
		Revenue      figure `json:"totalRevenue"`
		GrossProfit  figure `json:"grossProfit"`
		EBIT         figure `json:"ebit"`
		NetIncome    figure `json:"netIncome"`
		Assets       figure `json:"totalAssets"`
		Current      figure `json:"totalCurrentAssets"`
		CurrentOwed  figure `json:"totalCurrentLiabilities"`
		Debt         figure `json:"shortLongTermDebtTotal"`
		Cash         figure `json:"cashAndCashEquivalentsAtCarryingValue"`
		Equity       figure `json:"totalShareholderEquity"`
		Operating    figure `json:"operatingCashflow"`
		Expenditures figure `json:"capitalExpenditures"`
		Dividends    figure `json:"dividendPayout"`
	} `json:"annualReports"`
}

// Statements implements Provider. Its three questions come one after another: providers count how many come at once.
func (r *Remote) Statements(ctx context.Context, ticker string) (Statements, error) {
	var income, balance, cash annual
	for _, q := range []struct {
		function string
		into     *annual
	}{{"INCOME_STATEMENT", &income}, {"BALANCE_SHEET", &balance}, {"CASH_FLOW", &cash}} {
		if err := r.ask(ctx, q.into, q.function, ticker); err != nil {
			return Statements{}, err
		}
		q.into.Reports = q.into.Reports[:min(len(q.into.Reports), years)]
	}
	if len(income.Reports) == 0 {
		return Statements{}, fmt.Errorf("statements of %s: %w", ticker, ErrUnknown)
	}
	s := Statements{Income: []Income{}, Balance: []Balance{}, CashFlow: []CashFlow{}}
	for _, a := range income.Reports {
		s.Income = append(s.Income, Income{a.Year, a.Revenue.millions(), a.GrossProfit.millions(), a.EBIT.millions(), a.NetIncome.millions()})
	}
	for _, a := range balance.Reports {
		s.Balance = append(s.Balance, Balance{a.Year, a.Assets.millions(), a.Current.millions(), a.CurrentOwed.millions(), a.Debt.millions(), a.Cash.millions(), a.Equity.millions()})
	}
	for _, a := range cash.Reports {
		operating, spent := a.Operating.millions(), a.Expenditures.millions()
		s.CashFlow = append(s.CashFlow, CashFlow{a.Year, operating, spent, operating - spent, a.Dividends.millions()})
	}
	return s, nil
}

// Prices implements Provider.
func (r *Remote) Prices(ctx context.Context, ticker, interval string) ([]Price, error) {
	function, more := "TIME_SERIES_"+strings.ToUpper(interval), []string(nil)
	if interval == Daily {
		more = []string{"outputsize", "compact"}
	}
	var a map[string]json.RawMessage
	if err := r.ask(ctx, &a, function, ticker, more...); err != nil {
		return nil, err
	}
	list := []Price{}
	for name, raw := range a {
		if !strings.Contains(name, "Time Series") { // "Time Series (Daily)", "Weekly Time Series"
			continue
		}
		var days map[string]struct {
			Open   figure `json:"1. open"`
			High   figure `json:"2. high"`
			Low    figure `json:"3. low"`
			Close  figure `json:"4. close"`
			Volume figure `json:"5. volume"`
		}
		if err := json.Unmarshal(raw, &days); err != nil {
			return nil, fmt.Errorf("read %s of %s: another shape", function, ticker)
		}
		for date, p := range days {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				return nil, fmt.Errorf("read %s of %s: another shape", function, ticker)
			}
			list = append(list, Price{date, p.Open.value(), p.High.value(), p.Low.value(), p.Close.value(), p.Volume.value()})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("prices of %s: %w", ticker, ErrUnknown)
	}
	slices.SortFunc(list, func(a, b Price) int { return strings.Compare(a.Date, b.Date) })
	return list[max(0, len(list)-100):], nil
}
