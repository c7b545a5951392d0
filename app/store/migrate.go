package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrateSQLite brings the schema up to date while holding an exclusive lock on a file beside the
// database. SQLite's own locks are not enough for two processes that start together: turning an
// empty file into a WAL database answers "locked" without waiting for busy_timeout, and goose reads
// the version before it begins the transaction that changes it. The kernel drops the lock with the
// process, so a crash leaves nothing to clean up.
//
// A schema newer than this binary is left alone: while green is rolled out, blue may restart on the
// schema green brought. Migrations therefore only add, and drop one release later.
func migrateSQLite(ctx context.Context, path string, db *sql.DB) (err error) {
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()

	return up(ctx, db, "sqlite")
}

// up runs the migrations of one dialect that the database does not have yet.
func up(ctx context.Context, db *sql.DB, name string) error {
	dir, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	kind := goose.DialectSQLite3
	if name == "postgres" {
		kind = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(kind, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// lockFile takes the exclusive lock, polling because flock cannot be given a deadline.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f.Close, nil // closing the only descriptor releases the lock
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, f.Close()))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, errors.Join(ctx.Err(), f.Close()))
		case <-tick.C:
		}
	}
}
