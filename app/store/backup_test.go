package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/app/store"
)

// A backup under writes is a moment of the database: of each writer the first so many runs and none after them, with counts and audit log that agree; all that was
// acknowledged before it began is in it.
func TestBackupUnderWrites(t *testing.T) {
	o := store.Options{Path: database(t)}
	s := open(t, o)
	const writers, backups = 4, 3
	owner := func(w int) store.Owner { return store.Owner{Tenant: "t", User: fmt.Sprint("writer", w)} }
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex // guards written
	further := sync.NewCond(&mu)
	var written [writers]int
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				run := store.Run{ID: fmt.Sprint(w, "-", n), Ticker: "AAPL", Inputs: json.RawMessage(`{"ticker": "AAPL"}`), CreatedAt: at(n)}
				if err := s.CreateRun(t.Context(), owner(w), run); err != nil {
					t.Error(err)
					cancel()
				}
				mu.Lock()
				written[w]++
				further.Signal()
				mu.Unlock()
			}
		})
	}
	dir := t.TempDir()
	for b := range backups {
		mu.Lock()
		for slices.Min(written[:]) <= 10*(b+1) && ctx.Err() == nil { // every writer has come further than before
			further.Wait()
		}
		before := written
		mu.Unlock()
		to := filepath.Join(dir, fmt.Sprintf("b %d.db", b))
		if err := store.Backup(t.Context(), o, to); err != nil {
			t.Fatal(err)
		}
		copied := open(t, store.Options{Path: to})
		for w := range writers {
			page, err := copied.Runs(t.Context(), owner(w), store.RunQuery{Limit: 1, Ascending: true})
			if err != nil || page.Total < int64(before[w]) {
				t.Fatalf("%d runs of %d, %v", page.Total, before[w], err)
			}
			last, err := copied.LastRun(t.Context(), owner(w))
			if err != nil || last.CreatedAt != at(int(page.Total)-1) {
				t.Errorf("the last of %d runs is that of %v, %v", page.Total, last.CreatedAt, err)
			}
			if list, _, err := copied.Audit(t.Context(), owner(w), 0, 1<<20); err != nil || int64(len(list)) != page.Total {
				t.Errorf("%d entries for %d runs, %v", len(list), page.Total, err)
			}
		}
		create(t, copied, ann, 1, "A") // it is a database to go on with
	}
	cancel()
	wg.Wait()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if strings.HasPrefix(f.Name(), ".backup") {
			t.Errorf("%s was left", f.Name())
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	o, dir := store.Options{Path: database(t)}, t.TempDir()
	create(t, open(t, o), ann, 1, "A")
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from store.Options
		to   string
	}{
		"what is there":    {o, there},
		"a folder":         {o, dir},
		"no folder":        {o, filepath.Join(dir, "absent", "x")},
		"nowhere":          {o, ""},
		"no database":      {store.Options{Path: filepath.Join(dir, "absent.db")}, filepath.Join(dir, "x")},
		"not a database":   {store.Options{Path: there}, filepath.Join(dir, "x")},
		"not of this kind": {store.Options{Postgres: "postgres://h/db"}, filepath.Join(dir, "x")},
	} {
		if err := store.Backup(t.Context(), c.from, c.to); err == nil {
			t.Errorf("%s: backed up", name)
		} else if c.from.Postgres != "" && !errors.Is(err, store.ErrNotSQLite) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Backup(ctx, o, filepath.Join(dir, "x")); err == nil {
		t.Error("a cancelled backup was made")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}
