package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type scenario struct {
	ID, Name, Ticker string
	CompanyName      string `json:"companyName"`
	DealName         string `json:"deal_name"`
	Inputs           json.RawMessage
	MCSettings       json.RawMessage `json:"mc_settings"`
	Version          int64
}

type scenarioList struct {
	Success    bool
	Scenarios  []scenario
	Data       []scenario
	NextCursor *string `json:"next_cursor"`
}

func (s *server) scenarios(path string) scenarioList {
	s.t.Helper()
	var list scenarioList
	s.send("GET", path, "").into(s.t, 200, &list)
	return list
}

// TestScenarioLife: save, list, read, change with the version seen, find out about somebody else's change, delete.
func TestScenarioLife(t *testing.T) {
	s := start(t, nil)
	var saved struct {
		Success bool
		Saved   int `json:"saved_count"`
	}
	s.send("POST", "/api/scenarios", `[{"name": "base", "ticker": "aapl", "inputs": {"wacc": 0.090, "note": "<b>'; --"}}, {"name": "bull", "ticker": "AAPL", "inputs": {}, "mc_settings": {"trials": 10}}]`).into(t, 200, &saved)
	list := s.scenarios("/api/scenarios?sort_order=asc")
	if !saved.Success || saved.Saved != 2 || len(list.Scenarios) != 2 || list.NextCursor != nil {
		t.Fatalf("%+v, %+v", saved, list)
	}
	base := list.Scenarios[0]
	if base.Name != "base" || base.Ticker != "AAPL" || string(base.Inputs) != `{"wacc":0.090,"note":"<b>'; --"}` || base.Version != 1 || string(list.Scenarios[1].MCSettings) != `{"trials":10}` {
		t.Errorf("%+v", list)
	}
	path := "/api/scenarios/" + base.ID
	r := s.send("GET", path, "")
	if r.code != 200 || r.header.Get("ETag") != `"1"` {
		t.Fatalf("%d %v", r.code, r.header)
	}
	if r := s.send("GET", path, "", "If-None-Match", `"7", W/"1"`); r.code != 304 || len(r.body) != 0 || r.header.Get("ETag") != `"1"` {
		t.Errorf("%d %v %s", r.code, r.header, r.body)
	}
	if r := s.send("PUT", path, `{"inputs": {"wacc": 0.1}}`, "If-Match", `"1"`); r.code != 200 || r.header.Get("ETag") != `"2"` {
		t.Errorf("%d %v %s", r.code, r.header, r.body)
	}
	for _, c := range [][4]string{{"PUT", `{"inputs": {"stale": 1}}`, "If-Match", `"1"`}, {"PUT", `{"inputs": {"stale": 1}}`, "If-Match", `W/"2"`}, {"PUT", `{"inputs": {}}`, "If-None-Match", `*`}, {"DELETE", "", "If-Match", `"1", "3"`}} {
		r := s.send(c[0], path, c[1], c[2], c[3])
		r.refused(t, 412, "version")
		if r.header.Get("ETag") != `"2"` {
			t.Errorf("%v: the answer does not name the version that is there: %v", c, r.header)
		}
	}
	s.send("PUT", path, `{"inputs": {"any": true}}`, "If-Match", "*").into(t, 200, &struct{}{})
	s.send("POST", "/api/scenarios", `[{"name": "base", "ticker": "AAPL", "inputs": {"again": 1}}]`).into(t, 200, &saved)
	var one struct{ Data scenario }
	s.send("GET", path, "").into(t, 200, &one)
	if one.Data.Version != 4 || string(one.Data.Inputs) != `{"again":1}` {
		t.Errorf("%+v", one)
	}
	s.send("DELETE", path, "", "If-Match", `"4"`).into(t, 200, &struct{}{})
	s.send("DELETE", path, "").refused(t, 404, "")
	s.send("GET", path, "").refused(t, 404, "")
	s.send("PUT", path, `{"inputs": {}}`, "If-Match", "*").refused(t, 404, "")
	if list := s.scenarios("/api/scenarios"); len(list.Scenarios) != 1 || list.Scenarios[0].Name != "bull" {
		t.Errorf("%+v", list)
	}
}

