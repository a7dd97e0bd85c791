-- +goose Up

-- Names are compared, searched and ordered by their folded form (the column
-- …_key, made by constellation.Fold), so that case means the same whatever
-- locale the database was made with.

CREATE TABLE accounts (
    id            uuid PRIMARY KEY,
    username      text NOT NULL,
    username_key  text COLLATE "C" NOT NULL UNIQUE,
    role          text NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    password_hash text NOT NULL DEFAULT '',
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);
CREATE INDEX accounts_created_at ON accounts (created_at, id);

CREATE TABLE sessions (
    token_sha256 text PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    address      text NOT NULL,
    user_agent   text NOT NULL
);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- At most one set-up link exists.
CREATE TABLE setup_token (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    token_sha256 text NOT NULL,
    expires_at   timestamptz NOT NULL
);

-- Failed logins of one username from one address.
CREATE TABLE login_failures (
    username_key   text COLLATE "C" NOT NULL,
    address        text NOT NULL,
    failures       integer NOT NULL,
    last_failed_at timestamptz NOT NULL,
    PRIMARY KEY (username_key, address)
);

CREATE TABLE owners (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    name_key   text COLLATE "C" NOT NULL UNIQUE,
    created_at timestamptz NOT NULL
);

CREATE TABLE algorithms (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES owners,
    name        text NOT NULL,
    repository  text COLLATE "C" NOT NULL UNIQUE, -- lower-case owner/name
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL
);
CREATE INDEX algorithms_owner ON algorithms (owner_id);
CREATE INDEX algorithms_created_at ON algorithms (created_at, id);

CREATE TABLE algorithm_versions (
    id               uuid PRIMARY KEY,
    algorithm_id     uuid NOT NULL REFERENCES algorithms,
    git_hash         text COLLATE "C" NOT NULL,
    semantic_version text NOT NULL DEFAULT '',
    state            text NOT NULL CHECK (state IN ('ready', 'importing', 'failed')),
    digest           text NOT NULL,
    media_type       text NOT NULL,
    size             bigint NOT NULL,
    platforms        text[] NOT NULL,
    runtime          jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    UNIQUE (algorithm_id, git_hash)
);
CREATE INDEX algorithm_versions_created_at ON algorithm_versions (algorithm_id, created_at, id);

CREATE TABLE satellites (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    name_key       text COLLATE "C" NOT NULL UNIQUE,
    expires_at     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL,
    created_by     text NOT NULL,
    updated_at     timestamptz NOT NULL,
    updated_by     text NOT NULL,
    revision       bigint NOT NULL,
    latest_version integer NOT NULL
);
CREATE INDEX satellites_created_at ON satellites (created_at, id);
CREATE INDEX satellites_updated_at ON satellites (updated_at, id);
CREATE INDEX satellites_expires_at ON satellites (expires_at, id);

CREATE TABLE satellite_versions (
    satellite_id uuid NOT NULL REFERENCES satellites ON DELETE CASCADE,
    number       integer NOT NULL CHECK (number > 0),
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL,
    PRIMARY KEY (satellite_id, number)
);

CREATE TABLE satellite_algorithms (
    satellite_id         uuid NOT NULL,
    number               integer NOT NULL,
    position             integer NOT NULL,
    vanity_url           text COLLATE "C" NOT NULL,
    algorithm_version_id uuid NOT NULL REFERENCES algorithm_versions,
    replicas             integer NOT NULL CHECK (replicas BETWEEN 0 AND 1000),
    PRIMARY KEY (satellite_id, number, position),
    UNIQUE (satellite_id, number, vanity_url),
    FOREIGN KEY (satellite_id, number) REFERENCES satellite_versions ON DELETE CASCADE
);
CREATE INDEX satellite_algorithms_version ON satellite_algorithms (algorithm_version_id);

