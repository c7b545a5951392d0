package compare_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/compare"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

var nan = math.NaN()

func TestVerdicts(t *testing.T) {
	ten, none := 10.0, 0.0
	both := map[peer.Name]float64{peer.Nginx: 1.15, peer.HAProxy: 1.15}
	type rounds = map[peer.Name][]float64
	for name, c := range map[string]struct {
		figure compare.Figure
		rounds rounds
		want   compare.Verdict
	}{
		"no demand":              {compare.Figure{}, rounds{peer.Weir: {9}}, compare.NoDemand},
		"ratio met":              {compare.Figure{MaxRatio: both}, rounds{peer.Weir: {11, 22, 90}, peer.Nginx: {10, 20, 30}, peer.HAProxy: {10, 20, 80}}, compare.Pass},
		"ratio missed for one":   {compare.Figure{MaxRatio: both}, rounds{peer.Weir: {11, 22}, peer.Nginx: {10, 20}, peer.HAProxy: {9, 18}}, compare.Fail},
		"missed, other unknown":  {compare.Figure{MaxRatio: both}, rounds{peer.Weir: {20}, peer.Nginx: {10}}, compare.Fail},
		"met, other unknown":     {compare.Figure{MaxRatio: both}, rounds{peer.Weir: {10}, peer.Nginx: {10}}, compare.Unknown},
		"no weir, ratio":         {compare.Figure{MaxRatio: both}, rounds{peer.Nginx: {10}, peer.HAProxy: {10}}, compare.Unknown},
		"no weir, bound":         {compare.Figure{Max: &ten}, rounds{peer.Nginx: {10}}, compare.Unknown},
		"all rounds failed":      {compare.Figure{Max: &ten}, rounds{peer.Weir: {nan, nan}}, compare.Unknown},
		"bound met exactly":      {compare.Figure{Max: &ten}, rounds{peer.Weir: {10, 10, 99}}, compare.Pass},
		"bound missed":           {compare.Figure{Max: &ten}, rounds{peer.Weir: {10.1}}, compare.Fail},
		"one error in one round": {compare.Figure{Max: &none, Worst: true}, rounds{peer.Weir: {0, 1, 0}}, compare.Fail},
		"no errors":              {compare.Figure{Max: &none, Worst: true}, rounds{peer.Weir: {0, 0, 0}}, compare.Pass},
		"errors and a lost one":  {compare.Figure{Max: &none, Worst: true}, rounds{peer.Weir: {0, nan, 0}}, compare.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			row := compare.NewRow(c.figure, c.rounds)
			if row.Verdict != c.want {
				t.Errorf("verdict %q, want %q (ratios %v, medians %v)", row.Verdict, c.want, row.Ratio, row.Median)
			}
		})
	}
}

// A round in which everything was twice as slow must not decide.
func TestRatioIsTakenInsideRounds(t *testing.T) {
	row := compare.NewRow(compare.Figure{MaxRatio: map[peer.Name]float64{peer.Nginx: 1.15}},
		map[peer.Name][]float64{peer.Weir: {10, 40, 11}, peer.Nginx: {10, 40, 10}})
	if row.Ratio[peer.Nginx] != 1 || row.Median[peer.Weir] != 11 || row.Verdict != compare.Pass {
		t.Errorf("ratio %v, median %v, %s", row.Ratio, row.Median, row.Verdict)
	}
}

func TestInsertReplacesOnlyItsSection(t *testing.T) {
	first, err := compare.Insert([]byte("# Benchmarks\n\nOur words.\n\n\n"), "table one")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(first), "# Benchmarks\n\nOur words.\n\n<!--") {
		t.Errorf("first: %q", first)
	}
	second, err := compare.Insert(append(first, "More words.\n"...), "table two\n")
	if err != nil {
		t.Fatal(err)
	}
	text := string(second)
	if strings.Contains(text, "one") || !strings.Contains(text, "table two\n") || !strings.HasSuffix(text, "-->\nMore words.\n") || strings.Count(text, "<!--") != 2 {
		t.Errorf("second: %q", text)
	}
	same, err := compare.Insert(second, "table two")
	if err != nil || string(same) != text {
		t.Errorf("the same table again changed the file: %q, %v", same, err)
	}
	begin := text[strings.Index(text, "<!--") : strings.Index(text, "-->")+3]
	if _, err := compare.Insert([]byte(begin), "x"); err == nil {
		t.Error("a begin without an end was accepted")
	}
	end := text[strings.LastIndex(text, "<!--") : strings.LastIndex(text, "-->")+3]
	if _, err := compare.Insert([]byte(end+begin), "x"); err == nil {
		t.Error("marks in the wrong order were accepted")
	}
	if empty, err := compare.Insert(nil, "x"); err != nil || !strings.HasPrefix(string(empty), "<!--") {
		t.Errorf("empty document: %q, %v", empty, err)
	}
}

