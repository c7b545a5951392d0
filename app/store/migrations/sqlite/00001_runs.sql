-- +goose Up
-- A run is a saved valuation. It never changes after it is written, so created_at is also the time
-- of its last update. Times are microseconds since 1970 UTC. tenant_id and user_id lead every index
-- because every query is scoped by both; they get their foreign keys with the tables they refer to.
CREATE TABLE runs (
    seq              INTEGER PRIMARY KEY,
    run_id           TEXT    NOT NULL UNIQUE,
    tenant_id        TEXT    NOT NULL,
    user_id          TEXT    NOT NULL,
    ticker           TEXT    NOT NULL,
    inputs           TEXT    NOT NULL,
    mc_settings      TEXT,
    results          TEXT,
    client_timestamp TEXT,
    created_at       INTEGER NOT NULL
) STRICT;

-- seq makes both orders total: pages never overlap or skip. The ticker after it lets a search walk
-- the index without touching the table.
CREATE INDEX runs_by_time   ON runs (tenant_id, user_id, created_at, seq, ticker);
CREATE INDEX runs_by_ticker ON runs (tenant_id, user_id, ticker, created_at, seq);

-- How many runs an owner has, one row a ticker, and one row with an empty ticker for all of them.
-- COUNT(*) over 100,000 index entries would take longer than the page it counts for.
CREATE TABLE run_counts (
    tenant_id TEXT    NOT NULL,
    user_id   TEXT    NOT NULL,
    ticker    TEXT    NOT NULL,
    runs      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, ticker)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE run_counts;
DROP TABLE runs;
