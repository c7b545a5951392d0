-- +goose Up
-- A record is a document of a kind (dcf.scenario, lbo.run, …) that an owner keeps about a subject: a ticker, a company, a deal. Scenarios have names and change, one
-- version after the other; runs have their id for a name and stay as they are. fold is subject and name in lower case, to be searched. Times are microseconds since 1970 UTC.
CREATE TABLE records (
    seq         INTEGER PRIMARY KEY,
    record_id   TEXT    NOT NULL UNIQUE,
    tenant_id   TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    fold        TEXT    NOT NULL,
    inputs      TEXT    NOT NULL,
    mc_settings TEXT,
    results     TEXT,
    parties     TEXT,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (tenant_id, user_id, kind, subject, name)
) STRICT;

-- seq makes both orders total; fold after it lets a search walk an index without touching the table.
CREATE INDEX records_by_time    ON records (tenant_id, user_id, kind, updated_at, seq, fold);
CREATE INDEX records_by_subject ON records (tenant_id, user_id, kind, subject, updated_at, seq, fold);

-- Every version of a note is a row, the newest is the note. Two writers of one version meet at the primary key.
CREATE TABLE notes (
    tenant_id  TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    ticker     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    content    TEXT    NOT NULL,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, ticker, version)
) STRICT;

-- Who wrote what and when, in the transaction that wrote it. It says that something changed, and to which version, never what it was.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    tenant_id  TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    written_at INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    request_id TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_by_owner ON audit (tenant_id, user_id, seq);

-- +goose Down
DROP TABLE audit;
DROP TABLE notes;
DROP TABLE records;
