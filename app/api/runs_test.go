package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type run struct {
	RunID      string          `json:"run_id"`
	Ticker     string          `json:"ticker"`
	Inputs     json.RawMessage `json:"inputs"`
	MCSettings json.RawMessage `json:"mc_settings"`
	Results    json.RawMessage `json:"results"`
	Timestamp  *string         `json:"timestamp"`
	CreatedAt  string          `json:"created_at"`
	UpdatedAt  string          `json:"updated_at"`
}

type oneRun struct {
	Success bool
	Data    run
}

type runList struct {
	Success bool
	Data    struct {
		Runs       []run
		Pagination struct {
			Page, PerPage, Total, Pages int
			HasNext                     bool   `json:"has_next"`
			HasPrev                     bool   `json:"has_prev"`
			NextNum                     *int   `json:"next_num"`
			PrevNum                     *int   `json:"prev_num"`
			SortBy                      string `json:"sort_by"`
			SortOrder                   string `json:"sort_order"`
		}
	}
}

func (s *server) create(body string) string {
	s.t.Helper()
	var got struct {
		Success bool
		RunID   string `json:"run_id"`
		Message string
	}
	s.send("POST", "/api/runs", body).into(s.t, 200, &got)
	if !got.Success || len(got.RunID) != 36 || got.Message == "" {
		s.t.Fatalf("created %+v", got)
	}
	return got.RunID
}

func TestRunIsReadBackAsSent(t *testing.T) {
	s := start(t, nil)
	s.send("GET", "/api/runs/last", "").refused(t, 404, "")
	id := s.create(`{"inputs": {"ticker": "brk.b", "x": "<b>'; DROP TABLE runs; --", "n": 1.50}, "mc_settings": {"trials": 10},
		"results": [1, null], "timestamp": "2026-01-31T12:00:00+02:00"}`)
	for _, path := range []string{"/api/runs/" + id, "/api/runs/" + strings.ToUpper(id), "/api/runs/last"} {
		var got oneRun
		s.send("GET", path, "").into(t, 200, &got)
		r := got.Data
		if !got.Success || r.RunID != id || r.Ticker != "BRK.B" || string(r.MCSettings) != `{"trials":10}` ||
			string(r.Results) != `[1,null]` || *r.Timestamp != "2026-01-31T12:00:00+02:00" || r.CreatedAt != r.UpdatedAt ||
			string(r.Inputs) != `{"ticker":"brk.b","x":"<b>'; DROP TABLE runs; --","n":1.50}` {
			t.Errorf("%s: %+v, inputs %s", path, r, r.Inputs)
		}
	}
	other := s.create(`{"inputs": {"ticker": "X"}, "mc_settings": null, "results": null, "timestamp": null}`)
	var got oneRun
	s.send("GET", "/api/runs/last", "").into(t, 200, &got)
	if got.Data.RunID != other || string(got.Data.Results) != "null" || got.Data.Timestamp != nil {
		t.Errorf("last %+v", got.Data)
	}
}

func TestMissingRuns(t *testing.T) {
	s := start(t, nil)
	s.create(`{"inputs": {"ticker": "A"}}`)
	s.send("GET", "/api/runs/01900000-0000-7000-8000-000000000000", "").refused(t, 404, "")
	s.send("GET", "/api/runs/nonsense", "").refused(t, 422, "path.run_id")
	s.send("GET", "/api/runs/'%20OR%201=1", "").refused(t, 422, "path.run_id")
}

func TestRefusedRunsChangeNothing(t *testing.T) {
	s := start(t, nil)
	for _, c := range []struct {
		name, body string
		code       int
		location   string
	}{
		{"empty", ``, 400, "body"},
		{"no inputs", `{}`, 422, "body.inputs"},
		{"null inputs", `{"inputs": null}`, 422, "body.inputs"},
		{"inputs not an object", `{"inputs": "AAPL"}`, 422, "body.inputs"},
		{"inputs too large", `{"inputs": {"ticker": "A", "x": "` + strings.Repeat("x", 64<<10) + `"}}`, 422, "body.inputs"},
		{"no ticker", `{"inputs": {}}`, 422, "body.inputs.ticker"},
		{"ticker in another case", `{"inputs": {"Ticker": "A"}}`, 422, "body.inputs.ticker"},
		{"ticker not a string", `{"inputs": {"ticker": 1}}`, 422, "body.inputs.ticker"},
		{"null ticker", `{"inputs": {"ticker": null}}`, 422, "body.inputs.ticker"},
		{"empty ticker", `{"inputs": {"ticker": ""}}`, 422, "body.inputs.ticker"},
		{"long ticker", `{"inputs": {"ticker": "ABCDEFGHIJKLMNOPQ"}}`, 422, "body.inputs.ticker"},
		{"odd ticker", `{"inputs": {"ticker": "A'B"}}`, 422, "body.inputs.ticker"},
		{"settings", `{"inputs": {"ticker": "A"}, "mc_settings": 3}`, 422, "body.mc_settings"},
		{"timestamp", `{"inputs": {"ticker": "A"}, "timestamp": "yesterday"}`, 422, "body.timestamp"},
		{"unknown field", `{"inputs": {"ticker": "A"}, "user_id": "root"}`, 422, "body.user_id"},
		{"huge number", `{"inputs": {"ticker": "A", "n": [1e999]}}`, 422, "body.inputs.n[0]"},
		{"syntax", `{"inputs": {`, 400, "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.send("POST", "/api/runs", c.body, "Content-Type", "application/json").refused(t, c.code, c.location)
		})
	}
	var list runList
	s.send("GET", "/api/runs", "").into(t, 200, &list)
	if list.Data.Pagination.Total != 0 {
		t.Errorf("%d runs were stored", list.Data.Pagination.Total)
	}
}

