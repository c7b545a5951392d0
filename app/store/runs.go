package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Owner scopes a query to one user of one tenant.
type Owner struct{ Tenant, User string }

// Run is one saved valuation. The JSON fields are stored and returned byte for byte; MCSettings,
// Results and ClientTimestamp may be empty.
type Run struct {
	ID              string
	Ticker          string
	Inputs          json.RawMessage
	MCSettings      json.RawMessage
	Results         json.RawMessage
	ClientTimestamp string
	CreatedAt       time.Time // kept to the microsecond, in UTC
	Seq             int64     // the store's, in the order of writing
}

const runColumns = `run_id, ticker, inputs, mc_settings, results, client_timestamp, created_at`

// CreateRun writes the run and its owner's counts together. When it returns nil the run is durable
// against the death of this process.
func (s *Store) CreateRun(ctx context.Context, o Owner, r Run) error {
	return s.change(ctx, "create run", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO runs
			(tenant_id, user_id, `+runColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			o.Tenant, o.User, r.ID, r.Ticker, string(r.Inputs), text(r.MCSettings), text(r.Results),
			text([]byte(r.ClientTimestamp)), r.CreatedAt.UnixMicro())
		if err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO run_counts (tenant_id, user_id, ticker, runs)
			VALUES ($1, $2, '', 1), ($1, $2, $3, 1)
			ON CONFLICT (tenant_id, user_id, ticker) DO UPDATE SET runs = run_counts.runs + 1`,
			o.Tenant, o.User, r.Ticker)
		if err != nil {
			return fmt.Errorf("count: %w", err)
		}
		return record(ctx, tx, Entry{Owner: o, At: r.CreatedAt, Action: "create", Kind: "run", Target: r.ID, Version: 1})
	})
}

// Run returns one run of the owner, or ErrNotFound.
func (s *Store) Run(ctx context.Context, o Owner, id string) (Run, error) {
	return scanRun(s.read.QueryRowContext(ctx, `SELECT seq, `+runColumns+` FROM runs
		WHERE run_id = $1 AND tenant_id = $2 AND user_id = $3`, id, o.Tenant, o.User))
}

// LastRun returns the owner's newest run, or ErrNotFound.
func (s *Store) LastRun(ctx context.Context, o Owner) (Run, error) {
	return scanRun(s.read.QueryRowContext(ctx, `SELECT seq, `+runColumns+` FROM runs
		WHERE tenant_id = $1 AND user_id = $2 ORDER BY created_at DESC, seq DESC LIMIT 1`,
		o.Tenant, o.User))
}

func scanRun(from row) (Run, error) {
	var r Run
	var inputs string
	var settings, results, stamp sql.NullString
	var created int64
	err := from.Scan(&r.Seq, &r.ID, &r.Ticker, &inputs, &settings, &results, &stamp, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, fmt.Errorf("read run: %w", ErrNotFound)
	}
	if err != nil {
		return Run{}, fmt.Errorf("read run: %w", err)
	}
	r.Inputs = json.RawMessage(inputs)
	r.MCSettings, r.Results = raw(settings), raw(results)
	r.ClientTimestamp = stamp.String
	r.CreatedAt = time.UnixMicro(created).UTC()
	return r, nil
}

func text(b []byte) sql.NullString { return sql.NullString{String: string(b), Valid: len(b) > 0} }

func raw(s sql.NullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}
