-- Version 3. Counts the changes of the catalog. The file `catalog.generation` beside it records the same
-- number, so that changes lost with a damaged write-ahead log are detected.
CREATE TABLE generation (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (id, value) VALUES (0, 0);
