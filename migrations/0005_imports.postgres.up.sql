-- Where rows that were taken over from other trading systems came from, and how far that has come.
-- tenon: phase=expand
--
-- A row of imported_rows names the source's row by its key (a JSON array), the row here by its own
-- (the primary key's values, likewise), and the digest of the values that were written.

CREATE TABLE imports (
    id              BIGINT PRIMARY KEY,
    name            TEXT COLLATE "C" NOT NULL,
    source          TEXT COLLATE "C" NOT NULL,
    mapping_digest  TEXT COLLATE "C" NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,
    begun_real_ns   BIGINT NOT NULL,
    updated_real_ns BIGINT NOT NULL,
    CONSTRAINT import_name_is_unique UNIQUE (name),
    CONSTRAINT import_has_a_name CHECK (length(name) BETWEEN 1 AND 64),
    CONSTRAINT import_mapping_is_a_digest CHECK (length(mapping_digest) = 32),
    CONSTRAINT import_status_is_known CHECK (status IN ('running', 'done')),
    CONSTRAINT import_is_updated_later CHECK (begun_real_ns >= 0 AND updated_real_ns >= 0)
);

-- `cursor` is the key of the last row that was read, '' before the first.
CREATE TABLE import_tables (
    import_id       BIGINT NOT NULL REFERENCES imports (id),
    name            TEXT COLLATE "C" NOT NULL,
    source_relation TEXT COLLATE "C" NOT NULL,
    target          TEXT COLLATE "C" NOT NULL,
    cursor          TEXT COLLATE "C" NOT NULL DEFAULT '',
    rows_read       BIGINT NOT NULL DEFAULT 0,
    rows_imported   BIGINT NOT NULL DEFAULT 0,
    rows_bad        BIGINT NOT NULL DEFAULT 0,
    is_done         BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (import_id, name),
    CONSTRAINT import_table_counts CHECK (
        rows_read >= 0 AND rows_imported >= 0 AND rows_bad >= 0
        AND rows_imported + rows_bad <= rows_read),
    CONSTRAINT import_table_is_done_or_not CHECK (is_done IN (0, 1))
);

CREATE TABLE imported_rows (
    import_id        BIGINT NOT NULL REFERENCES imports (id),
    table_name       TEXT COLLATE "C" NOT NULL,
    source_key       TEXT COLLATE "C" NOT NULL,
    target_key       TEXT COLLATE "C" NOT NULL,
    digest           TEXT COLLATE "C" NOT NULL,
    imported_real_ns BIGINT NOT NULL,
    PRIMARY KEY (import_id, table_name, source_key),
    CONSTRAINT imported_row_has_a_digest CHECK (length(digest) = 32),
    CONSTRAINT imported_row_has_a_time CHECK (imported_real_ns >= 0)
);

CREATE UNIQUE INDEX imported_rows_target ON imported_rows (import_id, table_name, target_key);

-- What the last run of an import left out, and why.
CREATE TABLE import_bad_rows (
    import_id     BIGINT NOT NULL REFERENCES imports (id),
    table_name    TEXT COLLATE "C" NOT NULL,
    source_key    TEXT COLLATE "C" NOT NULL,
    reason        TEXT COLLATE "C" NOT NULL,
    found_real_ns BIGINT NOT NULL,
    PRIMARY KEY (import_id, table_name, source_key),
    CONSTRAINT import_bad_row_has_a_time CHECK (found_real_ns >= 0)
);
