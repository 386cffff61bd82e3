-- Version 1. Times are milliseconds since 1970, in UTC.

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (entity, name)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    -- The table that holds the run's rows: the run's own name if it is a valid table name.
    table_name TEXT NOT NULL,
    display_name TEXT,
    description TEXT,
    notes TEXT,
    group_name TEXT,
    job_type TEXT,
    git_commit TEXT,
    host TEXT,
    program TEXT,
    repo TEXT,
    sweep TEXT,
    config TEXT,
    summary TEXT,
    tags TEXT,
    owner TEXT,
    state TEXT NOT NULL,
    exit_code INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    UNIQUE (project_id, name),
    UNIQUE (project_id, table_name)
) STRICT;

-- Lines of `wandb-events.jsonl` (file 0) and `output.log` (file 1).
CREATE TABLE run_lines (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    file INTEGER NOT NULL,
    line INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run_id, file, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_files (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id),
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    md5 TEXT NOT NULL,
    size INTEGER NOT NULL,
    mimetype TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (run_id, path)
) STRICT;

CREATE TABLE artifact_types (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    type_id INTEGER NOT NULL REFERENCES artifact_types (id),
    name TEXT NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    run_id INTEGER REFERENCES runs (id),
    digest TEXT NOT NULL,
    -- Both null until the artifact is committed.
    version INTEGER,
    commit_hash TEXT,
    description TEXT,
    metadata TEXT,
    history_step INTEGER,
    ttl_seconds INTEGER,
    -- Aliases to assign when the artifact is committed, and tags: JSON arrays of strings.
    wanted_aliases TEXT NOT NULL,
    tags TEXT NOT NULL,
    file_count INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (collection_id, version)
) STRICT;
CREATE INDEX artifacts_by_digest ON artifacts (collection_id, digest);
CREATE INDEX artifacts_by_run ON artifacts (run_id);

CREATE TABLE aliases (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    alias TEXT NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    UNIQUE (collection_id, alias)
) STRICT;
CREATE INDEX aliases_by_artifact ON aliases (artifact_id);

CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    base_id INTEGER REFERENCES artifacts (id),
    sha256 TEXT,
    -- Whether it is the merged manifest of the committed artifact.
    is_current INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX manifests_by_artifact ON manifests (artifact_id);

CREATE TABLE artifact_files (
    id INTEGER PRIMARY KEY,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    name TEXT NOT NULL,
    md5 TEXT NOT NULL,
    birth_id INTEGER NOT NULL REFERENCES artifacts (id),
    sha256 TEXT,
    size INTEGER,
    updated_at INTEGER NOT NULL,
    UNIQUE (artifact_id, name)
) STRICT;
CREATE INDEX artifact_files_by_md5 ON artifact_files (md5);

-- Ids that clients assign to artifacts (and to their collections) before the server assigns its own.
CREATE TABLE client_ids (
    client_id TEXT PRIMARY KEY,
    artifact_id INTEGER REFERENCES artifacts (id),
    collection_id INTEGER REFERENCES collections (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_inputs (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id),
    PRIMARY KEY (run_id, artifact_id)
) STRICT, WITHOUT ROWID;
