-- +goose Up

-- A search in the audit log looks at the names of what was changed: anywhere
-- in them when it has three letters or digits in a row, else at their start.
-- No pending lists: reading them would make searches slow until a vacuum.
CREATE INDEX events_target_name ON events (lower(target_name) text_pattern_ops);
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX events_target_name_trgm ON events USING gin (lower(target_name) gin_trgm_ops) WITH (fastupdate = off);
        ALTER INDEX satellites_name_trgm SET (fastupdate = off);
        ALTER INDEX algorithms_repository_trgm SET (fastupdate = off);
    END IF;
END
$$;
-- +goose StatementEnd
