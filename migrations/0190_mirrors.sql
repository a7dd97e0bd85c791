-- +goose Up

-- Rules by which tags of repositories elsewhere become versions of an algorithm, and
-- what the last poll of each found.
CREATE TABLE mirrors (
    id               uuid PRIMARY KEY,
    algorithm_id     uuid NOT NULL REFERENCES algorithms ON DELETE CASCADE,
    source           text COLLATE "C" NOT NULL, -- REGISTRY/REPOSITORY
    tags             text[] NOT NULL,           -- patterns
    keep             integer NOT NULL,          -- how many of the newest tags are followed
    interval_seconds integer NOT NULL,
    disabled         boolean NOT NULL DEFAULT false,
    webhook_sha256   bytea,                     -- of the secret by which a registry tells of pushes
    round            integer NOT NULL DEFAULT 0,
    leased_until     timestamptz,               -- while a poll is under way
    again            boolean NOT NULL DEFAULT false, -- asked for while one was
    next_at          timestamptz NOT NULL,
    polled_at        timestamptz,
    failures         integer NOT NULL DEFAULT 0,
    error            text NOT NULL DEFAULT '',
    etag             text NOT NULL DEFAULT '',
    listed           integer NOT NULL DEFAULT 0,
    more             boolean NOT NULL DEFAULT false,
    created_at       timestamptz NOT NULL,
    created_by       text NOT NULL,
    updated_at       timestamptz NOT NULL,
    updated_by       text NOT NULL,
    UNIQUE (algorithm_id, source)
);
CREATE INDEX mirrors_next_at ON mirrors (next_at) WHERE NOT disabled;
CREATE INDEX mirrors_source ON mirrors (source, id);
CREATE INDEX mirrors_created_at ON mirrors (created_at, id);

-- Tags that match, and what became of each. One without a version and with a digest
-- had one that was removed, or none could be made.
CREATE TABLE mirror_tags (
    mirror_id  uuid NOT NULL REFERENCES mirrors ON DELETE CASCADE,
    tag        text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL DEFAULT '', -- that was seen last
    version_id uuid REFERENCES algorithm_versions ON DELETE SET NULL,
    seen_at    timestamptz NOT NULL,                 -- first
    gone       boolean NOT NULL DEFAULT false,
    error      text NOT NULL DEFAULT '',
    PRIMARY KEY (mirror_id, tag)
);
CREATE INDEX mirror_tags_version ON mirror_tags (version_id);

-- What sort of failure ended an import, so that a mirror knows whether another attempt
-- may help.
ALTER TABLE algorithm_imports ADD COLUMN failure text NOT NULL DEFAULT '';

-- When a registry was last asked.
CREATE INDEX algorithm_imports_host ON algorithm_imports (split_part(image, '/', 1), requested_at);
