package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/market"
)

type figures struct {
	Success bool
	Data    struct {
		Ticker string
		Name   string `json:"company_name"`
		Income []struct {
			Revenue float64
		} `json:"income_statement"`
		Revenue float64
		Inputs  json.RawMessage
		Prices  []struct{ Date string }
	}
	Source struct {
		Provider, Units string
		AsOf            time.Time `json:"as_of"`
	}
}

func TestFinancialData(t *testing.T) {
	s := start(t, nil)
	var f figures
	r := s.send("GET", "/api/financial-data/nord", "")
	r.into(t, 200, &f)
	if !f.Success || f.Data.Ticker != "NORD" || f.Data.Name != "Nordwind Industries" || len(f.Data.Income) != 5 || f.Data.Revenue != f.Data.Income[0].Revenue ||
		f.Source.Units != "millions" || f.Source.Provider != "fixtures" || f.Source.AsOf.IsZero() || r.header.Get("X-Cache") != "MISS" || r.header.Get("Age") != "0" {
		t.Errorf("%+v %v", f, r.header)
	}
	if r := s.send("GET", "/api/financial-data/NORD", ""); r.header.Get("X-Cache") != "HIT" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("again: %v", r.header)
	}
	// What it says a valuation takes, a valuation takes, of every company that ships.
	for _, ticker := range []string{"ATLS", "HELX", "NORD", "QNTA", "VRDE"} {
		var in figures
		s.send("GET", "/api/financial-data/"+ticker+"/dcf-inputs", "").into(t, 200, &in)
		var worth struct {
			Data struct {
				Params struct{ Revenue, GrowthY1, WACC, TaxRate, S1NWC *float64 }
				Totals struct{ PerShare float64 }
			}
		}
		s.send("POST", "/api/dcf", string(in.Data.Inputs)).into(t, 200, &worth)
		if p := worth.Data.Params; p.Revenue == nil || *p.Revenue <= 0 || *p.WACC != .09 || *p.TaxRate != .25 || p.S1NWC == nil {
			t.Errorf("%s: %s", ticker, in.Data.Inputs)
		}
		if !strings.Contains(string(in.Data.Inputs), `"s1Growth":null`) {
			t.Errorf("%s has the preset's growth: %s", ticker, in.Data.Inputs)
		}
	}
	for path, n := range map[string]int{"": 100, "?interval=daily": 100, "?interval=weekly": 52, "?interval=monthly": 24} {
		var p figures
		s.send("GET", "/api/financial-data/QNTA/historical-prices"+path, "").into(t, 200, &p)
		if len(p.Data.Prices) != n || p.Data.Prices[n-1].Date != "2025-12-31" {
			t.Errorf("%s: %d prices", path, len(p.Data.Prices))
		}
	}
	for path, want := range map[string]int{"NONE": 404, "NONE/dcf-inputs": 404, "NONE/historical-prices": 404, "nord%20": 422, "%3Cscript%3E": 422, strings.Repeat("A", 17): 422, "NORD?x=1": 422,
		"NORD/historical-prices?interval=hourly": 422, "NORD/nothing": 404} {
		if p := s.send("GET", "/api/financial-data/"+path, "").refused(t, want, ""); path == "NONE" && !strings.Contains(p.Detail, "ATLS") {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for _, line := range []string{`valor_financial_data_requests_total{kind="company",result="unknown"} 2`, `valor_financial_data_requests_total{kind="prices",result="miss"} 3`,
		`valor_financial_data_requests_total{kind="statements",result="failed"} 0`, `valor_provider_circuit_breaker_state 0`} {
		s.scraped(line)
	}
}

func TestFinancialDataNeedsAUser(t *testing.T) {
	s := start(t, production)
	s.send("GET", "/api/financial-data/NORD", "").refused(t, 401, "")
	if r := s.as(s.register("ann").AccessToken, "GET", "/api/financial-data/NORD", ""); r.code != 200 {
		t.Errorf("%d %s", r.code, r.body)
	}
}

// broken is a provider that does not work.
type broken struct{ market.Provider }

func (broken) Name() string { return "broken" }

func (broken) Company(context.Context, string) (market.Company, error) {
	return market.Company{}, errors.New("SECRET of the provider")
}

func (broken) Prices(context.Context, string, string) ([]market.Price, error) {
	return nil, errors.New("SECRET of the provider")
}

// TestProviderThatFails: 503 with when to come back, no word of why, and a service that is as ready as before.
func TestProviderThatFails(t *testing.T) {
	s := start(t, func(o *api.Options) {
		m, err := market.New(market.Options{Provider: broken{}, Metrics: o.Metrics.Market, Log: zap.NewNop(), Now: o.Now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		o.Market = m
	})
	for i := range 8 {
		for _, path := range []string{"X", "X/dcf-inputs", "X/historical-prices"} {
			r := s.send("GET", "/api/financial-data/"+path, "")
			r.refused(t, http.StatusServiceUnavailable, "")
			if r.header.Get("Retry-After") == "" || strings.Contains(string(r.body), "SECRET") {
				t.Errorf("%d: %v %s", i, r.header, r.body)
			}
		}
	}
	var ready struct{ Status string }
	s.send("GET", "/api/readiness", "").into(t, 200, &ready)
	if ready.Status != "ready" {
		t.Errorf("%+v", ready)
	}
	s.scraped(fmt.Sprintf(`valor_provider_circuit_breaker_state %d`, market.Open))
}