func TestWriteMakesBothFiles(t *testing.T) {
	r := &compare.Result{Command: "weirbench compare", Notes: []string{"a\nnote"}, Rounds: 3,
		Rows: []*compare.Row{compare.NewRow(compare.Figure{Name: "CPU", Unit: "µs/request"}, map[peer.Name][]float64{peer.Nginx: {1, nan, 3}})}}
	path := filepath.Join(t.TempDir(), "docs", "benchmarks.md")
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "- a note\n") || !strings.HasPrefix(string(text), "# Benchmarks\n") {
		t.Errorf("%v: %s", err, text)
	}
	figures, err := os.ReadFile(strings.TrimSuffix(path, ".md") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Rows []struct {
			Values map[string][]*float64
			Median map[string]*float64
		}
	}
	if err := json.Unmarshal(figures, &back); err != nil {
		t.Fatalf("%v in %s", err, figures)
	}
	v := back.Rows[0].Values["nginx"]
	if len(v) != 3 || *v[0] != 1 || v[1] != nil || *back.Rows[0].Median["nginx"] != 2 {
		t.Errorf("figures %s", figures)
	}
}

// A run of some scenarios renews their rows and no others, and the report says which rows are older.
func TestWriteKeepsWhatWasNotMeasured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	row := func(scenario string, v float64) *compare.Row {
		w := compare.NewRow(compare.Figure{Name: "CPU", Unit: "µs"}, map[peer.Name][]float64{peer.Weir: {v, nan, v}})
		w.Scenario = scenario
		return w
	}
	write := func(r *compare.Result) string {
		t.Helper()
		if err := r.Write(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write(&compare.Result{Command: "all", Notes: []string{"h1-get, round 1, weir: old", "h1-tls, round 1, weir: kept"}, Rows: []*compare.Row{row("h1-get", 111), row("h1-tls", 112), row("overload", 113)}})
	write(&compare.Result{Command: "some", Rows: []*compare.Row{row("overload", 223)}})
	text := write(&compare.Result{Command: "one", Rows: []*compare.Row{row("h1-get", 331)}})
	for _, want := range []string{"| `h1-get` | CPU, µs | 331 |", "| `h1-tls` | CPU, µs | 112 |", "| `overload` | CPU, µs | 223 |", "with `one`", "`h1-tls`, measured 0001-01-01 00:00 UTC with `all`",
		"`overload`, measured 0001-01-01 00:00 UTC with `some`", "h1-tls, round 1, weir: kept"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if strings.Contains(text, "weir: old") || strings.Contains(text, "111") || strings.Index(text, "`h1-get`") > strings.Index(text, "| `h1-tls` |") {
		t.Error(text)
	}
	if err := (&compare.Result{Quick: true, Rows: []*compare.Row{row("h1-get", 1)}}).Write(path); err == nil {
		t.Error("a quick run went between measured rows")
	}
}

// Each demand is shown with the issue that makes it, and a figure without one shows nothing.
func TestReportNamesTheIssueOfADemand(t *testing.T) {
	five := 5.0
	ratio := compare.Figure{Name: "CPU", Unit: "µs/request", Issue: "B", MaxRatio: map[peer.Name]float64{peer.Nginx: 0.8, peer.HAProxy: 1.1}}
	bound := compare.Figure{Name: "p95", Unit: "ms", Issue: "A", Max: &five}
	var rows []*compare.Row
	for _, f := range []compare.Figure{ratio, bound, {Name: "p99", Unit: "ms"}} {
		rows = append(rows, compare.NewRow(f, map[peer.Name][]float64{peer.Nginx: {10}, peer.HAProxy: {6}, peer.Weir: {4}}))
	}
	text := (&compare.Result{Proxies: []peer.Name{peer.Nginx, peer.HAProxy, peer.Weir}, Rows: rows}).Markdown()
	for _, want := range []string{
		"| demand (issue) | verdict |",
		"| ≤ 0.80 × nginx, ≤ 1.10 × HAProxy (B) | pass |",
		"| ≤ 5 ms (A) | pass |",
		"| 0.67 |  |  |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
