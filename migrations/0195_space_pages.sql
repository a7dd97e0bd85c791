-- +goose Up

-- How full an owner's quota was when people were last told: 0, 80 or 95 percent.
ALTER TABLE registry_quotas ADD COLUMN told smallint NOT NULL DEFAULT 0;

-- Whether a backup was read again after it was taken, and what was wrong with it.
ALTER TABLE backups ADD COLUMN verified_at timestamptz, ADD COLUMN fault text NOT NULL DEFAULT '';

-- An owner with a quota is among those that take something, with nothing too.
INSERT INTO registry_owner_usage (owner, blobs, bytes) SELECT owner, 0, 0 FROM registry_quotas ON CONFLICT DO NOTHING;

-- Pages of what owners and repositories take, those first that take the most.
CREATE INDEX registry_usage_bytes ON registry_usage (bytes, repository);
CREATE INDEX registry_owner_usage_bytes ON registry_owner_usage (bytes, owner);

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX registry_usage_trgm ON registry_usage USING gin (repository gin_trgm_ops) WITH (fastupdate = off);
        CREATE INDEX registry_owner_usage_trgm ON registry_owner_usage USING gin (owner gin_trgm_ops) WITH (fastupdate = off);
    END IF;
END
$$;
-- +goose StatementEnd
