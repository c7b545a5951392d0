// Package store keeps what the API service must not lose: accounts, runs, scenarios and other records, notes with their versions, and who wrote them. It keeps
// them in one SQLite file, which several processes (the blue and the green instance) may share, or in a PostgreSQL database.
//
// There is one implementation: what is said to a database is the same text for both, but for the few words in dialect.
//
// Every query is scoped by an Owner, tenant and user; there is no call that reads across owners.
// A write that returned nil survives the death of the process. In SQLite it survives a power cut only up to
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
	"slices"
	"time"
)

// ErrNotFound says that the owner has no such record, whether or not somebody else has.
var ErrNotFound = errors.New("not found")

// ConflictError says that what was to be changed is not, or no longer, at the version that the writer has seen.
type ConflictError struct {
	Version int64 // where it is; 0: it is not there
}

// Error implements error.
func (e *ConflictError) Error() string { return fmt.Sprintf("it is at version %d", e.Version) }

// Options says where the database is.
type Options struct {
	// Path of the SQLite file; it is created when absent. Beside it live -wal, -shm and .lock.
	Path string
	// Postgres is a connection string (postgres://…), instead of Path.
	Postgres string
	// Conns bounds the connections; of SQLite, those that read. 0 means four, or one per CPU when that is more, for SQLite, and 20 for PostgreSQL.
	Conns int
	// StatementTimeout ends statements in PostgreSQL that take longer, and with half of it those that wait for a lock; 0 means 5 s. SQLite's end with the request.
	StatementTimeout time.Duration
}

// Store is a resource: Close it. It is safe for concurrent use and starts no goroutine of its own.
type Store struct {
	dialect
	// write has one connection for SQLite: it has one writer, and queueing in Go is fair where SQLite's
	// busy retry is not.
	write *sql.DB
	// read connections to SQLite are query_only: a write through the wrong pool is an error, not a surprise. For PostgreSQL it is the same pool as write.
	read *sql.DB
}

// dialect is where the two databases differ in what is said to them.
type dialect struct {
	name string
	// contains is the function that finds its second argument in its first.
	contains string
	// hints says that the query's index can be required by name: without it the query is an error, not a scan.
	hints bool
	// again reports whether a transaction was undone only because of others that ran at the same time.
	again func(error) bool
}

// Open opens the database, creating a file and bringing the schema up to date first. Processes that start
// at the same moment on the same database take turns.
func Open(ctx context.Context, o Options) (*Store, error) {
	open := openSQLite
	if o.Postgres != "" {
		open = openPostgres
	}
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// Close waits for running statements and closes the pools.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// Ping reports whether the database answers: it reads one index entry.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM runs LIMIT 1) AS any_run`).Scan(&n)
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Pool is the state of a connection pool.
type Pool struct {
	Name  string // write and read; or postgres
	Stats sql.DBStats
}

// Pools returns a copy of the counters.
func (s *Store) Pools() []Pool {
	if s.read == s.write {
		return []Pool{{s.name, s.write.Stats()}}
	}
	return []Pool{{"write", s.write.Stats()}, {"read", s.read.Stats()}}
}

// tries is how often a transaction is begun that others undo. Each of them lets at least one of the others through.
const tries = 8

// change runs do in a transaction, and again if others undid it. When it returns nil what was written is durable against the death of this process.
func (s *Store) change(ctx context.Context, what string, do func(*sql.Tx) error) (err error) {
	for range tries {
		if err = s.transact(ctx, do); err == nil {
			return nil
		}
		if !s.again(err) {
			break
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (s *Store) transact(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		// A context that ended has rolled back already.
		if undo := tx.Rollback(); !errors.Is(undo, sql.ErrTxDone) {
			err = errors.Join(err, undo)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// snapshot begins to read: both databases then answer every query from the same moment.
func (s *Store) snapshot(ctx context.Context) (*sql.Tx, error) {
	return s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
}

// row is *sql.Row and *sql.Rows.
type row interface{ Scan(dest ...any) error }

// collect scans every row and closes them.
func collect[T any](rows *sql.Rows, scan func(row) (T, error)) (list []T, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// Place is where an entry stands in a list: what the list is sorted by.
type Place struct {
	Text string // ticker or subject; not looked at in the order of time
	Time int64  // microseconds since 1970
	Seq  int64
}

// cut trims what was read beyond limit to know whether there is more, and turns round what was read from the other end.
func cut[T any](list []T, limit int64, turned bool) (_ []T, more bool) {
	if int64(len(list)) > limit {
		list, more = list[:limit], true
	}
	if turned {
		slices.Reverse(list)
	}
	return list, more
}
