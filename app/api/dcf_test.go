package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type dcfReply struct {
	Success bool
	Data    struct {
		Compat   bool
		Params   map[string]any
		Series   map[string][]float64
		Totals   map[string]float64
		KPIs     map[string]*float64
		Warnings []struct{ Field, Message string }
	}
}

func TestDCFValues(t *testing.T) {
	noStages := `{"s1Growth":null,"s1Margin":null,"s1S2C":null,"s1NWC":null,"s2Growth":null,"s2Margin":null,
		"s2S2C":null,"s2NWC":null,"s3Growth":null,"s3Margin":null,"s3S2C":null,"s3NWC":null}`
	s := start(t, nil)
	for _, c := range []struct {
		name, body string
		perShare   float64
	}{
		{"preset", `{}`, 10.637192004},
		{"no body", ``, 10.637192004},
		{"blanks", " {\n} ", 10.637192004},
		{"explicit compat", `{"compat": true}`, 10.637192004},
		{"floors lifted, none in reach", `{"compat": false}`, 10.637192004},
		{"multiple", `{"tvMethod": "multiple", "tvMultipleVal": 12}`, 8.573111842},
		{"without stage fields", noStages, 8.803111547},
		{"corner of the grid", `{"wacc": 0.07, "termGrowth": 0.035}`, 21.558304856},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got dcfReply
			s.send("POST", "/api/dcf", c.body).into(t, 200, &got)
			near(t, "perShare", got.Data.Totals["perShare"], c.perShare)
			if !got.Success || got.Data.Compat != !strings.Contains(c.body, "false") {
				t.Errorf("success %v, compat %v", got.Success, got.Data.Compat)
			}
		})
	}
}

func TestDCFShape(t *testing.T) {
	s := start(t, nil)
	var got dcfReply
	s.send("POST", "/api/dcf", `{"years": 5, "stage1End": 2, "stage2End": 4, "s3NWC": null, "compat": false, "s1Growth": -0.1}`).into(t, 200, &got)
	for _, name := range strings.Fields("rev growths margins ebit nopat nwcRatio nwc deltaNwc capexProxy reinvest fcff pvFcff") {
		if len(got.Data.Series[name]) != 5 {
			t.Errorf("series %s has %d years, want 5", name, len(got.Data.Series[name]))
		}
	}
	near(t, "first revenue", got.Data.Series["rev"][0], 450)
	if got.Data.Compat || len(got.Data.Params) != 27 || got.Data.Params["s3NWC"] != nil || got.Data.Params["wacc"] != .09 {
		t.Errorf("compat %v, params %v", got.Data.Compat, got.Data.Params)
	}
	if len(got.Data.Warnings) == 0 || got.Data.Warnings[0].Field != "s1Growth" {
		t.Errorf("warnings %v", got.Data.Warnings)
	}
	var loss dcfReply
	s.send("POST", "/api/dcf", `{"compat": false, "s1Margin": -0.3}`).into(t, 200, &loss)
	if v, there := loss.Data.KPIs["fcffCAGR"]; !there || v != nil {
		t.Errorf("fcffCAGR %v, present %v: want null", v, there)
	}
}

