-- Version 2. A board that was deleted leaves its row, so that no version is ever another's.
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
