// Package store keeps what the API service must not lose: runs, in one SQLite database file that
// several processes (the blue and the green instance) may share.
//
// Every query is scoped by an Owner, tenant and user; there is no call that reads across owners.
// A write that returned nil survives the death of the process. It survives a power cut only up to
// the last checkpoint: synchronous=NORMAL in WAL mode trades the tail of the log for one fsync less
// a commit, and never the integrity of the file.
//
// The package refuses to be an ORM, and it refuses in-memory databases, which the writer and the
// readers could not share.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the database/sql driver "sqlite"
)

// ErrNotFound says that the owner has no such record, whether or not somebody else has.
var ErrNotFound = errors.New("not found")

// busyTimeout is how long a writer waits for the other process. A write holds the lock for well
// under a millisecond, so seconds of waiting mean a stuck neighbour, not load.
const busyTimeout = 5 * time.Second

// Options says where the database is.
type Options struct {
	// Path of the database file; it is created when absent. Beside it live -wal, -shm and .lock.
	Path string
	// Readers bounds the read connections; 0 means four, or one per CPU when that is more.
	Readers int
}

// Store is a resource: Close it. It is safe for concurrent use and starts no goroutine of its own.
type Store struct {
	// write has one connection: SQLite has one writer, and queueing in Go is fair where SQLite's
	// busy retry is not.
	write *sql.DB
	// read connections are query_only: a write through the wrong pool is an error, not a surprise.
	read *sql.DB
}

// Open opens the file, creating it and bringing its schema up to date first. Processes that start
// at the same moment on the same file take turns.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Path == "" || strings.HasPrefix(o.Path, ":memory:") {
		return nil, fmt.Errorf("open store: path %q is not a file", o.Path)
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	write, err := openPool(path, 1, "journal_mode(WAL)", url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := migrate(ctx, path, write); err != nil {
		return nil, fmt.Errorf("open store: %w", errors.Join(err, write.Close()))
	}
	readers := o.Readers
	if readers <= 0 {
		readers = max(4, runtime.GOMAXPROCS(0))
	}
	read, err := openPool(path, readers, "query_only(1)", url.Values{})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", errors.Join(err, write.Close()))
	}
	return &Store{write: write, read: read}, nil
}

// Close waits for running statements and closes both pools.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

// Ping reports whether the database answers: it reads one index entry.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM runs LIMIT 1)`).Scan(&n)
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Pools is the state of the two connection pools.
type Pools struct{ Write, Read sql.DBStats }

// Pools returns a copy of the counters.
func (s *Store) Pools() Pools {
	return Pools{Write: s.write.Stats(), Read: s.read.Stats()}
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
