package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RunOrder is the column that pages are sorted by; the zero value is ByCreation. Equal values follow the order of writing.
type RunOrder string

const (
	ByCreation RunOrder = "created_at"
	ByTicker   RunOrder = "ticker"
)

// RunQuery selects one page of an owner's runs.
type RunQuery struct {
	Order     RunOrder
	Ascending bool
	Offset    int64 // ≥ 0
	Limit     int64 // > 0
	// Ticker keeps the runs whose ticker contains this text; "" keeps all. Stored tickers are
	// upper case: the caller folds.
	Ticker string
}

// RunPage is one page, and how many runs there are on all pages.
type RunPage struct {
	Runs  []Run // without MCSettings and Results, which would make a page unbounded
	Total int64
}

// Runs reads a page and its total from one snapshot of the database.
func (s *Store) Runs(ctx context.Context, o Owner, q RunQuery) (page RunPage, err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	// A read transaction has nothing to commit; ending it is all that matters.
	defer func() { err = errors.Join(err, tx.Rollback()) }()

	if page.Total, err = countRuns(ctx, tx, o, q.Ticker); err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	if q.Offset >= page.Total {
		return page, nil
	}
	// SQLite skips an offset entry by entry. From the nearer end it skips at most half of them.
	limit, offset, flipped := min(q.Limit, page.Total-q.Offset), q.Offset, false
	if tail := page.Total - q.Offset - limit; tail < offset {
		offset, flipped = tail, true
	}
	query, args := pageQuery(o, q, page.Total, q.Ascending != flipped)
	rows, err := tx.QueryContext(ctx, query, append(args, limit, offset)...)
	if err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	page.Runs = make([]Run, 0, limit)
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return RunPage{}, fmt.Errorf("list runs: %w", err)
		}
		page.Runs = append(page.Runs, r)
	}
	if err := rows.Err(); err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	if flipped {
		slices.Reverse(page.Runs)
	}
	return page, nil
}

func countRuns(ctx context.Context, tx *sql.Tx, o Owner, ticker string) (int64, error) {
	query, args := `SELECT runs FROM run_counts WHERE tenant_id = ? AND user_id = ? AND ticker = ''`,
		[]any{o.Tenant, o.User}
	if ticker != "" {
		query = `SELECT coalesce(sum(runs), 0) FROM run_counts
			WHERE tenant_id = ? AND user_id = ? AND ticker <> '' AND instr(ticker, ?)`
		args = append(args, ticker)
	}
	var n int64
	err := tx.QueryRowContext(ctx, query, args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

// fewMatches is how many hits of a search are better fetched by ticker and sorted than met while
// walking all runs in the order of time: sorting 2,000 entries and walking 20,000 take about as long.
const fewMatches = 2000

// pageQuery picks the rows from an index first and joins the wide columns afterwards, so that
// skipped entries cost an index step and not a table lookup. It is built from constants only.
func pageQuery(o Owner, q RunQuery, matches int64, ascending bool) (string, []any) {
	columns := []string{"created_at", "seq"}
	if q.Order == ByTicker {
		columns = []string{"ticker", "created_at", "seq"}
	}
	direction := " DESC"
	if ascending {
		direction = " ASC"
	}
	order := func(prefix string) string {
		parts := make([]string, len(columns))
		for i, c := range columns {
			parts[i] = prefix + c + direction
		}
		return strings.Join(parts, ", ")
	}
	index := "runs_by_time"
	where, args := `tenant_id = ? AND user_id = ?`, []any{o.Tenant, o.User}
	if q.Order == ByTicker {
		index = "runs_by_ticker"
	}
	switch {
	case q.Ticker == "":
	case q.Order != ByTicker && matches <= fewMatches:
		index = "runs_by_ticker"
		where += ` AND ticker IN (SELECT ticker FROM run_counts
			WHERE tenant_id = ? AND user_id = ? AND instr(ticker, ?))`
		args = append(args, o.Tenant, o.User, q.Ticker)
	default:
		where += ` AND instr(ticker, ?)`
		args = append(args, q.Ticker)
	}
	return `SELECT r.run_id, r.ticker, r.inputs, NULL, NULL, r.client_timestamp, r.created_at
		FROM (SELECT seq FROM runs INDEXED BY ` + index + ` WHERE ` + where + `
			ORDER BY ` + order("") + ` LIMIT ? OFFSET ?) p
		JOIN runs r ON r.seq = p.seq ORDER BY ` + order("r."), args
}
