-- Version 1. The row of a deleted monitor is kept, so that version numbers are never reused.
CREATE TABLE monitors (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    is_deleted INTEGER NOT NULL,
    UNIQUE (entity, project, name)
) STRICT;

CREATE TABLE monitor_versions (
    monitor_id INTEGER NOT NULL REFERENCES monitors (id),
    version INTEGER NOT NULL,
    title TEXT NOT NULL,
    author TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (monitor_id, version)
) STRICT;

-- The states of groups as JSON, and the expression by which rows were grouped.
CREATE TABLE monitor_states (
    monitor_id INTEGER PRIMARY KEY REFERENCES monitors (id),
    machine TEXT NOT NULL,
    grouping TEXT NOT NULL
) STRICT;

-- As JSON.
CREATE TABLE monitor_silences (
    monitor_id INTEGER PRIMARY KEY REFERENCES monitors (id),
    silences TEXT NOT NULL
) STRICT;

-- The writer of a project's table `_monitors`, and the number of its next line.
CREATE TABLE monitor_writers (
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    writer TEXT NOT NULL,
    next_line INTEGER NOT NULL,
    PRIMARY KEY (entity, project)
) STRICT;

-- Rows that are to be appended to `_monitors`.
CREATE TABLE monitor_rows (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    writer TEXT NOT NULL,
    line INTEGER NOT NULL,
    row TEXT NOT NULL
) STRICT;

-- `document` has secrets.
CREATE TABLE monitor_targets (
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    author TEXT NOT NULL,
    saved_at INTEGER NOT NULL,
    sent_at INTEGER,
    failed_at INTEGER,
    error TEXT,
    PRIMARY KEY (entity, project, name)
) STRICT;

-- Messages that are to be delivered.
CREATE TABLE monitor_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity TEXT NOT NULL,
    project TEXT NOT NULL,
    target TEXT NOT NULL,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL
) STRICT;
CREATE INDEX monitor_messages_by_target ON monitor_messages (entity, project, target, id);
