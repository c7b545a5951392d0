package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// defaultConns is a fifth of what PostgreSQL takes unless told otherwise (max_connections = 100): two colours and their successors fit.
	defaultConns            = 20
	defaultStatementTimeout = 5 * time.Second
	// connectTimeout bounds one attempt to reach the server, unless the connection string says how long (connect_timeout).
	connectTimeout = 5 * time.Second
	// connLife is how long a connection is used: after a failover those to the old server end by themselves.
	connLife, connIdle = time.Hour, 5 * time.Minute
)

// Codes of PostgreSQL for transactions that others undid (its documentation, 13.5: "must be prepared to retry").
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// openPostgres opens the database of o.Postgres. The pool is database/sql's on pgx, the same as SQLite's, so that both have the same limits and gauges.
func openPostgres(ctx context.Context, o Options) (*Store, error) {
	config, err := pgx.ParseConfig(o.Postgres)
	if err != nil {
		return nil, errors.New("the connection string cannot be read") // pgx's error quotes it, with what it takes for the password cut out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["application_name"] = "valor-api"
	if err := migratePostgres(ctx, config); err != nil {
		return nil, err
	}
	limit := o.StatementTimeout
	if limit <= 0 {
		limit = defaultStatementTimeout
	}
	ms := func(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }
	config.RuntimeParams["statement_timeout"] = ms(limit)
	config.RuntimeParams["lock_timeout"] = ms(limit / 2)
	config.RuntimeParams["idle_in_transaction_session_timeout"] = ms(2 * limit) // of a process that stopped in the middle
	db := stdlib.OpenDB(*config)
	conns := o.Conns
	if conns <= 0 {
		conns = defaultConns
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(connIdle)
	db.SetConnMaxLifetime(connLife)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach postgres: %w", err), db.Close())
	}
	return &Store{dialect: dialect{name: "postgres", contains: "strpos", again: undoneByOthers}, write: db, read: db}, nil
}

func undoneByOthers(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

// migratePostgres brings the schema up to date on a connection of its own, which waits as long as a migration takes.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	db := stdlib.OpenDB(*config.Copy())
	return errors.Join(upPostgres(ctx, db), db.Close())
}

func upPostgres(ctx context.Context, db *sql.DB) error {
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach postgres: %w", err)
	}
	unlock, err := lockDatabase(ctx, db)
	if err != nil {
		return err
	}
	return errors.Join(up(ctx, db, "postgres"), unlock())
}

// migrationLock is the advisory lock of those who migrate: "valor" in ASCII.
const migrationLock = 0x76616c6f72

// lockDatabase waits for the lock. goose's own locker asks every second or slower, which every start of a second instance would take.
// The server gives the lock back when the connection ends, so a crash leaves nothing to clean up.
func lockDatabase(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return nil, fmt.Errorf("lock: %w", errors.Join(err, conn.Close()))
	}
	return func() error {
		_, err := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrationLock))
		return errors.Join(err, conn.Close())
	}, nil
}
