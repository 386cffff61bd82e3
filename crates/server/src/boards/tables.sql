-- Version 1. The row of a deleted board is kept, so that version numbers are never reused.
CREATE TABLE boards (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL,
    UNIQUE (entity, project, name)
) STRICT;

CREATE TABLE board_versions (
    board_id INTEGER NOT NULL REFERENCES boards (id),
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (board_id, version)
) STRICT;
