package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Errors of documents that several people write.
var (
	ErrConflict = errors.New("another version")  // somebody wrote in between
	ErrRepeated = errors.New("written before")   // the same request of the same user
	ErrFull     = errors.New("no room for more") // documents of a tenant, members of a document
)

// DocumentKey names a document within its tenant.
type DocumentKey struct{ Tenant, Document string }

// DocumentState changes with every batch and with everybody who comes, moves or goes.
type DocumentState struct{ Version, Presence int64 }

// SavedDocument is a snapshot and what was written after it.
type SavedDocument struct {
	Snapshot []byte // nil: there is none yet
	Batches  []Batch
}

// Batch is one write: the ops that took effect, as JSON.
type Batch struct {
	Version       int64
	User, Request string
	Ops           []byte
}

// Member is one connection to a document. Cursor is JSON; "" for none.
type Member struct {
	Client, User, Name, Cursor string
}

// Documents keeps what people write together. It is a view of a Store, and has nothing to close.
type Documents struct{ *Store }

// Documents is that view.
func (s *Store) Documents() Documents { return Documents{s} }

// Load reads a document, which is empty as long as nobody has written it.
func (d Documents) Load(ctx context.Context, k DocumentKey) (saved SavedDocument, err error) {
	tx, err := d.snapshot(ctx)
	if err != nil {
		return saved, fmt.Errorf("load document: %w", err)
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	var snapshot sql.NullString
	var version int64
	err = tx.QueryRowContext(ctx, `SELECT snapshot, snapshot_version FROM documents WHERE tenant_id = $1 AND document_id = $2`, k.Tenant, k.Document).Scan(&snapshot, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return saved, nil
	}
	if err != nil {
		return saved, fmt.Errorf("load document: %w", err)
	}
	if snapshot.Valid {
		saved.Snapshot = []byte(snapshot.String)
	}
	saved.Batches, err = batchesSince(ctx, tx, k, version)
	return saved, err
}

// State is where a document stands, zero if there is none.
func (d Documents) State(ctx context.Context, k DocumentKey) (at DocumentState, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT version, presence FROM documents WHERE tenant_id = $1 AND document_id = $2`, k.Tenant, k.Document).Scan(&at.Version, &at.Presence)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return at, fmt.Errorf("read state of document: %w", err)
	}
	return at, nil
}

// Since are the batches after a version, oldest first; those that have been forgotten are missing at the front.
func (d Documents) Since(ctx context.Context, k DocumentKey, version int64) ([]Batch, error) {
	return batchesSince(ctx, d.read, k, version)
}

// Append writes batch b.Version if it is the next one, with the snapshot of the document after it (nil: none), and forgets those keep versions back. It fails
// with ErrConflict when it is not the next, and with ErrRepeated when the user's request was written before. When it returns nil the batch is durable against
// the death of this process.
func (d Documents) Append(ctx context.Context, k DocumentKey, b Batch, snapshot []byte, keep int64) error {
	return d.change(ctx, "append batch", func(tx *sql.Tx) error {
		var before int64
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM document_batches WHERE tenant_id = $1 AND document_id = $2 AND user_id = $3 AND request_id = $4`,
			k.Tenant, k.Document, b.User, b.Request).Scan(&before)
		if err != nil || before > 0 {
			return errors.Join(err, ErrRepeated)
		}
		done, err := tx.ExecContext(ctx, `UPDATE documents SET version = version + 1 WHERE tenant_id = $1 AND document_id = $2 AND version = $3`, k.Tenant, k.Document, b.Version-1)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrConflict)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO document_batches (tenant_id, document_id, version, user_id, request_id, ops) VALUES ($1, $2, $3, $4, $5, $6)`,
			k.Tenant, k.Document, b.Version, b.User, b.Request, string(b.Ops))
		if err != nil || snapshot == nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE documents SET snapshot = $1, snapshot_version = $2 WHERE tenant_id = $3 AND document_id = $4`, string(snapshot), b.Version, k.Tenant, k.Document)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM document_batches WHERE tenant_id = $1 AND document_id = $2 AND version <= $3`, k.Tenant, k.Document, b.Version-keep)
		return err
	})
}

// Written is the batch that a user's request wrote, or ErrNotFound.
func (d Documents) Written(ctx context.Context, k DocumentKey, user, request string) (Batch, error) {
	b := Batch{User: user, Request: request}
	var ops string
	err := d.read.QueryRowContext(ctx, `SELECT version, ops FROM document_batches WHERE tenant_id = $1 AND document_id = $2 AND user_id = $3 AND request_id = $4`,
		k.Tenant, k.Document, user, request).Scan(&b.Version, &ops)
	if errors.Is(err, sql.ErrNoRows) {
		return b, fmt.Errorf("read batch: %w", ErrNotFound)
	}
	if err != nil {
		return b, fmt.Errorf("read batch: %w", err)
	}
	b.Ops = []byte(ops)
	return b, nil
}

// Bounds of Join.
type Bounds struct {
	Documents int64 // of a tenant
	Members   int64 // of a document
	Until     time.Time
}

// Join adds a member, and the document if there is none, or fails with ErrFull.
func (d Documents) Join(ctx context.Context, k DocumentKey, m Member, most Bounds, now time.Time) error {
	return d.change(ctx, "join document", func(tx *sql.Tx) error {
		if err := ensureDocument(ctx, tx, k, most.Documents); err != nil {
			return err
		}
		// First, for its lock on the document: those who join at once count one after the other.
		if err := bumpPresence(ctx, tx, k); err != nil {
			return err
		}
		if err := dropExpired(ctx, tx, k, now); err != nil {
			return err
		}
		var members int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM document_members WHERE tenant_id = $1 AND document_id = $2`, k.Tenant, k.Document).Scan(&members); err != nil {
			return err
		}
		if members >= most.Members {
			return fmt.Errorf("%w: %d members", ErrFull, members)
		}
		return putMember(ctx, tx, k, m, most.Until)
	})
}

