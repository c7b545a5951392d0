-- +goose Up
-- What people write together: where a document stands, its snapshot, the batches since (and some before, for who comes back), and who is there on any
-- instance. Times are microseconds since 1970 UTC.
CREATE TABLE documents (
    tenant_id        TEXT    NOT NULL,
    document_id      TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    presence         INTEGER NOT NULL,
    snapshot         TEXT,
    snapshot_version INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, document_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE document_batches (
    tenant_id   TEXT    NOT NULL,
    document_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    user_id     TEXT    NOT NULL,
    request_id  TEXT    NOT NULL,
    ops         TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, document_id, version)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX document_batches_by_request ON document_batches (tenant_id, document_id, user_id, request_id);

CREATE TABLE document_members (
    tenant_id   TEXT    NOT NULL,
    document_id TEXT    NOT NULL,
    client_id   TEXT    NOT NULL,
    user_id     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    cursor      TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, document_id, client_id)
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE document_members;
DROP TABLE document_batches;
DROP TABLE documents;