func TestPagination(t *testing.T) {
	s := start(t, nil)
	tickers := []string{"AAPL", "MSFT", "AMZN"}
	var ids []string
	for i := range 7 {
		ids = append(ids, s.create(fmt.Sprintf(`{"inputs": {"ticker": %q}, "results": [%d]}`, tickers[i%3], i)))
	}
	for _, c := range []struct {
		query              string
		want               []int // creation order
		page, total, pages int
		next, prev         int // 0 is null
		sortBy, sortOrder  string
		perPage            int
	}{
		{"", []int{6, 5, 4, 3, 2, 1, 0}, 1, 7, 1, 0, 0, "created_at", "desc", 20},
		{"?per_page=3", []int{6, 5, 4}, 1, 7, 3, 2, 0, "created_at", "desc", 3},
		{"?per_page=3&page=2", []int{3, 2, 1}, 2, 7, 3, 3, 1, "created_at", "desc", 3},
		{"?per_page=3&page=3", []int{0}, 3, 7, 3, 0, 2, "created_at", "desc", 3},
		{"?per_page=3&page=4", nil, 4, 7, 3, 0, 3, "created_at", "desc", 3},
		{"?page=1000000000&per_page=100", nil, 1000000000, 7, 1, 0, 999999999, "created_at", "desc", 100},
		{"?sort_order=asc&per_page=2", []int{0, 1}, 1, 7, 4, 2, 0, "created_at", "asc", 2},
		{"?sort_by=ticker&sort_order=asc&per_page=4", []int{0, 3, 6, 2}, 1, 7, 2, 2, 0, "ticker", "asc", 4},
		{"?sort_by=drop%20table&per_page=1", []int{6}, 1, 7, 7, 2, 0, "created_at", "desc", 1},
		{"?search_field=ticker&search_term=aa", []int{6, 3, 0}, 1, 3, 1, 0, 0, "created_at", "desc", 20},
		{"?search_term=m&per_page=2", []int{5, 4}, 1, 4, 2, 2, 0, "created_at", "desc", 2},
		{"?search_term=%25", nil, 1, 0, 0, 0, 0, "created_at", "desc", 20},
	} {
		var got runList
		s.send("GET", "/api/runs"+c.query, "").into(t, 200, &got)
		p := got.Data.Pagination
		var order []string
		for _, r := range got.Data.Runs {
			order = append(order, r.RunID)
			if r.Results != nil || r.Inputs == nil {
				t.Errorf("%s: a list carries results or lacks inputs: %+v", c.query, r)
			}
		}
		var want []string
		for _, i := range c.want {
			want = append(want, ids[i])
		}
		if fmt.Sprint(order) != fmt.Sprint(want) {
			t.Errorf("%s: order %v, want %v", c.query, order, want)
		}
		if p.Page != c.page || p.Total != c.total || p.Pages != c.pages || p.SortBy != c.sortBy || p.SortOrder != c.sortOrder ||
			p.HasNext != (c.next > 0) || p.HasPrev != (c.prev > 0) || value(p.NextNum) != c.next || value(p.PrevNum) != c.prev {
			t.Errorf("%s: %+v", c.query, p)
		}
	}
}

func value(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

func TestPaginationRefusals(t *testing.T) {
	s := start(t, nil)
	for query, location := range map[string]string{
		"page=0": "query.page", "page=x": "query.page", "page=-1": "query.page", "page=9999999999999999999": "query.page",
		"per_page=0": "query.per_page", "per_page=101": "query.per_page", "sort_order=up": "query.sort_order",
		"search_field=inputs": "query.search_field", "limit=10": "query.limit",
		"search_term=" + strings.Repeat("x", 65): "query.search_term",
	} {
		s.send("GET", "/api/runs?"+query, "").refused(t, 422, location)
	}
}

// Walking the pages, whatever their size, visits every run once.
func TestPagesCoverEveryRunOnce(t *testing.T) {
	s := start(t, nil)
	for i := range 17 {
		s.create(fmt.Sprintf(`{"inputs": {"ticker": "T%d"}}`, i%4))
	}
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(rt, "per_page")
		by := rapid.SampledFrom([]string{"created_at", "ticker"}).Draw(rt, "sort_by")
		seen := map[string]bool{}
		for page := 1; page != 0; {
			var got runList
			s.send("GET", fmt.Sprintf("/api/runs?page=%d&per_page=%d&sort_by=%s", page, size, by), "").into(t, 200, &got)
			for _, r := range got.Data.Runs {
				if seen[r.RunID] {
					rt.Fatalf("run %s came twice", r.RunID)
				}
				seen[r.RunID] = true
			}
			page = value(got.Data.Pagination.NextNum)
		}
		if len(seen) != 17 {
			rt.Fatalf("%d runs seen", len(seen))
		}
	})
}
