-- +goose Up
-- Names and addresses are kept as written and found folded to lower case. Times are microseconds since 1970 UTC.
CREATE TABLE users (
    user_id       TEXT    NOT NULL PRIMARY KEY,
    tenant_id     TEXT    NOT NULL,
    username      TEXT    NOT NULL,
    username_fold TEXT    NOT NULL UNIQUE,
    email         TEXT    NOT NULL,
    email_fold    TEXT    NOT NULL UNIQUE,
    password      TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A session is one login. It has one refresh token that is good, the newest; previous_hash knows its predecessor, so that a stolen one is seen when it is used
-- after its owner's, or the other way round.
CREATE TABLE sessions (
    session_id    TEXT    NOT NULL PRIMARY KEY,
    user_id       TEXT    NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    token_hash    BLOB    NOT NULL UNIQUE,
    previous_hash BLOB    UNIQUE,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_end  ON sessions (expires_at);
CREATE INDEX sessions_by_user ON sessions (user_id);

-- +goose Down
DROP TABLE sessions;
DROP TABLE users;
