-- +goose Up
-- The same tables as in ../sqlite, where they are explained. Texts that order lists compare by their bytes ("C"), as they do in SQLite, whatever the locale of the database.
CREATE TABLE runs (
    seq              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id           TEXT   NOT NULL UNIQUE,
    tenant_id        TEXT   NOT NULL,
    user_id          TEXT   NOT NULL,
    ticker           TEXT   COLLATE "C" NOT NULL,
    inputs           TEXT   NOT NULL,
    mc_settings      TEXT,
    results          TEXT,
    client_timestamp TEXT,
    created_at       BIGINT NOT NULL
);
CREATE INDEX runs_by_time   ON runs (tenant_id, user_id, created_at, seq, ticker);
CREATE INDEX runs_by_ticker ON runs (tenant_id, user_id, ticker, created_at, seq);

-- fillfactor leaves room on the page for the next version of a row that every run of its owner changes.
CREATE TABLE run_counts (
    tenant_id TEXT   NOT NULL,
    user_id   TEXT   NOT NULL,
    ticker    TEXT   COLLATE "C" NOT NULL,
    runs      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, ticker)
) WITH (fillfactor = 50);

CREATE TABLE users (
    user_id       TEXT   NOT NULL PRIMARY KEY,
    tenant_id     TEXT   NOT NULL,
    username      TEXT   NOT NULL,
    username_fold TEXT   NOT NULL UNIQUE,
    email         TEXT   NOT NULL,
    email_fold    TEXT   NOT NULL UNIQUE,
    password      TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE sessions (
    session_id    TEXT   NOT NULL PRIMARY KEY,
    user_id       TEXT   NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    token_hash    BYTEA  NOT NULL UNIQUE,
    previous_hash BYTEA  UNIQUE,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX sessions_by_end  ON sessions (expires_at);
CREATE INDEX sessions_by_user ON sessions (user_id);

CREATE TABLE records (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    record_id   TEXT   NOT NULL UNIQUE,
    tenant_id   TEXT   NOT NULL,
    user_id     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    subject     TEXT   COLLATE "C" NOT NULL,
    name        TEXT   COLLATE "C" NOT NULL,
    fold        TEXT   COLLATE "C" NOT NULL,
    inputs      TEXT   NOT NULL,
    mc_settings TEXT,
    results     TEXT,
    parties     TEXT,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    UNIQUE (tenant_id, user_id, kind, subject, name)
);
CREATE INDEX records_by_time    ON records (tenant_id, user_id, kind, updated_at, seq, fold);
CREATE INDEX records_by_subject ON records (tenant_id, user_id, kind, subject, updated_at, seq, fold);

CREATE TABLE notes (
    tenant_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    ticker     TEXT   COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    content    TEXT   NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, ticker, version)
);

CREATE TABLE audit (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    written_at BIGINT NOT NULL,
    action     TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    request_id TEXT   NOT NULL
);
CREATE INDEX audit_by_owner ON audit (tenant_id, user_id, seq);

-- +goose Down
DROP TABLE audit;
DROP TABLE notes;
DROP TABLE records;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE run_counts;
DROP TABLE runs;
