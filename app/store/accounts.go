package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrTaken says that somebody has the name or the address.
var ErrTaken = errors.New("taken")

// User is an account. Password is a hash.
type User struct {
	ID, Tenant      string
	Username, Email string
	Password        string
	CreatedAt       time.Time
}

// Owner is whose records the user's are.
func (u User) Owner() Owner { return Owner{Tenant: u.Tenant, User: u.ID} }

// Session is one login, which lasts as long as its refresh token is exchanged in time. Hashes are of tokens, which are not kept.
type Session struct {
	ID, User  string
	Hash      []byte
	CreatedAt time.Time
	ExpiresAt time.Time
}

const userColumns = `user_id, tenant_id, username, email, password, created_at`

// CreateUser adds an account with its first session, or fails with ErrTaken.
func (s *Store) CreateUser(ctx context.Context, u User, first Session) error {
	return s.change(ctx, "create user", func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO users (`+userColumns+`, username_fold, email_fold) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			u.ID, u.Tenant, u.Username, u.Email, u.Password, u.CreatedAt.UnixMicro(), strings.ToLower(u.Username), strings.ToLower(u.Email))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrTaken, err)
		}
		if err := insertSession(ctx, tx, first); err != nil {
			return err
		}
		return record(ctx, tx, Entry{Owner: u.Owner(), At: u.CreatedAt, Action: "create", Kind: "account", Target: u.ID, Version: 1})
	})
}

// UserByName finds an account by its name or address, in any case, or fails with ErrNotFound.
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	if !sayable(name) {
		return User{}, fmt.Errorf("read user: %w", ErrNotFound)
	}
	fold := strings.ToLower(name)
	column := "username_fold"
	if strings.Contains(fold, "@") { // which no name has
		column = "email_fold"
	}
	return scanUser(s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE `+column+` = $1`, fold))
}

// User is the account of that id, or ErrNotFound.
func (s *Store) User(ctx context.Context, id string) (User, error) {
	return scanUser(s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = $1`, id))
}

// CreateSession adds a login of the owner and forgets those that have ended.
func (s *Store) CreateSession(ctx context.Context, o Owner, n Session) error {
	return s.change(ctx, "create session", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= $1`, n.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		if err := insertSession(ctx, tx, n); err != nil {
			return err
		}
		return record(ctx, tx, Entry{Owner: o, At: n.CreatedAt, Action: "create", Kind: "session", Target: n.ID})
	})
}

func insertSession(ctx context.Context, tx *sql.Tx, n Session) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sessions (session_id, user_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		n.ID, n.User, n.Hash, n.CreatedAt.UnixMicro(), n.ExpiresAt.UnixMicro())
	return err
}

// Refresh exchanges a session's token for another and gives the user. A token that has been exchanged before ends the session, because two people have it
// (RFC 9700 §4.14.2): then, and for one that is unknown or too late, the error is ErrNotFound.
func (s *Store) Refresh(ctx context.Context, hash, next []byte, now, until time.Time) (u User, err error) {
	reused := false
	err = s.change(ctx, "refresh session", func(tx *sql.Tx) error {
		reused = false
		var user string
		row := tx.QueryRowContext(ctx, `UPDATE sessions SET previous_hash = token_hash, token_hash = $1, expires_at = $2 WHERE token_hash = $3 AND expires_at > $4
			RETURNING user_id`, next, until.UnixMicro(), hash, now.UnixMicro())
		switch err := row.Scan(&user); {
		case errors.Is(err, sql.ErrNoRows):
			reused = true
			return endSession(ctx, tx, ending{where: `previous_hash = $1`, hash: hash, action: "revoke", at: now}) // nil: the session's end is kept
		case err != nil:
			return err
		}
		u, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = $1`, user))
		return err
	})
	if err == nil && reused {
		err = fmt.Errorf("refresh session: %w", ErrNotFound)
	}
	return u, err
}

// EndSession ends the session that a token belongs to; one that has ended stays so.
func (s *Store) EndSession(ctx context.Context, hash []byte, now time.Time) error {
	return s.change(ctx, "end session", func(tx *sql.Tx) error {
		return endSession(ctx, tx, ending{where: `token_hash = $1 OR previous_hash = $1`, hash: hash, action: "delete", at: now})
	})
}

// ending is which session ends, and why.
type ending struct {
	where, action string
	hash          []byte
	at            time.Time
}

// endSession ends at most one session: both hashes are unique, and no token is ever the next of two.
func endSession(ctx context.Context, tx *sql.Tx, e ending) error {
	entry := Entry{At: e.at, Action: e.action, Kind: "session"}
	err := tx.QueryRowContext(ctx, `DELETE FROM sessions WHERE `+e.where+` RETURNING session_id, user_id,
		(SELECT tenant_id FROM users WHERE users.user_id = sessions.user_id)`, e.hash).Scan(&entry.Target, &entry.User, &entry.Tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return record(ctx, tx, entry)
}

// Sessions counts those that have not ended.
func (s *Store) Sessions(ctx context.Context, now time.Time) (n int64, err error) {
	if err = s.read.QueryRowContext(ctx, `SELECT count(*) FROM sessions WHERE expires_at > $1`, now.UnixMicro()).Scan(&n); err != nil {
		return 0, fmt.Errorf("count sessions: %w", err)
	}
	return n, nil
}

func scanUser(from row) (User, error) {
	var u User
	var created int64
	err := from.Scan(&u.ID, &u.Tenant, &u.Username, &u.Email, &u.Password, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, fmt.Errorf("read user: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	u.CreatedAt = time.UnixMicro(created).UTC()
	return u, nil
}
