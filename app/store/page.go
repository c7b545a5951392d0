package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
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
	// From is the run beside the page, which begins after it or, when Before, ends before it. nil: the page begins at Offset.
	From   *Place
	Before bool
	Offset int64 // ≥ 0. It is walked, so a place is the faster way into a long list.
	Limit  int64 // > 0
	// Ticker keeps the runs whose ticker contains this text; "" keeps all. Stored tickers are
	// upper case: the caller folds.
	Ticker string
}

// RunPage is one page, and how many runs there are on all pages.
type RunPage struct {
	Runs  []Run // without MCSettings and Results, which would make a page unbounded
	Total int64
	// Earlier and Later say that there are runs before and after the page, in the order of the list.
	Earlier, Later bool
}

// Place is where the run stands in a list of that order.
func (r Run) Place(order RunOrder) Place {
	p := Place{Time: r.CreatedAt.UnixMicro(), Seq: r.Seq}
	if order == ByTicker {
		p.Text = r.Ticker
	}
	return p
}

// Runs reads a page and its total from one snapshot of the database.
func (s *Store) Runs(ctx context.Context, o Owner, q RunQuery) (page RunPage, err error) {
	if !sayable(q.Ticker) {
		return RunPage{}, nil
	}
	tx, err := s.snapshot(ctx)
	if err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	// A read transaction has nothing to commit; ending it is all that matters. A context that ended has ended it.
	defer func() {
		if e := tx.Rollback(); !errors.Is(e, sql.ErrTxDone) {
			err = errors.Join(err, e)
		}
	}()

	if page.Total, err = s.countRuns(ctx, tx, o, q.Ticker); err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	if q.Offset >= page.Total {
		page.Earlier = page.Total > 0
		return page, nil
	}
	seek, turned := q.seek(page.Total)
	query, args := s.pageQuery(o, q, seek)
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	if page.Runs, err = collect(rows, scanRun); err != nil {
		return RunPage{}, fmt.Errorf("list runs: %w", err)
	}
	var more bool
	page.Runs, more = cut(page.Runs, q.Limit, turned)
	switch {
	case q.From == nil:
		page.Earlier, page.Later = q.Offset > 0, q.Offset+int64(len(page.Runs)) < page.Total
	case q.Before:
		page.Earlier, page.Later = more, true // at least the run of the place
	default:
		page.Earlier, page.Later = true, more
	}
	return page, nil
}

// seek is how the entries of a page are reached.
type seek struct {
	from          *Place
	ascending     bool
	limit, offset int64
	matches       int64
}

// seek decides from which end to go; turned says that the entries come in reverse.
func (q RunQuery) seek(total int64) (_ seek, turned bool) {
	if q.From != nil {
		// One more than asked for tells whether there are more.
		return seek{from: q.From, ascending: q.Ascending != q.Before, limit: q.Limit + 1, matches: total}, q.Before
	}
	// A database skips an offset entry by entry. From the nearer end it skips at most half of them.
	limit, offset := min(q.Limit, total-q.Offset), q.Offset
	if tail := total - q.Offset - limit; tail < offset {
		offset, turned = tail, true
	}
	return seek{ascending: q.Ascending != turned, limit: limit, offset: offset, matches: total}, turned
}

// sayable reports whether a text could be in the database: PostgreSQL has no NUL and only UTF-8, and refuses to compare with anything else.
func sayable(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }

func (s *Store) countRuns(ctx context.Context, tx *sql.Tx, o Owner, ticker string) (int64, error) {
	query, args := `SELECT runs FROM run_counts WHERE tenant_id = $1 AND user_id = $2 AND ticker = ''`,
		[]any{o.Tenant, o.User}
	if ticker != "" {
		query = `SELECT CAST(coalesce(sum(runs), 0) AS BIGINT) FROM run_counts
			WHERE tenant_id = $1 AND user_id = $2 AND ticker <> '' AND ` + s.contains + `(ticker, $3) > 0`
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
func (s *Store) pageQuery(o Owner, q RunQuery, at seek) (string, []any) {
	columns, index := []string{"created_at", "seq"}, "runs_by_time"
	if q.Order == ByTicker {
		columns, index = []string{"ticker", "created_at", "seq"}, "runs_by_ticker"
	}
	b := query{args: []any{o.Tenant, o.User}}
	where := `tenant_id = $1 AND user_id = $2`
	switch {
	case q.Ticker == "":
	case q.Order != ByTicker && at.matches <= fewMatches:
		index = "runs_by_ticker"
		where += ` AND ticker IN (SELECT ticker FROM run_counts
			WHERE tenant_id = $1 AND user_id = $2 AND ` + s.contains + `(ticker, ` + b.arg(q.Ticker) + `) > 0)`
	default:
		where += ` AND ` + s.contains + `(ticker, ` + b.arg(q.Ticker) + `) > 0`
	}
	where += b.beyond(columns, at)
	hint := ""
	if s.hints {
		hint = " INDEXED BY " + index
	}
	return `SELECT r.seq, r.run_id, r.ticker, r.inputs, NULL, NULL, r.client_timestamp, r.created_at
		FROM (SELECT seq FROM runs` + hint + ` WHERE ` + where + `
			ORDER BY ` + ordered(columns, "", at.ascending) + ` LIMIT ` + b.arg(at.limit) + ` OFFSET ` + b.arg(at.offset) + `) p
		JOIN runs r ON r.seq = p.seq ORDER BY ` + ordered(columns, "r.", at.ascending), b.args
}

// query gathers the arguments of a text that is put together from constants.
type query struct{ args []any }

// arg adds an argument and is its name in the text.
func (b *query) arg(v any) string {
	b.args = append(b.args, v)
	return "$" + strconv.Itoa(len(b.args))
}

// beyond is the condition of being past a place in the order of columns, of which the last two are a time and seq, and one before them is a text.
func (b *query) beyond(columns []string, at seek) string {
	if at.from == nil {
		return ""
	}
	var values []string
	if len(columns) == 3 {
		values = append(values, b.arg(at.from.Text))
	}
	values = append(values, b.arg(at.from.Time), b.arg(at.from.Seq))
	sign := " < "
	if at.ascending {
		sign = " > "
	}
	return ` AND (` + strings.Join(columns, ", ") + `)` + sign + `(` + strings.Join(values, ", ") + `)`
}

// ordered lists the columns for ORDER BY.
func ordered(columns []string, prefix string, ascending bool) string {
	direction := " DESC"
	if ascending {
		direction = " ASC"
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = prefix + c + direction
	}
	return strings.Join(parts, ", ")
}
