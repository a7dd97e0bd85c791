-- +goose Up

-- A session has a name that its owner may see and revoke it by; the token's
-- hash stays out of pages.
ALTER TABLE sessions ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE sessions ADD COLUMN last_seen_at timestamptz;
CREATE UNIQUE INDEX sessions_id ON sessions (id);

-- One-time links by which an account's owner chooses the password.
CREATE TABLE invitations (
    account_id   uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    token_sha256 text NOT NULL UNIQUE,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL
);
CREATE INDEX invitations_expires_at ON invitations (expires_at);

-- login_failures also counts what one address and what one username failed
-- at in all: such a row has '' for the other.

-- Versions on their way in, which are few.
CREATE INDEX algorithm_versions_not_ready ON algorithm_versions (state) WHERE state <> 'ready';

CREATE INDEX IF NOT EXISTS launches_name ON launches (name_key, id);

-- Search by part of a name, as in 0001.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        CREATE INDEX IF NOT EXISTS events_target_name_trgm ON events USING gin (lower(target_name) gin_trgm_ops);
        CREATE INDEX IF NOT EXISTS launches_name_trgm ON launches USING gin (name_key gin_trgm_ops);
    END IF;
END
$$;
-- +goose StatementEnd
