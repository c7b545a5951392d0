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
		done, err := tx.ExecContext(ctx, `INSERT INTO users (`+userColumns+`, username_fold, email_fold) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			u.ID, u.Tenant, u.Username, u.Email, u.Password, u.CreatedAt.UnixMicro(), strings.ToLower(u.Username), strings.ToLower(u.Email))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrTaken, err)
		}
		return insertSession(ctx, tx, first)
	})
}

// UserByName finds an account by its name or address, in any case, or fails with ErrNotFound.
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	fold := strings.ToLower(name)
	column := "username_fold"
	if strings.Contains(fold, "@") { // which no name has
		column = "email_fold"
	}
	return scanUser(s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE `+column+` = ?`, fold))
}

// User is the account of that id, or ErrNotFound.
func (s *Store) User(ctx context.Context, id string) (User, error) {
	return scanUser(s.read.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = ?`, id))
}

// CreateSession adds a login and forgets those that have ended.
func (s *Store) CreateSession(ctx context.Context, n Session) error {
	return s.change(ctx, "create session", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= ?`, n.CreatedAt.UnixMicro()); err != nil {
			return err
		}
		return insertSession(ctx, tx, n)
	})
}

func insertSession(ctx context.Context, tx *sql.Tx, n Session) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sessions (session_id, user_id, token_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
		n.ID, n.User, n.Hash, n.CreatedAt.UnixMicro(), n.ExpiresAt.UnixMicro())
	return err
}

// Refresh exchanges a session's token for another and gives the user. A token that has been exchanged before ends the session, because two people have it
// (RFC 9700 §4.14.2): then, and for one that is unknown or too late, the error is ErrNotFound.
func (s *Store) Refresh(ctx context.Context, hash, next []byte, now, until time.Time) (u User, err error) {
	reused := false
	err = s.change(ctx, "refresh session", func(tx *sql.Tx) error {
		var session, user string
		row := tx.QueryRowContext(ctx, `UPDATE sessions SET previous_hash = token_hash, token_hash = ?, expires_at = ? WHERE token_hash = ? AND expires_at > ?
			RETURNING session_id, user_id`, next, until.UnixMicro(), hash, now.UnixMicro())
		switch err := row.Scan(&session, &user); {
		case errors.Is(err, sql.ErrNoRows):
			reused = true
			_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE previous_hash = ?`, hash)
			return err // nil: the session's end is kept
		case err != nil:
			return err
		}
		u, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE user_id = ?`, user))
		return err
	})
	if err == nil && reused {
		err = fmt.Errorf("refresh session: %w", ErrNotFound)
	}
	return u, err
}

// EndSession ends the session that a token belongs to; one that has ended stays so.
func (s *Store) EndSession(ctx context.Context, hash []byte) error {
	return s.change(ctx, "end session", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token_hash = ?1 OR previous_hash = ?1`, hash)
		return err
	})
}

// Sessions counts those that have not ended.
func (s *Store) Sessions(ctx context.Context, now time.Time) (n int64, err error) {
	if err = s.read.QueryRowContext(ctx, `SELECT count(*) FROM sessions WHERE expires_at > ?`, now.UnixMicro()).Scan(&n); err != nil {
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

// change runs do in a transaction of the one writer. When it returns nil what was written is durable against the death of this process.
func (s *Store) change(ctx context.Context, what string, do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := do(tx); err != nil {
		return fmt.Errorf("%s: %w", what, errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%s: commit: %w", what, err)
	}
	return nil
}