func TestDealScenarios(t *testing.T) {
	s := start(t, nil)
	var ok struct{ Success bool }
	s.send("POST", "/api/lbo/scenarios", `[{"name": "base", "inputs": {"companyName": "Bolt & Söhne", "years": 5}}]`).into(t, 200, &ok)
	s.send("POST", "/api/ma/scenarios", `{"scenarios": [{"name": "all stock", "deal_name": "A buys T", "inputs": {"stock": 100}}]}`).into(t, 200, &ok)
	lbo, ma := s.scenarios("/api/lbo/scenarios"), s.scenarios("/api/ma/scenarios?search_term=BUYS")
	if len(lbo.Scenarios) != 1 || lbo.Data != nil || lbo.Scenarios[0].CompanyName != "Bolt & Söhne" || len(ma.Data) != 1 || ma.Scenarios != nil || ma.Data[0].DealName != "A buys T" {
		t.Fatalf("%+v\n%+v", lbo, ma)
	}
	if list := s.scenarios("/api/scenarios"); len(list.Scenarios) != 0 {
		t.Errorf("scenarios of deals among those of DCF: %+v", list)
	}
	path := "/api/lbo/scenarios/" + lbo.Scenarios[0].ID
	s.send("PUT", path, `{"inputs": {"companyName": "Other"}}`).refused(t, 422, "body.inputs.companyName")
	s.send("PUT", path, `{"inputs": {"companyName": "Bolt & Söhne"}, "mc_settings": {}}`).refused(t, 422, "body.mc_settings")
	s.send("PUT", path, `{"inputs": {"companyName": "Bolt & Söhne"}}`).into(t, 200, &ok)
	s.send("GET", "/api/scenarios/"+lbo.Scenarios[0].ID, "").refused(t, 404, "") // of another engine
}

