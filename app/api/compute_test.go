package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// at follows a path of names and indices through decoded JSON.
func at(t testing.TB, v any, path string) any {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i := 0
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(x) {
				t.Fatalf("%s: no item %s", path, step)
			}
			v = x[i]
		default:
			t.Fatalf("%s: nothing at %s", path, step)
		}
	}
	return v
}

// TestComputationGoldens: the published figures through the interface. {} is the preset.
func TestComputationGoldens(t *testing.T) {
	s := start(t, nil)
	const returns = `{"returns": [-0.05,-0.03,-0.02,-0.01,-0.005,0,0.004,0.006,0.01,0.012,0.015,0.018,0.02,0.022,0.025,0.03,0.031,0.035,0.04,0.045]}`
	for _, c := range []struct {
		path, body string
		want       map[string]float64
	}{
		{"/api/dcf/sensitivity", `{}`, map[string]float64{"cells.0.0": 12.930567745, "cells.0.24": 21.558304856, "cells.24.0": 5.415529493, "cells.24.24": 6.888856391, "values1.24": .12}},
		{"/api/dcf/sensitivity", `{"param2": "s1Margin", "param2Min": 0.1, "param2Max": 0.2, "steps": 2, "metric": "equity"}`, map[string]float64{"values2.1": .15}},
		{"/api/dcf/solve", `{}`, map[string]float64{"value": .0842938039, "params.wacc": .0842938039}},
		{"/api/dcf/solve", `{"solveFor": "termGrowth"}`, map[string]float64{"value": .0328115385}},
		{"/api/montecarlo", `{"seed": "abc"}`, map[string]float64{"hash": 1040702015, "mean": 10.679991028, "median": 10.605513690, "p10": 9.152478706, "p90": 12.279715883}},
		{"/api/montecarlo", `{"seed": "golden", "trials": 10000}`, map[string]float64{"mean": 10.658650598, "min": 6.812020108, "max": 15.780636427}},
		{"/api/lbo", ``, map[string]float64{"metrics.wacd": .078, "metrics.leverageRatio": 1.5, "metrics.totalDebt": 600, "years.0.debt": 577.65, "years.1.debt": 549.221025}},
		{"/api/ma", `{}`, map[string]float64{"newShares": 32, "proFormaEBITDA": 300, "proFormaNetIncome": 195, "preDealEPS": 1.3, "proFormaNetDebt": 880, "proFormaEvEbitda": 5.6, "roic": .24375,
			"accretion": .13636363636363636, "pvSynergies": 75.81573538817}},
		{"/api/options/black-scholes", `{}`, map[string]float64{"value": 10.450583572, "greeks.delta": .636830651, "greeks.theta": -.017572678, "greeks.rho": .532324815}},
		{"/api/options/black-scholes", `{"kind": "put"}`, map[string]float64{"value": 5.573526022}},
		{"/api/options/binomial", `{"kind": "put", "american": true}`, map[string]float64{"value": 6.082354409}},
		{"/api/options/expansion", `{}`, map[string]float64{"value": 2047786.799}},
		{"/api/risk/var", returns, map[string]float64{"mean": .0099, "historicalVaR": -.031, "cvar": -.05, "parametricVaR": -.029730931}},
	} {
		t.Run(c.path+c.body[:min(len(c.body), 20)], func(t *testing.T) {
			var got map[string]any
			s.send("POST", c.path, c.body).into(t, 200, &got)
			if got["success"] != true {
				t.Errorf("%v", got["success"])
			}
			for path, want := range c.want {
				v, _ := at(t, got["data"], path).(float64)
				if within := 1e-9 * max(1, math.Abs(want)); !(math.Abs(v-want) <= within) {
					t.Errorf("%s is %.12f, want %.12f", path, v, want)
				}
			}
		})
	}
	var weights map[string]any
	s.send("POST", "/api/portfolio/optimize", `{"names": ["a", "b"], "returns": [[0.1, -0.1, 0.1, -0.1], [0.02, 0.02, -0.02, -0.02]]}`).into(t, 200, &weights)
	// Uncorrelated, with deviations of 5 to 1: the weights go as 1 to 25.
	near(t, "weight", at(t, weights["data"], "weights.0").(float64), 1.0/26)
}