// Sign is one of life.
type Sign struct {
	Members    []Member
	Moved      bool // one of them is not where it was
	Now, Until time.Time
}

// Refresh writes members who are still there, until a time, and takes away those whose time is over.
func (d Documents) Refresh(ctx context.Context, k DocumentKey, s Sign) error {
	return d.change(ctx, "refresh members", func(tx *sql.Tx) error {
		for _, m := range s.Members {
			if err := putMember(ctx, tx, k, m, s.Until); err != nil {
				return err
			}
		}
		if err := dropExpired(ctx, tx, k, s.Now); err != nil || !s.Moved {
			return err
		}
		return bumpPresence(ctx, tx, k)
	})
}

// Leave takes a member away.
func (d Documents) Leave(ctx context.Context, k DocumentKey, client string) error {
	return d.change(ctx, "leave document", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM document_members WHERE tenant_id = $1 AND document_id = $2 AND client_id = $3`, k.Tenant, k.Document, client); err != nil {
			return err
		}
		return bumpPresence(ctx, tx, k)
	})
}

// Members are those whose time is not over.
func (d Documents) Members(ctx context.Context, k DocumentKey, now time.Time) (list []Member, err error) {
	rows, err := d.read.QueryContext(ctx, `SELECT client_id, user_id, name, cursor FROM document_members
		WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3 ORDER BY client_id`, k.Tenant, k.Document, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m Member
		if err := rows.Scan(&m.Client, &m.User, &m.Name, &m.Cursor); err != nil {
			return nil, fmt.Errorf("list members: %w", err)
		}
		list = append(list, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return list, nil
}

func ensureDocument(ctx context.Context, tx *sql.Tx, k DocumentKey, most int64) error {
	var there, documents int64
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM documents WHERE tenant_id = $1 AND document_id = $2`, k.Tenant, k.Document).Scan(&there)
	if err != nil || there > 0 {
		return err
	}
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM documents WHERE tenant_id = $1`, k.Tenant).Scan(&documents); err != nil {
		return err
	}
	if documents >= most {
		return fmt.Errorf("%w: %d documents", ErrFull, documents)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO documents (tenant_id, document_id, version, presence, snapshot_version) VALUES ($1, $2, 0, 0, 0) ON CONFLICT DO NOTHING`, k.Tenant, k.Document)
	return err
}

func putMember(ctx context.Context, tx *sql.Tx, k DocumentKey, m Member, until time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO document_members (tenant_id, document_id, client_id, user_id, name, cursor, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant_id, document_id, client_id) DO UPDATE SET name = excluded.name, cursor = excluded.cursor, expires_at = excluded.expires_at`,
		k.Tenant, k.Document, m.Client, m.User, m.Name, m.Cursor, until.UnixMicro())
	return err
}

// dropExpired takes members away whose instance died: the others are told by the presence counter.
func dropExpired(ctx context.Context, tx *sql.Tx, k DocumentKey, now time.Time) error {
	done, err := tx.ExecContext(ctx, `DELETE FROM document_members WHERE tenant_id = $1 AND document_id = $2 AND expires_at <= $3`, k.Tenant, k.Document, now.UnixMicro())
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return bumpPresence(ctx, tx, k)
}

func bumpPresence(ctx context.Context, tx *sql.Tx, k DocumentKey) error {
	_, err := tx.ExecContext(ctx, `UPDATE documents SET presence = presence + 1 WHERE tenant_id = $1 AND document_id = $2`, k.Tenant, k.Document)
	return err
}

// querier is *sql.DB and *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func batchesSince(ctx context.Context, from querier, k DocumentKey, version int64) (list []Batch, err error) {
	rows, err := from.QueryContext(ctx, `SELECT version, user_id, request_id, ops FROM document_batches
		WHERE tenant_id = $1 AND document_id = $2 AND version > $3 ORDER BY version`, k.Tenant, k.Document, version)
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var b Batch
		var ops string
		if err := rows.Scan(&b.Version, &b.User, &b.Request, &ops); err != nil {
			return nil, fmt.Errorf("read batches: %w", err)
		}
		b.Ops = []byte(ops)
		list = append(list, b)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	return list, nil
}
