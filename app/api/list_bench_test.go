package api_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/store"
)

// BenchmarkRunList asks for pages of 100,000 runs at 500 requests a second, through a listener, and reports the 99th percentile of the times from when each was due:
// one that waits for the ones before it counts its wait. Run it with -benchtime 5000x.
func BenchmarkRunList(b *testing.B) {
	const rows, rate = 100_000, 500
	path := filepath.Join(b.TempDir(), "many.db")
	db, err := store.Open(b.Context(), store.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	raw, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	for _, q := range []string{
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 100000)
			INSERT INTO runs (run_id, tenant_id, user_id, ticker, inputs, created_at)
			SELECT 'run'||i, 'demo', 'demo', 'TK'||(i*7919%500), '{"ticker":"A","pad":"'||hex(zeroblob(300))||'"}', i FROM n`,
		`INSERT INTO run_counts SELECT tenant_id, user_id, ticker, count(*) FROM runs GROUP BY ticker`,
		`INSERT INTO run_counts VALUES ('demo', 'demo', '', 100000)`,
	} {
		if _, err := raw.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	s := start(b, func(o *api.Options) { o.Store = db })
	var middle struct {
		Data struct {
			Pagination struct {
				Next string `json:"next_cursor"`
			}
		}
	}
	s.send("GET", fmt.Sprintf("/api/runs?page=%d", rows/40), "").into(b, 200, &middle)
	for name, query := range map[string]string{
		"first": "", "middle_by_cursor": "?cursor=" + middle.Data.Pagination.Next, "middle_by_number": fmt.Sprintf("?page=%d", rows/40), "search": "?search_term=TK499",
	} {
		b.Run(name, func(b *testing.B) {
			times := paced(b, rate, func() error { return page(s.Client(), s.URL+"/api/runs"+query) })
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
		})
	}
}

func page(c *http.Client, url string) error {
	res, err := c.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var list struct{ Success bool }
	if err := json.NewDecoder(res.Body).Decode(&list); err != nil || !list.Success || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%d, %v, %v", res.StatusCode, list, err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// paced does b.N things, each when it is due, and sorts how long after that each was done.
func paced(b *testing.B, rate int, do func() error) []time.Duration {
	b.Helper()
	times, began := make([]time.Duration, b.N), time.Now()
	var wg sync.WaitGroup
	for i := range b.N {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if err := do(); err != nil {
				b.Error(err)
			}
			times[i] = time.Since(due)
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times
}
