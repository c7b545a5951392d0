-- +goose Up
-- The same tables as in ../sqlite, where they are explained. fillfactor leaves room on the page for the next version of a row that every write changes.
CREATE TABLE documents (
    tenant_id        TEXT   NOT NULL,
    document_id      TEXT   NOT NULL,
    version          BIGINT NOT NULL,
    presence         BIGINT NOT NULL,
    snapshot         TEXT,
    snapshot_version BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, document_id)
) WITH (fillfactor = 50);

CREATE TABLE document_batches (
    tenant_id   TEXT   NOT NULL,
    document_id TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    user_id     TEXT   NOT NULL,
    request_id  TEXT   NOT NULL,
    ops         TEXT   NOT NULL,
    PRIMARY KEY (tenant_id, document_id, version)
);

CREATE UNIQUE INDEX document_batches_by_request ON document_batches (tenant_id, document_id, user_id, request_id);

CREATE TABLE document_members (
    tenant_id   TEXT   NOT NULL,
    document_id TEXT   NOT NULL,
    client_id   TEXT   COLLATE "C" NOT NULL,
    user_id     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    cursor      TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, document_id, client_id)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE document_members;
DROP TABLE document_batches;
DROP TABLE documents;