CREATE TABLE satellite_keys (
    id           uuid PRIMARY KEY,
    satellite_id uuid NOT NULL REFERENCES satellites ON DELETE CASCADE,
    name         text NOT NULL,
    name_key     text COLLATE "C" NOT NULL,
    prefix       text NOT NULL,
    sha256       text NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    created_by   text NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX satellite_keys_name ON satellite_keys (satellite_id, name_key, id);
CREATE INDEX satellite_keys_created_at ON satellite_keys (satellite_id, created_at, id);

CREATE TABLE launches (
    id                uuid PRIMARY KEY,
    satellite_id      uuid NOT NULL REFERENCES satellites ON DELETE CASCADE,
    satellite_version integer NOT NULL,
    name              text NOT NULL,
    name_key          text COLLATE "C" NOT NULL,
    description       text NOT NULL,
    token_sealed      bytea NOT NULL,
    token_sha256      text NOT NULL UNIQUE,
    created_at        timestamptz NOT NULL,
    created_by        text NOT NULL,
    updated_at        timestamptz NOT NULL,
    updated_by        text NOT NULL,
    revision          bigint NOT NULL,
    UNIQUE (satellite_id, name_key),
    FOREIGN KEY (satellite_id, satellite_version) REFERENCES satellite_versions ON DELETE CASCADE
);
CREATE INDEX launches_created_at ON launches (satellite_id, created_at, id);
CREATE INDEX launches_version ON launches (satellite_id, satellite_version);

-- What launches report of themselves: written often, so beside its launch,
-- with room in the page and no index but the key, to keep updates HOT.
CREATE TABLE launch_reports (
    launch_id       uuid PRIMARY KEY REFERENCES launches ON DELETE CASCADE,
    first_seen_at   timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    running_version integer
) WITH (fillfactor = 70);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name         text NOT NULL,
    name_key     text COLLATE "C" NOT NULL,
    prefix       text NOT NULL,
    sha256       text NOT NULL UNIQUE,
    role         text NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    satellite_id uuid REFERENCES satellites ON DELETE CASCADE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_name ON api_keys (account_id, name_key, id);
CREATE INDEX api_keys_created_at ON api_keys (account_id, created_at, id);
CREATE INDEX api_keys_satellite ON api_keys (satellite_id) WHERE satellite_id IS NOT NULL;

-- The audit log. Names are text: it outlives what it speaks of.
CREATE TABLE events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor        text NOT NULL,
    actor_key_id text NOT NULL DEFAULT '',
    action       text NOT NULL,
    target_kind  text NOT NULL,
    target_id    text NOT NULL,
    target_name  text NOT NULL,
    before       jsonb,
    after        jsonb,
    address      text NOT NULL
);
CREATE INDEX events_at ON events (at, id);
CREATE INDEX events_actor ON events (actor, at, id);
CREATE INDEX events_action ON events (action, at, id);
CREATE INDEX events_target ON events (target_kind, target_id, at, id);

CREATE TABLE idempotency_keys (
    account_id  text NOT NULL,
    key         text NOT NULL,
    request     bytea NOT NULL, -- SHA-256 of method, path and body
    response    bytea NOT NULL, -- sealed: it may hold a key that is shown once
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- Sealed values of the whole mothership, such as the signing key.
CREATE TABLE settings (
    name   text PRIMARY KEY,
    sealed bytea NOT NULL
);

-- Satellite versions and the audit log are history: no code may rewrite them.
-- +goose StatementBegin
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % do not change', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER satellite_versions_immutable BEFORE UPDATE ON satellite_versions FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER satellite_algorithms_immutable BEFORE UPDATE ON satellite_algorithms FOR EACH ROW EXECUTE FUNCTION refuse_update();
CREATE TRIGGER events_immutable BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse_update();

-- Search by part of a name uses trigrams where the extension is installed
-- (it is trusted: no superuser needed) and a scan where it is not.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
        CREATE INDEX satellites_name_trgm ON satellites USING gin (name_key gin_trgm_ops);
        CREATE INDEX algorithms_repository_trgm ON algorithms USING gin (repository gin_trgm_ops);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_trgm is not allowed here; searches scan';
END
$$;
-- +goose StatementEnd
