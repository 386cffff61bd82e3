-- What version 3 adds: how many changes the catalog has had. The file `catalog.generation` beside it
-- says the same, so that changes that got lost with a damaged write-ahead log are noticed.
CREATE TABLE generation (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    value INTEGER NOT NULL
) STRICT;
INSERT INTO generation (id, value) VALUES (0, 0);
