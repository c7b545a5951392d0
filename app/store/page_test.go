package store_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/store"
	"pgregory.net/rapid"
)

func dsn(path string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "_pragma=busy_timeout(5000)"}
	return u.String()
}

// Any page of any order and search equals the same cut of a list sorted in memory.
func TestPagesMatchAListSortedInMemory(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		tickers := []string{"AAPL", "MSFT", "A", "AA", "BRK.B", "100%", "A_L"}
		var all []store.Run
		for i := range 61 {
			r := store.Run{ID: fmt.Sprint("run", i), Ticker: tickers[i*i%len(tickers)],
				Inputs: json.RawMessage(fmt.Sprint(i)), CreatedAt: at(i * 7 % 20)} // times repeat
			if err := s.CreateRun(t.Context(), ann, r); err != nil {
				t.Fatal(err)
			}
			create(t, s, bob, i, "AAPL")
			all = append(all, r)
		}
		rapid.Check(t, func(t *rapid.T) {
			q := store.RunQuery{
				Order:     rapid.SampledFrom([]store.RunOrder{store.ByCreation, store.ByTicker}).Draw(t, "order"),
				Ascending: rapid.Bool().Draw(t, "ascending"),
				Offset:    rapid.Int64Range(0, 70).Draw(t, "offset"),
				Limit:     rapid.Int64Range(1, 30).Draw(t, "limit"),
				Ticker:    rapid.SampledFrom([]string{"", "A", "AA", "L", ".", "%", "_", "ZZ", "'"}).Draw(t, "ticker"),
			}
			page, err := s.Runs(t.Context(), ann, q)
			if err != nil {
				t.Fatal(err)
			}
			want := expected(all, q)
			if page.Total != int64(len(want)) {
				t.Fatalf("total %d, want %d", page.Total, len(want))
			}
			want = want[min(q.Offset, int64(len(want))):]
			want = want[:min(q.Limit, int64(len(want)))]
			if got := ids(page.Runs); !slices.Equal(got, ids(want)) {
				t.Fatalf("%+v:\ngot  %v\nwant %v", q, got, ids(want))
			}
		})
	})
}

func expected(all []store.Run, q store.RunQuery) []store.Run {
	var out []store.Run
	for _, r := range all {
		if strings.Contains(r.Ticker, q.Ticker) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b store.Run) int {
		if q.Order == store.ByTicker {
			return cmp.Or(cmp.Compare(a.Ticker, b.Ticker), a.CreatedAt.Compare(b.CreatedAt))
		}
		return a.CreatedAt.Compare(b.CreatedAt)
	})
	if !q.Ascending {
		slices.Reverse(out)
	}
	return out
}

func ids(runs []store.Run) []string {
	out := make([]string, len(runs))
	for i, r := range runs {
		out[i] = r.ID
	}
	return out
}

// From any run of a list, the page after it and the page before it are the same cuts as in memory, and say truly whether there is more.
func TestPagesBesideARun(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		var all []store.Run
		for i := range 40 {
			all = append(all, create(t, s, ann, i*11%9, []string{"AAPL", "A", "MSFT"}[i%3], fmt.Sprint("x", i)))
			create(t, s, eve, i, "AAPL")
		}
		rapid.Check(t, func(t *rapid.T) {
			q := store.RunQuery{
				Order:     rapid.SampledFrom([]store.RunOrder{store.ByCreation, store.ByTicker}).Draw(t, "order"),
				Ascending: rapid.Bool().Draw(t, "ascending"), Before: rapid.Bool().Draw(t, "before"),
				Limit: rapid.Int64Range(1, 15).Draw(t, "limit"), Ticker: rapid.SampledFrom([]string{"", "A", "ZZ"}).Draw(t, "ticker"),
			}
			whole, err := s.Runs(t.Context(), ann, store.RunQuery{Order: q.Order, Ascending: q.Ascending, Ticker: q.Ticker, Limit: 100})
			if err != nil || len(whole.Runs) != len(expected(all, q)) {
				t.Fatalf("%d runs, %v", len(whole.Runs), err)
			}
			if len(whole.Runs) == 0 {
				return
			}
			i := rapid.IntRange(0, len(whole.Runs)-1).Draw(t, "from")
			from := whole.Runs[i].Place(q.Order)
			q.From = &from
			got, err := s.Runs(t.Context(), ann, q)
			if err != nil {
				t.Fatal(err)
			}
			first, end := i+1, min(i+1+int(q.Limit), len(whole.Runs))
			if q.Before {
				first, end = max(0, i-int(q.Limit)), i
			}
			if !slices.Equal(ids(got.Runs), ids(whole.Runs[first:end])) || got.Total != whole.Total ||
				got.Earlier != (first > 0) || got.Later != (end < len(whole.Runs)) {
				t.Fatalf("%+v from %d: %v, earlier %v, later %v, total %d; want %v", q, i, ids(got.Runs), got.Earlier, got.Later, got.Total, ids(whole.Runs[first:end]))
			}
		})
	})
}

