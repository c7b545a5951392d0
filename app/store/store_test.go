package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/store"
)

var (
	ann = store.Owner{Tenant: "t1", User: "ann"}
	bob = store.Owner{Tenant: "t1", User: "bob"}
	eve = store.Owner{Tenant: "t2", User: "ann"}
)

// create writes a run of the time n; more tells apart the ids of several of that time.
func create(t testing.TB, s *store.Store, o store.Owner, n int, ticker string, more ...string) store.Run {
	t.Helper()
	r := store.Run{
		ID: fmt.Sprintf("%s-%s-%d%v", o.Tenant, o.User, n, more), Ticker: ticker,
		Inputs: json.RawMessage(`{"ticker":"` + ticker + `", "n": ` + fmt.Sprint(n) + `}`), CreatedAt: at(n),
	}
	if err := s.CreateRun(t.Context(), o, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func at(n int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, n, 1000, time.UTC)
}

func TestRunComesBackAsItWasWritten(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		want := store.Run{
			ID: "r1", Ticker: "AAPL", Inputs: json.RawMessage(`{"ticker": "aapl",  "x":"'; DROP TABLE runs; --<b>\u0000"}`),
			MCSettings: json.RawMessage(`{}`), Results: json.RawMessage(`[1e400]`),
			ClientTimestamp: "2026-01-01T00:00:00Z", CreatedAt: at(1),
		}
		if err := s.CreateRun(t.Context(), ann, want); err != nil {
			t.Fatal(err)
		}
		reopened := open(t, db) // a second store on the same file, as green has beside blue
		for _, s := range []*store.Store{s, reopened} {
			got, err := s.Run(t.Context(), ann, "r1")
			if err != nil {
				t.Fatal(err)
			}
			got.Seq = 0 // the store's own
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
	})
}

func TestOwnersDoNotSeeEachOther(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		run := create(t, s, ann, 1, "AAPL")
		for _, other := range []store.Owner{bob, eve, {}} {
			if _, err := s.Run(t.Context(), other, run.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v reads ann's run: %v", other, err)
			}
			if _, err := s.LastRun(t.Context(), other); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v has a last run: %v", other, err)
			}
			page, err := s.Runs(t.Context(), other, store.RunQuery{Limit: 10})
			if err != nil || page.Total != 0 || len(page.Runs) != 0 {
				t.Errorf("%v lists %v, %v", other, page, err)
			}
		}
	})
}

func TestLastRunIsTheNewest(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		create(t, s, ann, 2, "B")
		create(t, s, ann, 5, "E")
		create(t, s, ann, 3, "C")
		got, err := s.LastRun(t.Context(), ann)
		if err != nil || got.Ticker != "E" {
			t.Errorf("last run %v, %v", got, err)
		}
	})
}

func TestDuplicateIDChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		run := create(t, s, ann, 1, "AAPL")
		run.Ticker = "MSFT"
		if err := s.CreateRun(t.Context(), ann, run); err == nil {
			t.Fatal("a second run with the same id was accepted")
		}
		page, err := s.Runs(t.Context(), ann, store.RunQuery{Limit: 10})
		if err != nil || page.Total != 1 || len(page.Runs) != 1 || page.Runs[0].Ticker != "AAPL" {
			t.Errorf("after the refusal: %v, %v", page, err)
		}
	})
}

func TestConcurrentOpensMigrateOnce(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				s, err := store.Open(t.Context(), db)
				if err == nil {
					err = s.CreateRun(t.Context(), ann, store.Run{ID: fmt.Sprint(i), Ticker: "A",
						Inputs: json.RawMessage(`{}`), CreatedAt: at(i)})
					err = errors.Join(err, s.Close())
				}
				errs[i] = err
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		page, err := open(t, db).Runs(t.Context(), ann, store.RunQuery{Limit: 100})
		if err != nil || page.Total != 8 || len(page.Runs) != 8 {
			t.Errorf("%d of %d runs, %v", len(page.Runs), page.Total, err)
		}
	})
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		create(t, open(t, db), ann, 1, "AAPL")
		raw := rawDB(t, db)
		exec(t, raw, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, TRUE)`)
		s := open(t, db)
		create(t, s, ann, 2, "MSFT")
		if r, err := s.LastRun(t.Context(), ann); err != nil || r.Ticker != "MSFT" {
			t.Errorf("last run %v, %v", r, err)
		}
	})
}

func TestPragmasHold(t *testing.T) {
	path := database(t)
	s := open(t, store.Options{Path: path})
	create(t, s, ann, 1, "A")
	var mode string
	if err := rawDB(t, store.Options{Path: path}).QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil || mode != "wal" {
		t.Errorf("journal mode %q, %v", mode, err)
	}
	p := s.Pools()
	if len(p) != 2 || p[0].Name != "write" || p[0].Stats.MaxOpenConnections != 1 || p[1].Name != "read" || p[1].Stats.MaxOpenConnections < 4 {
		t.Errorf("pools %+v", p)
	}
}

// TestDatabaseIsPrivate: whatever the umask, others of the machine read neither the database nor its log.
func TestDatabaseIsPrivate(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Path: filepath.Join(dir, "valor.db")})
	create(t, s, ann, 1, "AAPL")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestRefusesWhatIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", ":memory:", dir, filepath.Join(dir, "absent", "x.db")} {
		if s, err := store.Open(t.Context(), store.Options{Path: path}); err == nil {
			s.Close()
			t.Errorf("opened %q", path)
		}
	}
}

func TestPingFailsOnceClosed(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s, err := store.Open(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Error("a closed store answers")
		}
	})
}

func TestCancelledCreateLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.CreateRun(ctx, ann, store.Run{ID: "x", Ticker: "A", Inputs: json.RawMessage(`{}`)}); err == nil {
			t.Error("a cancelled write was acknowledged")
		}
		page, err := s.Runs(t.Context(), ann, store.RunQuery{Limit: 1})
		if err != nil || page.Total != 0 {
			t.Errorf("%v, %v", page, err)
		}
	})
}
