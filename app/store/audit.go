package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Entry says that somebody wrote something.
type Entry struct {
	Owner
	Seq     int64
	At      time.Time
	Action  string // create, update, delete; revoke for a session whose token was used twice
	Kind    string // account, session, run, note, or a Kind of record
	Target  string // the id, or the ticker of a note
	Version int64  // after the write; of what was deleted, before it; 0 where there are no versions
	Request string // id of the request, "" when the context has none
}

// requestKey is the context's key of the request's id.
type requestKey struct{}

// WithRequest is a context whose writes are recorded under that request's id.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// record adds the entry to the transaction of what it tells of: neither is there without the other.
func record(ctx context.Context, tx *sql.Tx, e Entry) error {
	id, _ := ctx.Value(requestKey{}).(string)
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (tenant_id, user_id, written_at, action, kind, target, version, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, e.Tenant, e.User, e.At.UnixMicro(), e.Action, e.Kind, e.Target, e.Version, id)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// Audit lists an owner's entries from the newest, those before the entry numbered before when that is not 0. more: there are older ones.
func (s *Store) Audit(ctx context.Context, o Owner, before, limit int64) (list []Entry, more bool, err error) {
	b := query{args: []any{o.Tenant, o.User}}
	where := ""
	if before > 0 {
		where = ` AND seq < ` + b.arg(before)
	}
	rows, err := s.read.QueryContext(ctx, `SELECT tenant_id, user_id, seq, written_at, action, kind, target, version, request_id FROM audit
		WHERE tenant_id = $1 AND user_id = $2`+where+` ORDER BY seq DESC LIMIT `+b.arg(limit+1), b.args...)
	if err == nil {
		list, err = collect(rows, scanEntry)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list audit: %w", err)
	}
	list, more = cut(list, limit, false)
	return list, more, nil
}

func scanEntry(from row) (Entry, error) {
	var e Entry
	var at int64
	err := from.Scan(&e.Tenant, &e.User, &e.Seq, &at, &e.Action, &e.Kind, &e.Target, &e.Version, &e.Request)
	e.At = time.UnixMicro(at).UTC()
	return e, err
}
