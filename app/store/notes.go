package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// keptVersions is how many versions of a note there are at most; the oldest go.
const keptVersions = 100

// Note is one version of what an owner has written about a ticker.
type Note struct {
	Ticker    string
	Version   int64 // counts from 1
	Content   string
	WrittenAt time.Time // kept to the microsecond, in UTC
}

// NoteVersion is a note without its content.
type NoteVersion struct {
	Version   int64
	Size      int64 // of the content, bytes
	WrittenAt time.Time
}

const noteColumns = `ticker, version, content, written_at`

// Note is a version of the owner's note, the newest for 0, or ErrNotFound.
func (s *Store) Note(ctx context.Context, o Owner, ticker string, version int64) (Note, error) {
	if version > 0 {
		return scanNote(s.read.QueryRowContext(ctx, `SELECT `+noteColumns+` FROM notes WHERE tenant_id = $1 AND user_id = $2 AND ticker = $3 AND version = $4`,
			o.Tenant, o.User, ticker, version))
	}
	return scanNote(s.read.QueryRowContext(ctx, `SELECT `+noteColumns+` FROM notes WHERE tenant_id = $1 AND user_id = $2 AND ticker = $3 ORDER BY version DESC LIMIT 1`,
		o.Tenant, o.User, ticker))
}

// NoteVersions lists the versions that are kept, the newest first.
func (s *Store) NoteVersions(ctx context.Context, o Owner, ticker string) ([]NoteVersion, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT version, octet_length(content), written_at FROM notes
		WHERE tenant_id = $1 AND user_id = $2 AND ticker = $3 ORDER BY version DESC`, o.Tenant, o.User, ticker)
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	list, err := collect(rows, func(from row) (v NoteVersion, err error) {
		var at int64
		err = from.Scan(&v.Version, &v.Size, &at)
		v.WrittenAt = time.UnixMicro(at).UTC()
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return list, nil
}

// Notes lists the newest versions of all the owner's notes whose ticker is after the one given, in the order of tickers.
func (s *Store) Notes(ctx context.Context, o Owner, after string, limit int64) (list []Note, more bool, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT n.ticker, n.version, '', n.written_at FROM
		(SELECT ticker, max(version) AS version FROM notes WHERE tenant_id = $1 AND user_id = $2 AND ticker > $3 GROUP BY ticker ORDER BY ticker LIMIT $4) newest
		JOIN notes n ON n.tenant_id = $1 AND n.user_id = $2 AND n.ticker = newest.ticker AND n.version = newest.version ORDER BY n.ticker`,
		o.Tenant, o.User, after, limit+1)
	if err == nil {
		list, err = collect(rows, scanNote)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list notes: %w", err)
	}
	list, more = cut(list, limit, false)
	return list, more, nil
}

// AnyVersion makes WriteNote write whatever is there.
const AnyVersion = -1

// WriteNote adds the version of a note that follows seen, the version that the writer has read: 0 says that there was none. It fails with a ConflictError
// when the newest is another. It gives what it wrote.
func (s *Store) WriteNote(ctx context.Context, o Owner, n Note, seen int64) (Note, error) {
	n.WrittenAt = n.WrittenAt.UTC().Truncate(time.Microsecond)
	for {
		err := s.change(ctx, "write note", func(tx *sql.Tx) error { return s.writeNote(ctx, tx, o, &n, seen) })
		var conflict *ConflictError
		if errors.As(err, &conflict) && seen == AnyVersion {
			continue // somebody was faster, which only PostgreSQL lets happen: write after them
		}
		return n, err
	}
}

func (s *Store) writeNote(ctx context.Context, tx *sql.Tx, o Owner, n *Note, seen int64) error {
	var newest int64
	err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM notes WHERE tenant_id = $1 AND user_id = $2 AND ticker = $3`,
		o.Tenant, o.User, n.Ticker).Scan(&newest)
	if err != nil {
		return err
	}
	if seen != AnyVersion && seen != newest {
		return &ConflictError{newest}
	}
	n.Version = newest + 1
	done, err := tx.ExecContext(ctx, `INSERT INTO notes (tenant_id, user_id, `+noteColumns+`) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		o.Tenant, o.User, n.Ticker, n.Version, n.Content, n.WrittenAt.UnixMicro())
	if err != nil {
		return err
	}
	if added, err := done.RowsAffected(); err != nil || added == 0 {
		return errors.Join(err, &ConflictError{n.Version}) // the other's, who was faster
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM notes WHERE tenant_id = $1 AND user_id = $2 AND ticker = $3 AND version <= $4`,
		o.Tenant, o.User, n.Ticker, n.Version-keptVersions); err != nil {
		return err
	}
	action := "update"
	if n.Version == 1 {
		action = "create"
	}
	return record(ctx, tx, Entry{Owner: o, At: n.WrittenAt, Action: action, Kind: "note", Target: n.Ticker, Version: n.Version})
}

func scanNote(from row) (n Note, err error) {
	var at int64
	err = from.Scan(&n.Ticker, &n.Version, &n.Content, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Note{}, fmt.Errorf("read note: %w", ErrNotFound)
	}
	if err != nil {
		return Note{}, fmt.Errorf("read note: %w", err)
	}
	n.WrittenAt = time.UnixMicro(at).UTC()
	return n, nil
}