func TestRefusedScenariosChangeNothing(t *testing.T) {
	s := start(t, nil)
	good := `{"name": "n", "ticker": "A", "inputs": {}}`
	for _, c := range []struct {
		path, body string
		code       int
		location   string
	}{
		{"/api/scenarios", `[]`, 422, "body"},
		{"/api/scenarios", `{"name": "n"}`, 422, "body"},
		{"/api/scenarios", `null`, 422, "body"},
		{"/api/scenarios", `[` + good, 400, "body"},
		{"/api/scenarios", `[` + strings.Repeat(good+",", 100) + good + `]`, 422, "body"},
		{"/api/scenarios", `[` + good + `, 3]`, 422, "body[1]"},
		{"/api/scenarios", `[` + good + `, {"ticker": "A", "inputs": {}}]`, 422, "body[1].name"},
		{"/api/scenarios", `[` + good + `, {"name": "a\u0000b", "ticker": "A", "inputs": {}}]`, 422, "body[1].name"},
		{"/api/scenarios", `[` + good + `, {"name": " n", "ticker": "A", "inputs": {}}]`, 422, "body[1].name"},
		{"/api/scenarios", `[` + good + `, {"name": "` + strings.Repeat("x", 201) + `", "ticker": "A", "inputs": {}}]`, 422, "body[1].name"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A'B", "inputs": {}}]`, 422, "body[1].ticker"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A"}]`, 422, "body[1].inputs"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A", "inputs": [], "mc_settings": {}}]`, 422, "body[1].inputs"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A", "inputs": {}, "mc_settings": 3}]`, 422, "body[1].mc_settings"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A", "inputs": {}, "user_id": "root"}]`, 422, "body[1].user_id"},
		{"/api/scenarios", `[` + good + `, {"name": "n", "ticker": "A", "inputs": {}, "deal_name": "x"}]`, 422, "body[1].deal_name"},
		{"/api/scenarios", `[{"name": "n", "ticker": "A", "inputs": {"x": 1, "x": 2}}]`, 422, "body[0].inputs.x"},
		{"/api/lbo/scenarios", `[{"name": "n", "inputs": {}}]`, 422, "body[0].inputs.companyName"},
		{"/api/lbo/scenarios", `[{"name": "n", "ticker": "A", "inputs": {"companyName": "C"}}]`, 422, "body[0].ticker"},
		{"/api/ma/scenarios", `[{"name": "n", "deal_name": "D", "inputs": {}}]`, 422, "body"},
		{"/api/ma/scenarios", `{"scenarios": []}`, 422, "body.scenarios"},
		{"/api/ma/scenarios", `{"scenarios": [{"name": "n", "inputs": {}}]}`, 422, "body.scenarios[0].deal_name"},
		{"/api/lbo/runs", `{"inputs": {}}`, 422, "body.inputs.companyName"},
		{"/api/lbo/runs", `{"inputs": {"companyName": 3}}`, 422, "body.inputs.companyName"},
		{"/api/ma/runs", `{"deal_name": "D", "acquirer_name": "A", "inputs": {}}`, 422, "body.target_name"},
		{"/api/ma/runs", `{"deal_name": "D", "acquirer_name": "A", "target_name": "T"}`, 422, "body.inputs"},
	} {
		t.Run(c.path+" "+c.location, func(t *testing.T) { s.send("POST", c.path, c.body).refused(t, c.code, c.location) })
	}
	r := s.send("POST", "/api/scenarios", "[\n"+good+",\n  tru ]")
	if r.refused(t, 400, "body"); !strings.Contains(string(r.body), "(line 3, column 6)") {
		t.Errorf("the position is not that of the body: %s", r.body)
	}
	if r := s.send("POST", "/api/scenarios", "[tru ]"); !strings.Contains(string(r.body), "(line 1, column 5)") {
		t.Errorf("the position is not that of the body: %s", r.body)
	}
	for _, path := range []string{"/api/scenarios", "/api/lbo/scenarios", "/api/ma/scenarios"} {
		if list := s.scenarios(path); len(list.Scenarios)+len(list.Data) != 0 {
			t.Errorf("%s: %+v", path, list)
		}
	}
	s.send("GET", "/api/scenarios/nonsense", "").refused(t, 422, "path.id")
	s.send("GET", "/api/scenarios?sort_by=name", "").refused(t, 422, "query.sort_by")
	s.send("GET", "/api/scenarios?page=2", "").refused(t, 422, "query.page")
}

func TestDealRuns(t *testing.T) {
	s := start(t, nil)
	type dealRun struct {
		RunID    string `json:"run_id"`
		Company  string `json:"companyName"`
		Deal     string `json:"deal_name"`
		Acquirer string `json:"acquirer_name"`
		Target   string `json:"target_name"`
		Inputs   json.RawMessage
		Results  json.RawMessage
	}
	type list struct {
		Runs       []dealRun
		NextCursor *string `json:"next_cursor"`
	}
	s.send("GET", "/api/lbo/runs/last", "").refused(t, 404, "")
	for i := range 5 {
		var got struct{ RunID string }
		s.send("POST", "/api/lbo/runs", fmt.Sprintf(`{"inputs": {"companyName": "Co %d"}, "results": {"irr": %d}}`, i, i)).into(t, 200, &got)
		s.send("POST", "/api/ma/runs", fmt.Sprintf(`{"deal_name": "Deal %d", "acquirer_name": "A", "target_name": "T", "inputs": {"n": %d}}`, i, i)).into(t, 200, &got)
	}
	var names []string
	for cursor := ""; ; {
		var page list
		s.send("GET", "/api/lbo/runs?per_page=2&cursor="+cursor, "").into(t, 200, &page)
		for _, r := range page.Runs {
			names = append(names, r.Company)
			if r.Results != nil || r.Deal != "" {
				t.Errorf("%+v", r)
			}
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	if strings.Join(names, ",") != "Co 4,Co 3,Co 2,Co 1,Co 0" {
		t.Errorf("%v", names)
	}
	var one struct{ Data dealRun }
	s.send("GET", "/api/lbo/runs/last", "").into(t, 200, &one)
	if one.Data.Company != "Co 4" || string(one.Data.Results) != `{"irr":4}` {
		t.Errorf("%+v", one)
	}
	s.send("GET", "/api/ma/runs/last", "").into(t, 200, &one)
	s.send("GET", "/api/ma/runs/"+one.Data.RunID, "").into(t, 200, &one)
	if d := one.Data; d.Deal != "Deal 4" || d.Acquirer != "A" || d.Target != "T" || string(d.Inputs) != `{"n":4}` || string(d.Results) != "null" {
		t.Errorf("%+v", one)
	}
	s.send("GET", "/api/lbo/runs/"+one.Data.RunID, "").refused(t, 404, "")
}

func TestNoteLife(t *testing.T) {
	s := start(t, nil)
	type note struct {
		Content, Ticker string
		Version         int64
	}
	read := func(path string) (n note) {
		t.Helper()
		s.send("GET", path, "").into(t, 200, &n)
		return n
	}
	r := s.send("GET", "/api/notes/aapl", "")
	if n := read("/api/notes/aapl"); n.Version != 0 || n.Content != "" || n.Ticker != "AAPL" || r.header.Get("ETag") != "" || r.header.Get("Last-Modified") != "" {
		t.Errorf("%+v %v", n, r.header)
	}
	steps := []struct {
		body, name, value string
		code              int
		etag              string
	}{
		{`{"content": "x", "version": 3}`, "", "", 409, ""},
		{`{"content": "x"}`, "If-Match", "*", 412, ""},
		{`{"content": "one", "version": 0}`, "", "", 200, `"1"`},
		{`{"content": "x", "version": 0}`, "", "", 409, `"1"`},
		{`{"content": "x"}`, "If-None-Match", "*", 412, `"1"`},
		{`{"content": "two"}`, "If-Match", `"1"`, 200, `"2"`},
		{`{"content": "x"}`, "If-Match", `"1"`, 412, `"2"`},
		{`{"content": "x", "version": 1}`, "If-Match", `"2"`, 409, `"2"`},
		{`{"content": "three <b>' --", "version": 2}`, "If-Match", `"2"`, 200, `"3"`},
		{`{"content": "four"}`, "", "", 200, `"4"`},
	}
	for i, c := range steps {
		var headers []string
		if c.name != "" {
			headers = []string{c.name, c.value}
		}
		r := s.send("POST", "/api/notes/AAPL", c.body, headers...)
		if r.code != c.code || r.header.Get("ETag") != c.etag {
			t.Fatalf("step %d: %d, ETag %q: %s", i, r.code, r.header.Get("ETag"), r.body)
		}
	}
	if n := read("/api/notes/AAPL"); n.Version != 4 || n.Content != "four" {
		t.Errorf("%+v", n)
	}
	if r := s.send("GET", "/api/notes/AAPL", "", "If-None-Match", `"4"`); r.code != 304 || len(r.body) != 0 {
		t.Errorf("%d %s", r.code, r.body)
	}
	if n := read("/api/notes/AAPL/versions/3"); n.Content != "three <b>' --" {
		t.Errorf("%+v", n)
	}
	s.send("GET", "/api/notes/AAPL/versions/5", "").refused(t, 404, "")
	var versions struct {
		Versions []struct{ Version, Size int64 }
	}
	s.send("GET", "/api/notes/aapl/versions", "").into(t, 200, &versions)
	if fmt.Sprint(versions.Versions) != "[{4 4} {3 13} {2 3} {1 3}]" {
		t.Errorf("%v", versions)
	}
	s.send("POST", "/api/notes/MSFT", `{"content": ""}`).into(t, 200, &struct{}{})
	var list struct {
		Notes     []note
		NextAfter *string `json:"next_after"`
	}
	s.send("GET", "/api/notes?per_page=1", "").into(t, 200, &list)
	if len(list.Notes) != 1 || list.Notes[0].Ticker != "AAPL" || list.NextAfter == nil || *list.NextAfter != "AAPL" {
		t.Errorf("%+v", list)
	}
	for body, location := range map[string]string{
		`{"content": "a\u0000b"}`: "body.content", `{"content": null}`: "body.content", `{"version": 1, "content": 3}`: "body.content", `{"content": "", "version": -1}`: "body.version",
		`{"content": "` + strings.Repeat("x", 64<<10+1) + `"}`: "body.content", `{"content": "", "ticker": "B"}`: "body.ticker",
	} {
		s.send("POST", "/api/notes/AAPL", body).refused(t, 422, location)
	}
	s.send("GET", "/api/notes/a%27b", "").refused(t, 422, "path.ticker")
	s.send("POST", "/api/notes/"+strings.Repeat("A", 17), `{"content": ""}`).refused(t, 422, "path.ticker")
	if n := read("/api/notes/AAPL"); n.Version != 4 {
		t.Errorf("a refused note was written: %+v", n)
	}
}

// What one account has is not there for another, and the log of writes is each one's own.
func TestDocumentsOfOthersAreNotThere(t *testing.T) {
	s := start(t, production)
	ann, bob := s.register("ann"), s.register("bob")
	for _, c := range [][2]string{{"/api/scenarios", `[{"name": "n", "ticker": "A", "inputs": {}}]`}, {"/api/lbo/runs", `{"inputs": {"companyName": "C"}}`}, {"/api/notes/A", `{"content": "ann's"}`}} {
		if r := s.as(ann.AccessToken, "POST", c[0], c[1]); r.code != 200 {
			t.Fatalf("%s: %d %s", c[0], r.code, r.body)
		}
	}
	var list scenarioList
	s.as(ann.AccessToken, "GET", "/api/scenarios", "").into(t, 200, &list)
	var last oneRun
	s.as(ann.AccessToken, "GET", "/api/lbo/runs/last", "").into(t, 200, &last)
	scenario := "/api/scenarios/" + list.Scenarios[0].ID
	for _, c := range [][3]string{{"GET", scenario, ""}, {"PUT", scenario, `{"inputs": {}}`}, {"DELETE", scenario, ""}, {"GET", "/api/lbo/runs/" + last.Data.RunID, ""},
		{"GET", "/api/lbo/runs/last", ""}, {"GET", "/api/notes/A/versions/1", ""}} {
		s.as(bob.AccessToken, c[0], c[1], c[2]).refused(t, 404, "")
		s.send(c[0], c[1], c[2]).refused(t, 401, "")
	}
	var note struct{ Version int64 }
	s.as(bob.AccessToken, "GET", "/api/notes/A", "").into(t, 200, &note)
	if note.Version != 0 {
		t.Errorf("bob reads ann's note: %+v", note)
	}
	var audit struct {
		Entries    []struct{ Action, Kind, Target, Request_id string }
		NextCursor *string `json:"next_cursor"`
	}
	for who, want := range map[string]string{ann.AccessToken: "create note A, create lbo.run, create dcf.scenario, create account", bob.AccessToken: "create account"} {
		var got []string
		for cursor := ""; ; {
			audit.NextCursor = nil
			s.as(who, "GET", "/api/audit?per_page=3&cursor="+cursor, "").into(t, 200, &audit)
			for _, e := range audit.Entries {
				if e.Kind == "note" {
					e.Kind += " " + e.Target
				}
				if e.Request_id == "" {
					t.Errorf("%+v has no request", e)
				}
				got = append(got, e.Action+" "+e.Kind)
			}
			if audit.NextCursor == nil {
				break
			}
			cursor = *audit.NextCursor
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// Going on by cursors, there and back, visits every run once, whatever is written meanwhile.
func TestCursorsCoverEveryRunOnce(t *testing.T) {
	s := start(t, nil)
	for i := range 17 {
		s.create(fmt.Sprintf(`{"inputs": {"ticker": "T%d"}}`, i%4))
	}
	rapid.Check(t, func(rt *rapid.T) {
		query := fmt.Sprintf("/api/runs?per_page=%d&sort_by=%s&search_term=%s&sort_order=asc", rapid.IntRange(1, 20).Draw(rt, "per_page"),
			rapid.SampledFrom([]string{"created_at", "ticker"}).Draw(rt, "sort_by"), rapid.SampledFrom([]string{"", "t1"}).Draw(rt, "search"))
		type page struct {
			Data struct {
				Runs       []run
				Pagination struct {
					Page, Pages int
					HasNext     bool    `json:"has_next"`
					HasPrev     bool    `json:"has_prev"`
					Next        *string `json:"next_cursor"`
					Prev        *string `json:"prev_cursor"`
				}
			}
		}
		var there, back []string
		var p page
		for cursor, n := "", 1; ; n++ {
			p = page{}
			s.send("GET", query+"&cursor="+cursor, "").into(t, 200, &p)
			for _, r := range p.Data.Runs {
				there = append(there, r.RunID)
			}
			if g := p.Data.Pagination; g.Page != n || g.HasNext != (n < g.Pages) || g.HasPrev != (n > 1) || g.HasNext != (g.Next != nil) || g.HasPrev != (g.Prev != nil) {
				rt.Fatalf("page %d: %+v", n, g)
			}
			if p.Data.Pagination.Next == nil {
				break
			}
			cursor = *p.Data.Pagination.Next
		}
		for {
			for i := len(p.Data.Runs) - 1; i >= 0; i-- {
				back = append([]string{p.Data.Runs[i].RunID}, back...)
			}
			if p.Data.Pagination.Prev == nil {
				break
			}
			cursor := *p.Data.Pagination.Prev
			p = page{}
			s.send("GET", query+"&cursor="+cursor, "").into(t, 200, &p)
		}
		seen := map[string]bool{}
		for _, id := range there {
			seen[id] = true
		}
		if len(seen) != len(there) || strings.Join(there, " ") != strings.Join(back, " ") || len(there) == 0 {
			rt.Fatalf("there %v\nback  %v", there, back)
		}
	})
}

func TestBadCursors(t *testing.T) {
	s := start(t, nil)
	s.create(`{"inputs": {"ticker": "A"}}`)
	for _, c := range []string{"x", "e30", `{}`, `{"o":"ticker.desc","t":1}`, `{"o":"created_at.asc"}`, `{"o":"created_at.desc","x":"\u0000"}`, `{"o":3}`, "null"} {
		s.send("GET", "/api/runs?cursor="+url.QueryEscape(c), "").refused(t, 422, "query.cursor")
		s.send("GET", "/api/runs?cursor="+base64.RawURLEncoding.EncodeToString([]byte(c)), "").refused(t, 422, "query.cursor")
	}
}
