package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what a record is of.
type Kind string

const (
	DCFScenario Kind = "dcf.scenario"
	LBOScenario Kind = "lbo.scenario"
	MAScenario  Kind = "ma.scenario"
	LBORun      Kind = "lbo.run"
	MARun       Kind = "ma.run"
)

// Record is a document about a subject. The JSON fields are stored and returned byte for byte; all but Inputs may be empty. An owner has one record of a
// kind, a subject and a name.
type Record struct {
	ID       string
	Kind     Kind
	Subject  string // ticker, company or deal
	Name     string // of a scenario; a run's is its id
	Inputs   json.RawMessage
	Settings json.RawMessage
	Results  json.RawMessage
	Parties  json.RawMessage

	Version   int64     // counts from 1
	CreatedAt time.Time // kept to the microsecond, in UTC
	UpdatedAt time.Time
	Seq       int64 // the store's, in the order of writing
}

const recordColumns = `seq, record_id, kind, subject, name, inputs, mc_settings, results, parties, version, created_at, updated_at`

// SaveRecords adds the records, or gives those that the owner has of the same kind, subject and name their next version; all of them or, on an error, none.
func (s *Store) SaveRecords(ctx context.Context, o Owner, list []Record) error {
	list = slices.Clone(list)
	// In one order for all writers, so that two of them do not wait for each other.
	slices.SortStableFunc(list, func(a, b Record) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.Subject+"\x00"+a.Name, string(b.Kind)+"\x00"+b.Subject+"\x00"+b.Name)
	})
	return s.change(ctx, "save records", func(tx *sql.Tx) error {
		for _, r := range list {
			if err := saveRecord(ctx, tx, o, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func saveRecord(ctx context.Context, tx *sql.Tx, o Owner, r Record) error {
	entry := Entry{Owner: o, At: r.UpdatedAt, Action: "create", Kind: string(r.Kind)}
	at := r.UpdatedAt.UnixMicro()
	err := tx.QueryRowContext(ctx, `INSERT INTO records
		(tenant_id, user_id, record_id, kind, subject, name, fold, inputs, mc_settings, results, parties, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $12)
		ON CONFLICT (tenant_id, user_id, kind, subject, name) DO UPDATE SET inputs = excluded.inputs, mc_settings = excluded.mc_settings,
			results = excluded.results, parties = excluded.parties, version = records.version + 1, updated_at = excluded.updated_at
		RETURNING record_id, version`,
		o.Tenant, o.User, r.ID, string(r.Kind), r.Subject, r.Name, fold(r.Subject+"\n"+r.Name), string(r.Inputs), text(r.Settings), text(r.Results), text(r.Parties),
		at).Scan(&entry.Target, &entry.Version)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if entry.Version > 1 {
		entry.Action = "update"
	}
	return record(ctx, tx, entry)
}

// fold is how texts are searched: in lower case.
func fold(text string) string { return strings.ToLower(text) }

// RecordKey names a record, and the version at which the writer has seen it; AnyVersion for whichever there is.
type RecordKey struct {
	Kind Kind
	ID   string
	Seen int64
}

// UpdateRecord replaces the inputs, settings and results of a record by those of r, whose UpdatedAt is the time, and gives the record as it is then. It fails
// with ErrNotFound, or with a ConflictError when the record is at another version than was seen.
func (s *Store) UpdateRecord(ctx context.Context, o Owner, key RecordKey, r Record) (now Record, err error) {
	err = s.change(ctx, "update record", func(tx *sql.Tx) error {
		var err error
		now, err = scanRecord(tx.QueryRowContext(ctx, `UPDATE records SET inputs = $1, mc_settings = $2, results = $3, updated_at = $4, version = version + 1
			WHERE record_id = $5 AND tenant_id = $6 AND user_id = $7 AND kind = $8 AND (CAST($9 AS BIGINT) = -1 OR version = $9) RETURNING `+recordColumns,
			string(r.Inputs), text(r.Settings), text(r.Results), r.UpdatedAt.UnixMicro(), key.ID, o.Tenant, o.User, string(key.Kind), key.Seen))
		if errors.Is(err, ErrNotFound) {
			return otherVersion(ctx, tx, o, key)
		}
		if err != nil {
			return err
		}
		return record(ctx, tx, Entry{Owner: o, At: now.UpdatedAt, Action: "update", Kind: string(key.Kind), Target: key.ID, Version: now.Version})
	})
	return now, err
}

// DeleteRecord removes a record. It fails as UpdateRecord does.
func (s *Store) DeleteRecord(ctx context.Context, o Owner, key RecordKey, at time.Time) error {
	return s.change(ctx, "delete record", func(tx *sql.Tx) error {
		entry := Entry{Owner: o, At: at, Action: "delete", Kind: string(key.Kind), Target: key.ID}
		err := tx.QueryRowContext(ctx, `DELETE FROM records
			WHERE record_id = $1 AND tenant_id = $2 AND user_id = $3 AND kind = $4 AND (CAST($5 AS BIGINT) = -1 OR version = $5) RETURNING version`,
			key.ID, o.Tenant, o.User, string(key.Kind), key.Seen).Scan(&entry.Version)
		if errors.Is(err, sql.ErrNoRows) {
			return otherVersion(ctx, tx, o, key)
		}
		if err != nil {
			return err
		}
		return record(ctx, tx, entry)
	})
}

// otherVersion is why a record was not changed.
func otherVersion(ctx context.Context, tx *sql.Tx, o Owner, key RecordKey) error {
	var version int64
	err := tx.QueryRowContext(ctx, `SELECT version FROM records WHERE record_id = $1 AND tenant_id = $2 AND user_id = $3 AND kind = $4`,
		key.ID, o.Tenant, o.User, string(key.Kind)).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return &ConflictError{version}
}

// Record returns one record of the owner, or ErrNotFound.
func (s *Store) Record(ctx context.Context, o Owner, kind Kind, id string) (Record, error) {
	return scanRecord(s.read.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM records WHERE record_id = $1 AND tenant_id = $2 AND user_id = $3 AND kind = $4`,
		id, o.Tenant, o.User, string(kind)))
}

// RecordQuery selects records of one kind.
type RecordQuery struct {
	Kind      Kind
	BySubject bool // else by the time of the last write
	Ascending bool
	From      *Place // nil: from the start; else after it
	Search    string // keeps those whose subject or name contains it, in any case
	Limit     int64
}

// Place is where the record stands in a list.
func (r Record) Place(bySubject bool) Place {
	p := Place{Time: r.UpdatedAt.UnixMicro(), Seq: r.Seq}
	if bySubject {
		p.Text = r.Subject
	}
	return p
}

// Records lists an owner's records of a kind; more: there are others after them.
func (s *Store) Records(ctx context.Context, o Owner, q RecordQuery) (list []Record, more bool, err error) {
	if !sayable(q.Search) {
		return nil, false, nil
	}
	columns, index := []string{"updated_at", "seq"}, "records_by_time"
	if q.BySubject {
		columns, index = []string{"subject", "updated_at", "seq"}, "records_by_subject"
	}
	hint := ""
	if s.hints {
		hint = " INDEXED BY " + index
	}
	b := query{args: []any{o.Tenant, o.User, string(q.Kind)}}
	where := `tenant_id = $1 AND user_id = $2 AND kind = $3`
	if q.Search != "" {
		where += ` AND ` + s.contains + `(fold, ` + b.arg(fold(q.Search)) + `) > 0`
	}
	where += b.beyond(columns, seek{from: q.From, ascending: q.Ascending})
	rows, err := s.read.QueryContext(ctx, `SELECT `+recordColumns+` FROM records`+hint+` WHERE `+where+
		` ORDER BY `+ordered(columns, "", q.Ascending)+` LIMIT `+b.arg(q.Limit+1), b.args...)
	if err == nil {
		list, err = collect(rows, scanRecord)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list records: %w", err)
	}
	list, more = cut(list, q.Limit, false)
	return list, more, nil
}

func scanRecord(from row) (r Record, err error) {
	var kind, inputs string
	var settings, results, parties sql.NullString
	var created, updated int64
	err = from.Scan(&r.Seq, &r.ID, &kind, &r.Subject, &r.Name, &inputs, &settings, &results, &parties, &r.Version, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, fmt.Errorf("read record: %w", ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	r.Kind, r.Inputs = Kind(kind), json.RawMessage(inputs)
	r.Settings, r.Results, r.Parties = raw(settings), raw(results), raw(parties)
	r.CreatedAt, r.UpdatedAt = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	return r, nil
}
