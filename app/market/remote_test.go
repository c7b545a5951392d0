package market_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/valor-ivx/weir/app/market"
)

const apiKey = "s3cret-key"

// answers is what a fake of Alpha Vantage says, by function; X is a company that there is.
func answers() map[string]string {
	return map[string]string{
		"OVERVIEW": `{"Symbol": "X", "Name": "Example", "Sector": "TECH", "Industry": "TOOLS", "Description": "d", "Currency": "USD", "MarketCapitalization": "2000000000",
			"SharesOutstanding": "50000000", "Beta": "1.25", "PERatio": "None", "PriceToBookRatio": "3.5", "PriceToSalesRatioTTM": "-", "DividendYield": "0"}`,
		"INCOME_STATEMENT": `{"symbol": "X", "annualReports": [
			{"fiscalDateEnding": "2025-12-31", "totalRevenue": "800000000", "grossProfit": "400000000", "ebit": "160000000", "netIncome": "None"},
			{"fiscalDateEnding": "2024-12-31", "totalRevenue": "640000000", "grossProfit": "300000000", "ebit": "100000000", "netIncome": "70000000"},
			{}, {}, {}, {}, {}], "quarterlyReports": []}`,
		"BALANCE_SHEET": `{"symbol": "X", "annualReports": [{"fiscalDateEnding": "2025-12-31", "totalAssets": "1000000000", "totalCurrentAssets": "300000000",
			"totalCurrentLiabilities": "260000000", "shortLongTermDebtTotal": "200000000", "cashAndCashEquivalentsAtCarryingValue": "50000000", "totalShareholderEquity": "500000000"}]}`,
		"CASH_FLOW":          `{"symbol": "X", "annualReports": [{"fiscalDateEnding": "2025-12-31", "operatingCashflow": "120000000", "capitalExpenditures": "40000000", "dividendPayout": "None"}]}`,
		"TIME_SERIES_DAILY":  `{"Meta Data": {"2. Symbol": "X"}, "Time Series (Daily)": {"2025-12-31": {"1. open": "10.5", "2. high": "11", "3. low": "10", "4. close": "10.75", "5. volume": "1000"}, "2025-12-30": {"4. close": "10.5"}}}`,
		"TIME_SERIES_WEEKLY": `{"Meta Data": {}, "Weekly Time Series": {"2025-12-26": {"4. close": "10"}}}`,
	}
}

func fake(t *testing.T, say func(w http.ResponseWriter, r *http.Request)) *market.Remote {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(say))
	t.Cleanup(s.Close)
	p, err := market.NewRemote(s.URL+"/v1", apiKey, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRemote(t *testing.T) {
	p := fake(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/v1/query" || q.Get("apikey") != apiKey || q.Get("symbol") != "X" {
			t.Errorf("asked %s", r.URL)
		}
		_, _ = io.WriteString(w, answers()[q.Get("function")])
	})
	c, err := p.Company(t.Context(), "X")
	book := 3.5
	want := market.Company{Ticker: "X", Name: "Example", Sector: "TECH", Industry: "TOOLS", Description: "d", Currency: "USD", MarketCap: 2000, SharesOutstanding: 50, Beta: 1.25,
		Ratios: market.Ratios{PriceToBook: &book}}
	if d := cmp.Diff(want, c); d != "" || err != nil {
		t.Error(err, d)
	}
	s, err := p.Statements(t.Context(), "X")
	if err != nil || len(s.Income) != 5 || s.Income[0] != (market.Income{Year: "2025-12-31", Revenue: 800, GrossProfit: 400, EBIT: 160}) || s.CashFlow[0].Free != 80 {
		t.Errorf("%+v, %v", s, err)
	}
	in, err := market.DCFInputs(c, s)
	for name, v := range map[string][2]float64{"revenue": {in.Revenue, 800}, "growth": {in.GrowthY1, .25}, "margin": {in.EBITMargin, .2}, "sales to capital": {in.SalesToCap, .8},
		"shares": {in.Shares, 50}, "net debt": {in.NetDebt, 150}, "working capital": {in.WorkingCapital, .05}} {
		if math.Abs(v[0]-v[1]) > 1e-12 || err != nil {
			t.Errorf("%s: %v, want %v, %v", name, v[0], v[1], err)
		}
	}
	daily, err := p.Prices(t.Context(), "X", market.Daily)
	if err != nil || len(daily) != 2 || daily[0].Date != "2025-12-30" || daily[1] != (market.Price{Date: "2025-12-31", Open: 10.5, High: 11, Low: 10, Close: 10.75, Volume: 1000}) {
		t.Errorf("%+v, %v", daily, err)
	}
	if weekly, err := p.Prices(t.Context(), "X", market.Weekly); err != nil || len(weekly) != 1 {
		t.Errorf("%+v, %v", weekly, err)
	}
}

