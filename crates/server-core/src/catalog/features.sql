-- Version 4. The version of each feature's tables.
CREATE TABLE features (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Versions 1 to 3 of the catalog contained the first version of these tables.
INSERT INTO features (name, version)
SELECT 'wandb', 1 WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'runs');
INSERT INTO features (name, version)
SELECT 'boards', 1 WHERE EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'boards');