func TestComputationRefusals(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		path, body string
		code       int
		location   string
	}{
		{"/api/dcf/sensitivity", `{"steps": 1}`, 422, "body.steps"},
		{"/api/dcf/sensitivity", `{"param1": "magic"}`, 422, "body.param1"},
		{"/api/dcf/sensitivity", `{"param1": "termGrowth"}`, 422, "body.param2"},
		{"/api/dcf/solve", `{"target": 1e6}`, 422, "body.target"},
		{"/api/dcf/solve", `{"solveFor": "taxRate"}`, 422, "body.solveFor"},
		{"/api/dcf/solve", `{"years": 99}`, 422, "body.years"},
		{"/api/montecarlo", `{"trials": 10001}`, 422, "body.trials"},
		{"/api/montecarlo", `{"volPP": 11}`, 422, "body.volPP"},
		{"/api/montecarlo", `{"marginVolPP": -1}`, 422, "body.marginVolPP"},
		{"/api/montecarlo", `{"seed": 5}`, 422, "body.seed"},
		{"/api/montecarlo", `{"seed": "` + strings.Repeat("x", 257) + `"}`, 422, "body.seed"},
		{"/api/lbo", `{"equityContribution": 2000}`, 422, "body.equityContribution"},
		{"/api/lbo", `{"years": 5.5}`, 422, "body.years"},
		{"/api/ma", `{"compat": false}`, 422, "body.acquirerSharePrice"},
		{"/api/ma", `{"cash": 10}`, 422, "body.stock"},
		{"/api/options/black-scholes", `{"kind": "maybe"}`, 422, "body.kind"},
		{"/api/options/binomial", `{"steps": 0}`, 422, "body.steps"},
		{"/api/options/expansion", `{"expansionMultiplier": 1}`, 422, "body.expansionMultiplier"},
		{"/api/options/abandonment", `{"salvageValue": -1}`, 422, "body.salvageValue"},
		{"/api/options/timing", `{"projectValue": 0}`, 422, "body.projectValue"},
		{"/api/risk/var", `{}`, 422, "body.returns"},
		{"/api/risk/var", `{"returns": [0.1, null]}`, 422, "body.returns[1]"},
		{"/api/risk/var", `{"returns": "0.1"}`, 422, "body.returns"},
		{"/api/portfolio/optimize", `{"returns": [[0.1, 0.2], [0.1]]}`, 422, "body.returns"},
		{"/api/portfolio/optimize", `{"returns": [[0.1, 0.2], [0.1, null]]}`, 422, "body.returns[1][1]"},
		{"/api/portfolio/optimize", `{"returns": [[0.1, 0.2], [0.2, 0.1]], "objective": "luck"}`, 422, "body.objective"},
		{"/api/portfolio/optimize", `{"returns": [[0.1, 0.2], [0.2, 0.1]], "names": ["one"]}`, 422, "body.names"},
		{"/api/lbo", `{"purchasePrice": 1e999}`, 422, "body.purchasePrice"},
		{"/api/lbo", `{"unknown": 1}`, 422, "body.unknown"},
		{"/api/lbo", `{`, 400, "body"},
	} {
		t.Run(c.path+c.body[:min(len(c.body), 30)], func(t *testing.T) {
			s.send("POST", c.path, c.body).refused(t, c.code, c.location)
		})
	}
}

// TestMonteCarloStream: progress comes while it runs, and the last event is what the JSON answer is.
func TestMonteCarloStream(t *testing.T) {
	s := start(t, nil)
	const body = `{"seed": "golden", "trials": 10000}`
	r := s.send("POST", "/api/montecarlo", body, "Accept", "text/event-stream")
	if r.code != 200 || r.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", r.code, r.header)
	}
	var events []string
	var last string
	for line := range strings.Lines(string(r.body)) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			events = append(events, strings.TrimSpace(name))
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			last = data
		}
	}
	if len(events) < 2 || events[0] != "progress" || events[len(events)-1] != "result" {
		t.Fatalf("events %v", events)
	}
	var streamed, whole map[string]any
	if err := json.Unmarshal([]byte(last), &streamed); err != nil {
		t.Fatal(err)
	}
	s.send("POST", "/api/montecarlo", body).into(t, 200, &whole)
	if fmt.Sprint(streamed) != fmt.Sprint(whole) {
		t.Errorf("streamed %v, whole %v", streamed, whole)
	}
	s.send("POST", "/api/montecarlo", `{"trials": 1}`, "Accept", "text/event-stream").refused(t, 422, "body.trials")
}

// TestClientLeavesMonteCarlo: who leaves ends the computation, which is counted as canceled and gives its processors back.
func TestClientLeavesMonteCarlo(t *testing.T) {
	s := start(t, nil)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/api/montecarlo", strings.NewReader(`{"trials": 10000}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/event-stream")
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(res.Body).ReadString('\n')
		cancel()
		_ = res.Body.Close()
	}
	ended := func() (n int) {
		for line := range strings.Lines(string(s.send("GET", "/metrics", "").body)) {
			for _, result := range []string{"ok", "canceled"} {
				v := 0
				if _, err := fmt.Sscanf(line, `valor_computations_total{engine="montecarlo",result="`+result+`"} %d`, &v); err == nil {
					n += v
				}
			}
		}
		return n
	}
	for deadline := time.Now().Add(time.Minute); ended() < 20; { // all of them end, and nobody holds a processor: the next one is computed
		if time.Now().After(deadline) {
			t.Fatalf("%d of 20 ended", ended())
		}
	}
	if r := s.send("POST", "/api/montecarlo", `{}`); r.code != 200 {
		t.Errorf("afterwards: %d %s", r.code, r.body)
	}
}

// FuzzComputations: whatever is sent is computed or refused, in JSON without NaN, and never a 5xx.
func FuzzComputations(f *testing.F) {
	paths := []string{"/api/dcf/sensitivity", "/api/dcf/solve", "/api/montecarlo", "/api/lbo", "/api/ma", "/api/options/black-scholes", "/api/options/binomial",
		"/api/options/expansion", "/api/options/abandonment", "/api/options/timing", "/api/risk/var", "/api/portfolio/optimize"}
	for i, seed := range []string{`{}`, `{"solveFor":"termGrowth","target":-3}`, `{"trials":100,"volPP":10,"compat":false}`, `{"purchasePrice":1e12,"equityContribution":1e-6,"debtRate":1}`,
		`{"volatility":0,"time":0}`, `{"volatility":5,"time":100,"rate":-0.5}`, `{"timeToExpiry":100,"volatility":5}`, `{"returns":[0,0]}`, `{"returns":[[0,0],[0,0]],"objective":"maxSharpe"}`,
		`{"acquirerEBITDA":-1,"targetEBITDA":0}`, `{"returns":[[-1,100],[100,-1]],"objective":"maxSharpe"}`} {
		f.Add(uint8(i), []byte(seed))
	}
	handler := start(f, nil).Config.Handler
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		path := paths[int(which)%len(paths)]
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(string(body))))
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s: %d %s for %q", path, w.Code, w.Body, body)
		}
	})
}
