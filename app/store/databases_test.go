package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/pgtest"
	"github.com/valor-ivx/weir/app/store"
)

// cluster is the PostgreSQL server of all tests here, started by the first that needs it and ended by TestMain.
var cluster pgtest.Shared

func TestMain(m *testing.M) { os.Exit(runAndStop(m)) }

func runAndStop(m *testing.M) int {
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// each runs a test on an empty database of each kind. No statement is to end because the machine is busy.
func each(t *testing.T, test func(t *testing.T, db store.Options)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, store.Options{Path: database(t)}) })
	t.Run("postgres", func(t *testing.T) { test(t, store.Options{Postgres: postgres(t), StatementTimeout: time.Minute}) })
}

// postgres is the connection string of an empty database.
func postgres(t testing.TB) string { return cluster.Database(t) }

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// database is the path of a file that is not there, with every character that could be taken for something else.
func database(t testing.TB) string { return filepath.Join(t.TempDir(), "a b?#%.db") }

// rawDB is a connection beside the store's.
func rawDB(t testing.TB, o store.Options) *sql.DB {
	t.Helper()
	driver, name := "sqlite", dsn(o.Path)
	if o.Postgres != "" {
		driver, name = "pgx", o.Postgres
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}
