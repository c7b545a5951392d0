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
)

// ErrNotSQLite says that a database is kept in no file of ours.
var ErrNotSQLite = errors.New("only a SQLite file is backed up: PostgreSQL has pg_dump")

// Backup writes a copy of the SQLite file o.Path, as it is at one moment, to the file to, which must not be there yet. Processes go on reading and writing meanwhile.
// What is there at the end is whole and on the disk: it is written under another name first, checked, and then given its own.
func Backup(ctx context.Context, o Options, to string) (err error) {
	if o.Postgres != "" {
		return fmt.Errorf("back up: %w", ErrNotSQLite)
	}
	from, err := filePath(o.Path)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if _, err := os.Stat(from); err != nil { // opening would make an empty one
		return fmt.Errorf("back up: %w", err)
	}
	if to, err = filePath(to); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	// In a folder of its own, so that nothing of a copy that failed is left beside the others, and for its owner alone: it has what people noted and the hashes of their passwords.
	dir, err := os.MkdirTemp(filepath.Dir(to), ".backup-")
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	part := filepath.Join(dir, "part")
	if err := copyDatabase(ctx, from, part); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := checkDatabase(ctx, part); err != nil {
		return fmt.Errorf("back up: check the copy: %w", err)
	}
	if err := settle(part, to); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// copyDatabase reads everything in one transaction, which in WAL mode nobody waits for. What comes out has no free pages and no log beside it.
func copyDatabase(ctx context.Context, from, to string) error {
	db, err := openPool(from, 1, "query_only(0)", url.Values{})
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO $1`, to)
	return errors.Join(err, db.Close())
}

// checkDatabase reads every page and compares every index with its table.
func checkDatabase(ctx context.Context, path string) (err error) {
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New(verdict)
	}
	return nil
}

// settle puts the file on the disk and then under its name, unless somebody has that name.
func settle(part, to string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, where a renaming would replace what is there.
	if err := os.Link(part, to); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already", to)
	} else if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