// TestRemoteFails: what a provider can say instead of figures is unknown or a failure, never figures; and no error has the key.
func TestRemoteFails(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		unknown bool
	}{
		"empty object": {200, "{}", true}, "no such symbol": {200, `{"Error Message": "Invalid API call for ` + apiKey + `"}`, true}, "404": {404, "", true},
		"other object": {200, `{"x": 1}`, true}, "limit": {200, `{"Note": "5 calls a minute, key ` + apiKey + `"}`, false}, "limit, newer": {200, `{"Information": "premium"}`, false},
		"error": {500, "{}", false}, "redirect": {302, "", false}, "empty": {200, "", false}, "HTML": {200, "<html>", false}, "another shape": {200, `{"annualReports": 1, "Symbol": [], "Time Series (Daily)": []}`, false},
		"bad date": {200, `{"annualReports": "x", "Symbol": 1, "Time Series (Daily)": {"yesterday": {}}}`, false},
		"too big":  {200, `{"Symbol": "` + strings.Repeat("x", 9<<20) + `"}`, false},
	} {
		p := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if c.status == http.StatusFound {
				http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", c.status)
				return
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err1 := p.Company(t.Context(), "X")
		_, err2 := p.Statements(t.Context(), "X")
		_, err3 := p.Prices(t.Context(), "X", market.Daily)
		for i, err := range []error{err1, err2, err3} {
			if err == nil || errors.Is(err, market.ErrUnknown) != c.unknown || strings.Contains(err.Error(), apiKey) {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	p, err := market.NewRemote(gone.URL, apiKey, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Company(t.Context(), "X"); err == nil || errors.Is(err, market.ErrUnknown) || strings.Contains(err.Error(), apiKey) {
		t.Errorf("nobody there: %v", err)
	}
	for _, url := range []string{"", "ftp://x", "http://", "http://u:p@x", "https://x?apikey=1", "://", "x"} {
		if _, err := market.NewRemote(url, apiKey, nil); err == nil {
			t.Errorf("%q was taken", url)
		}
	}
}

// FuzzRemote: whatever a provider says, there is no panic, and figures are finite.
func FuzzRemote(f *testing.F) {
	for _, body := range answers() {
		f.Add(body)
	}
	f.Add(`{"annualReports": [{"totalRevenue": "1e999", "ebit": "NaN"}], "Symbol": "X"}`)
	f.Fuzz(func(t *testing.T, body string) {
		p, err := market.NewRemote("http://provider.test", apiKey, &http.Client{Transport: says(body)})
		if err != nil {
			t.Fatal(err)
		}
		c, err1 := p.Company(t.Context(), "X")
		s, err2 := p.Statements(t.Context(), "X")
		list, _ := p.Prices(t.Context(), "X", market.Daily)
		if err1 == nil && err2 == nil {
			_, _ = market.DCFInputs(c, s)
		}
		if text := fmt.Sprintf("%v %v %v", c, s, list); strings.Contains(text, "NaN") && !strings.Contains(body, "NaN") || strings.Contains(text, "Inf") && !strings.Contains(body, "Inf") {
			t.Errorf("not finite: %s", text)
		}
	})
}

// says is a transport with one answer.
type says string

func (s says) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(s))), Header: http.Header{}}, nil
}
