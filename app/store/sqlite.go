package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the database/sql driver "sqlite"
)

// busyTimeout is how long a writer waits for the other process. A write holds the lock for well
// under a millisecond, so seconds of waiting mean a stuck neighbour, not load.
const busyTimeout = 5 * time.Second

// openSQLite opens the file o.Path.
func openSQLite(ctx context.Context, o Options) (*Store, error) {
	path, err := filePath(o.Path)
	if err != nil {
		return nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, err
	}
	write, err := openPool(path, 1, "journal_mode(WAL)", url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	if err := migrateSQLite(ctx, path, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	readers := o.Conns
	if readers <= 0 {
		readers = max(4, runtime.GOMAXPROCS(0))
	}
	read, err := openPool(path, readers, "query_only(1)", url.Values{})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	// Its one writer at a time is never undone by others.
	d := dialect{name: "sqlite", contains: "instr", hints: true, again: func(error) bool { return false }}
	return &Store{dialect: d, write: write, read: read}, nil
}

func filePath(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, ":memory:") {
		return "", fmt.Errorf("path %q is not a file", name)
	}
	return filepath.Abs(name)
}

// createPrivate makes a new database its user's alone, because it holds hashes of passwords and SQLite would leave that to the umask. What SQLite puts beside
// a database has the database's mode. One that exists is not even opened: closing it would drop the locks that this process has on it (fcntl(2)).
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("create database: %w", err)
	}
	return f.Close()
}

// openPool opens nothing yet: database/sql connects on first use.
func openPool(path string, conns int, pragma string, q url.Values) (*sql.DB, error) {
	q["_pragma"] = []string{
		// First, so that the pragmas after it wait for a lock instead of failing.
		"busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")",
		pragma,
		"synchronous(NORMAL)",
		"foreign_keys(1)",
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns) // opening a connection runs the pragmas again: keep them
	return db, nil
}
