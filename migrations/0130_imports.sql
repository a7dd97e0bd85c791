-- +goose Up

-- Registries elsewhere, and how they are reached. The password is sealed.
CREATE TABLE foreign_registries (
    id         uuid PRIMARY KEY,
    host       text COLLATE "C" NOT NULL UNIQUE, -- host[:port], in its one form
    plain_http boolean NOT NULL DEFAULT false,
    ca         text NOT NULL DEFAULT '',
    username   text NOT NULL DEFAULT '',
    sealed     bytea,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);
CREATE INDEX foreign_registries_created_at ON foreign_registries (created_at, id);

-- How versions of algorithms come, or came, from registries elsewhere. The version's
-- row is there from the start, with no digest until its image is here.
CREATE TABLE algorithm_imports (
    version_id   uuid PRIMARY KEY REFERENCES algorithm_versions ON DELETE CASCADE,
    repository   text COLLATE "C" NOT NULL, -- here
    image        text NOT NULL,             -- elsewhere
    digest       text COLLATE "C" NOT NULL DEFAULT '',
    runtime      jsonb NOT NULL,            -- what differs from the image's labels
    phase        text NOT NULL,
    bytes        bigint NOT NULL DEFAULT 0,
    bytes_done   bigint NOT NULL DEFAULT 0,
    rate         bigint NOT NULL DEFAULT 0,
    attempts     integer NOT NULL DEFAULT 0,
    next_at      timestamptz,
    error        text NOT NULL DEFAULT '',
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    started_at   timestamptz,
    ended_at     timestamptz,
    mirror       text NOT NULL DEFAULT '',
    generation   integer NOT NULL DEFAULT 1
);

-- What an import under way needs; removed when it is ready.
CREATE TABLE algorithm_import_parts (
    version_id uuid NOT NULL REFERENCES algorithm_imports ON DELETE CASCADE,
    repository text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL,
    size       bigint NOT NULL,
    manifest   boolean NOT NULL,
    media_type text NOT NULL DEFAULT '',
    body       bytea,
    tag        text NOT NULL DEFAULT '',
    position   integer NOT NULL,
    upload     text NOT NULL DEFAULT '',
    done       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (version_id, digest)
);
CREATE INDEX algorithm_import_parts_digest ON algorithm_import_parts (repository, digest);

-- Which import fetches a blob, so that two do not fetch the same one at once.
CREATE TABLE algorithm_import_fetches (
    digest     text COLLATE "C" PRIMARY KEY,
    version_id uuid NOT NULL REFERENCES algorithm_imports ON DELETE CASCADE,
    seen_at    timestamptz NOT NULL
);

-- As before, and what an import under way needs.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION registry_needed(cutoff timestamptz, kept timestamptz) RETURNS TABLE (repository text, digest text) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE needed (repository, digest) AS (
        SELECT * FROM (
            SELECT g.repository, v.digest COLLATE "C" FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id
            UNION ALL
            SELECT m.repository, m.digest FROM registry_manifests m JOIN registry_blobs b ON b.digest = m.digest WHERE b.touched_at >= cutoff
            UNION ALL
            SELECT i.repository, i.digest FROM algorithm_import_parts i
            UNION ALL
            SELECT t.repository, t.digest FROM registry_tags t JOIN registry_blobs b ON b.digest = t.digest WHERE t.keeps AND b.touched_at >= kept) roots
        UNION
        SELECT e.repository, e.target FROM needed n JOIN registry_edges e ON e.repository = n.repository AND e.source = n.digest
    )
    SELECT n.repository, n.digest FROM needed n
$$;
-- +goose StatementEnd