const manyRuns = 100_000

// many fills a database with runs of one owner over 500 tickers, around 600 bytes each.
func many(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s := open(t, o)
	db := rawDB(t, o)
	numbers, pad := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < $1)`, `hex(zeroblob(300))`
	if o.Postgres != "" {
		numbers, pad = `WITH n(i) AS (SELECT generate_series(1, $1::bigint))`, `repeat('00', 300)`
	}
	exec(t, db, numbers+` INSERT INTO runs (run_id, tenant_id, user_id, ticker, inputs, created_at)
		SELECT 'run'||i, 't1', 'ann', 'TK'||(i*7919%500), '{"pad":"'||`+pad+`||'"}', i FROM n`, manyRuns)
	exec(t, db, `INSERT INTO run_counts SELECT tenant_id, user_id, ticker, count(*) FROM runs GROUP BY tenant_id, user_id, ticker`)
	exec(t, db, `INSERT INTO run_counts VALUES ('t1', 'ann', '', $1)`, manyRuns)
	if o.Postgres != "" {
		exec(t, db, `VACUUM ANALYZE`) // what autovacuum does in its time
	}
	return s
}

var deepQueries = []struct {
	name string
	q    store.RunQuery
}{
	{"first", store.RunQuery{Limit: 20}},
	{"first of 100", store.RunQuery{Limit: 100}},
	{"by ticker", store.RunQuery{Limit: 20, Order: store.ByTicker}},
	{"middle by place", store.RunQuery{Limit: 20, From: &store.Place{Time: manyRuns / 2, Seq: manyRuns / 2}}},
	{"middle by place and ticker", store.RunQuery{Limit: 20, From: &store.Place{Text: "TK300", Time: manyRuns / 2, Seq: manyRuns / 2}, Order: store.ByTicker}},
	{"middle", store.RunQuery{Limit: 20, Offset: manyRuns / 2}},
	{"middle by ticker", store.RunQuery{Limit: 20, Offset: manyRuns / 2, Order: store.ByTicker, Ascending: true}},
	{"last", store.RunQuery{Limit: 20, Offset: manyRuns - 20}},
	{"common search", store.RunQuery{Limit: 20, Ticker: "TK"}},
	{"rare search", store.RunQuery{Limit: 20, Ticker: "TK499"}},
	{"rare search, last", store.RunQuery{Limit: 20, Offset: 180, Ticker: "TK499"}},
	{"medium search", store.RunQuery{Limit: 20, Offset: 2000, Ticker: "TK1"}},
	{"medium search by ticker", store.RunQuery{Limit: 20, Offset: 2000, Ticker: "9", Order: store.ByTicker}},
}

// A list may be slow for want of an index only by failing: without its index a page is an error,
// never a silent scan of the table. What the indexes buy is in BenchmarkRuns.
func TestPagesNeverScanTheTable(t *testing.T) {
	queries := map[string][]store.RunQuery{
		"runs_by_time": {{Limit: 1}, {Limit: 1, Ascending: true}},
		"runs_by_ticker": {{Limit: 1, Order: store.ByTicker}, {Limit: 1, Ticker: "AAP"},
			{Limit: 1, Ticker: "AAP", Order: store.ByTicker}},
	}
	for index, qs := range queries {
		path := database(t)
		s := open(t, store.Options{Path: path})
		create(t, s, ann, 1, "AAPL")
		for _, q := range qs {
			if page, err := s.Runs(t.Context(), ann, q); err != nil || len(page.Runs) != 1 {
				t.Errorf("%+v with %s: %v, %v", q, index, page, err)
			}
		}
		exec(t, rawDB(t, store.Options{Path: path}), `DROP INDEX `+index)
		for _, q := range qs {
			if _, err := s.Runs(t.Context(), ann, q); err == nil {
				t.Errorf("%+v without %s: answered by a scan", q, index)
			}
		}
	}
}

func BenchmarkRuns(b *testing.B) { benchmarkRuns(b, store.Options{Path: database(b)}) }

func BenchmarkRunsOnPostgres(b *testing.B) {
	benchmarkRuns(b, store.Options{Postgres: postgres(b), StatementTimeout: time.Minute})
}

func benchmarkRuns(b *testing.B, o store.Options) {
	s := many(b, o)
	for _, c := range deepQueries {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Runs(b.Context(), ann, c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCreateRun(b *testing.B) {
	s := open(b, store.Options{Path: database(b)})
	for n := 0; b.Loop(); n++ {
		create(b, s, ann, n, "AAPL")
	}
}