func TestDCFRefusals(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		name, body string
		code       int
		location   string
		message    string
	}{
		{"terminal growth at wacc", `{"termGrowth": 0.09}`, 422, "body.termGrowth", "must be below wacc"},
		{"years", `{"years": 16}`, 422, "body.years", "must be from 3 to 15"},
		{"stage past the end", `{"years": 5}`, 422, "body.stage2End", "must not be after the last year"},
		{"huge", `{"revenue": 1e13}`, 422, "body.revenue", "must be above 0 and at most 1e+12"},
		{"too huge", `{"revenue": 1e999}`, 422, "body.revenue", "is a number too large to represent (line 1, column 17)"},
		{"no multiple", `{"tvMethod": "multiple"}`, 422, "body.tvMultipleVal", "is required by tvMethod multiple"},
		{"method", `{"tvMethod": "magic"}`, 422, "body.tvMethod", "must be perpetuity or multiple"},
		{"unknown", `{"waccc": 0.1}`, 422, "body.waccc", "is not a known field (line 1, column 8)"},
		{"case", `{"WACC": 0.1}`, 422, "body.WACC", "is not a known field (line 1, column 7)"},
		{"sensitivity range", `{"waccMin": 0.07}`, 422, "body.waccMin", "is not a known field (line 1, column 10)"},
		{"twice", "{\"wacc\": 0.1,\n \"wacc\": 0.2}", 422, "body.wacc", "is given twice (line 2, column 7)"},
		{"string", `{"wacc": "0.1"}`, 422, "body.wacc", "must be a number, not string (line 1, column 14)"},
		{"null", `{"wacc": null}`, 422, "body.wacc", "must not be null; leave it out for its default (line 1, column 13)"},
		{"null compat", `{"compat": null}`, 422, "body.compat", "must not be null; leave it out for its default (line 1, column 15)"},
		{"NaN", `{"wacc": NaN}`, 400, "body", "invalid character 'N' looking for beginning of value (line 1, column 10)"},
		{"syntax", "{\n  \"wacc\": 0.1\n  \"tax\"}", 400, "body", "invalid character '\"' after object key:value pair (line 3, column 3)"},
		{"truncated", `{"wacc": 0.1`, 400, "body", "unexpected end of JSON input (line 1, column 12)"},
		{"two values", `{} {}`, 400, "body", "invalid character '{' after top-level value (line 1, column 4)"},
		{"array", `[]`, 422, "body", "must be an object (line 1, column 1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := s.send("POST", "/api/dcf", c.body).refused(t, c.code, c.location)
			if len(p.Errors) == 0 || p.Errors[0].Message != c.message {
				t.Errorf("errors %v, want %q", p.Errors, c.message)
			}
		})
	}
	if p := s.send("POST", "/api/dcf", `{"years": 1, "taxRate": 5, "shares": -1}`).refused(t, 422, "body.shares"); len(p.Errors) != 3 {
		t.Errorf("%d errors, want all three: %v", len(p.Errors), p.Errors)
	}
}

func TestBodyLimits(t *testing.T) {
	s := start(t, nil)
	const limit = 1 << 20
	pad := func(n int) string { return `{}` + strings.Repeat(" ", n-2) }
	if r := s.send("POST", "/api/dcf", pad(limit)); r.code != 200 {
		t.Errorf("exactly the limit: %d", r.code)
	}
	r := s.send("POST", "/api/dcf", pad(limit+1))
	r.refused(t, 413, "body")
	if len(r.body) > 1000 {
		t.Errorf("the refusal has %d bytes", len(r.body))
	}
	r = s.send("POST", "/api/dcf", strings.Repeat("[", 100_000))
	r.refused(t, 400, "body")
	if len(r.body) > 1000 {
		t.Errorf("a malformed body is echoed: %d bytes", len(r.body))
	}
}

func TestContentTypes(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		kind      string
		dcf, runs int
	}{
		{"application/json", 200, 200}, {"application/json; charset=UTF-8", 200, 200},
		{"application/x-www-form-urlencoded", 200, 415}, {"text/plain", 415, 415},
		{"application/json; charset=latin1", 415, 415}, {"application/xml", 415, 415}, {";", 415, 415},
	} {
		if r := s.send("POST", "/api/dcf", `{}`, "Content-Type", c.kind); r.code != c.dcf {
			t.Errorf("dcf with %q: %d, want %d", c.kind, r.code, c.dcf)
		}
		if r := s.send("POST", "/api/runs", `{"inputs":{"ticker":"A"}}`, "Content-Type", c.kind); r.code != c.runs {
			t.Errorf("runs with %q: %d, want %d", c.kind, r.code, c.runs)
		}
	}
}

// FuzzDCF: whatever is sent is valued or refused, in JSON without NaN, and never a 5xx.
func FuzzDCF(f *testing.F) {
	for _, seed := range []string{`{}`, ``, `{"years":15,"growthY1":10,"growthDecay":-1,"s1Growth":null}`,
		`{"compat":false,"s1Margin":-10,"s1Growth":-1}`, `{"tvMethod":"multiple","tvMultipleVal":0}`,
		`{"wacc":0.25,"termGrowth":0.2499999999999999}`, `{"revenue":5e-324,"shares":1e12}`, `{"wacc":1e400}`} {
		f.Add([]byte(seed))
	}
	handler := start(f, nil).Config.Handler
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/api/dcf", strings.NewReader(string(body)))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s for %q", w.Code, w.Body, body)
		}
	})
}

// BenchmarkDCF is one valuation through the whole handler, without a connection.
func BenchmarkDCF(b *testing.B) {
	handler := start(b, nil).Config.Handler
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/api/dcf", strings.NewReader(`{"wacc": 0.1}`)))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
