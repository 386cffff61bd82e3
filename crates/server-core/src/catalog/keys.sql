-- Version 1. Times are milliseconds since 1970, in UTC. Secrets are stored as SHA-256 only.

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    entity TEXT,
    access INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- Tokens held by browsers: session cookies, and login links that start one session.
CREATE TABLE sessions (
    hash BLOB PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys (id),
    is_link INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
