-- +goose Up

-- What the registry's storage holds. A row a digest: it is written after the
-- content is there, and goes with it. Whoever relies on the content writes
-- touched_at, or holds the row, before it looks; whoever removes it holds the
-- row alone, and looks again.
CREATE TABLE registry_blobs (
    digest     text COLLATE "C" PRIMARY KEY,
    size       bigint NOT NULL CHECK (size >= 0),
    touched_at timestamptz NOT NULL
) WITH (fillfactor = 80);

-- Which repository has which blob: layers, configurations and manifests.
CREATE TABLE registry_links (
    repository text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL REFERENCES registry_blobs,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX registry_links_digest ON registry_links (digest);

CREATE TABLE registry_manifests (
    repository text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL,
    subject    text COLLATE "C", -- the manifest that it belongs to, as a signature does
    PRIMARY KEY (repository, digest),
    FOREIGN KEY (repository, digest) REFERENCES registry_links
);
CREATE INDEX registry_manifests_subject ON registry_manifests (repository, subject) WHERE subject IS NOT NULL;

-- What a manifest names: blobs and, of an index, manifests.
CREATE TABLE registry_parts (
    repository text COLLATE "C" NOT NULL,
    manifest   text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES registry_manifests ON DELETE CASCADE
);
CREATE INDEX registry_parts_digest ON registry_parts (repository, digest);

CREATE TABLE registry_tags (
    repository text COLLATE "C" NOT NULL,
    tag        text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL,
    subject    text COLLATE "C",  -- of a tag made of a digest: what it belongs to
    keeps      boolean NOT NULL,  -- a tag of its owner's own, neither a Git hash nor made of a digest
    PRIMARY KEY (repository, tag)
);
CREATE INDEX registry_tags_digest ON registry_tags (repository, digest);
CREATE INDEX registry_tags_subject ON registry_tags (repository, subject) WHERE subject IS NOT NULL;

-- What a repository and an owner take, counted with every link. What several
-- repositories have counts once in their owner's sum.
CREATE TABLE registry_usage (
    repository text COLLATE "C" PRIMARY KEY,
    owner      text COLLATE "C" NOT NULL,
    blobs      bigint NOT NULL,
    bytes      bigint NOT NULL
);
CREATE TABLE registry_owner_usage (
    owner text COLLATE "C" PRIMARY KEY,
    blobs bigint NOT NULL,
    bytes bigint NOT NULL
);
CREATE TABLE registry_owner_blobs (
    owner        text COLLATE "C" NOT NULL,
    digest       text COLLATE "C" NOT NULL,
    repositories integer NOT NULL,
    PRIMARY KEY (owner, digest)
);

-- +goose StatementBegin
CREATE FUNCTION count_registry_link() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    link registry_links%ROWTYPE;
    step integer;
    added bigint;
    who text;
    found_in integer;
BEGIN
    IF TG_OP = 'INSERT' THEN link := NEW; step := 1; ELSE link := OLD; step := -1; END IF;
    SELECT step * b.size INTO STRICT added FROM registry_blobs b WHERE b.digest = link.digest;
    who := split_part(link.repository, '/', 1);
    INSERT INTO registry_usage AS u (repository, owner, blobs, bytes) VALUES (link.repository, who, step, added)
        ON CONFLICT (repository) DO UPDATE SET blobs = u.blobs + step, bytes = u.bytes + added;
    INSERT INTO registry_owner_blobs AS o (owner, digest, repositories) VALUES (who, link.digest, step)
        ON CONFLICT (owner, digest) DO UPDATE SET repositories = o.repositories + step RETURNING o.repositories INTO found_in;
    IF (step = 1 AND found_in = 1) OR (step = -1 AND found_in = 0) THEN
        INSERT INTO registry_owner_usage AS u (owner, blobs, bytes) VALUES (who, step, added)
            ON CONFLICT (owner) DO UPDATE SET blobs = u.blobs + step, bytes = u.bytes + added;
    END IF;
    IF found_in = 0 THEN
        DELETE FROM registry_owner_blobs o WHERE o.owner = who AND o.digest = link.digest;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER registry_links_counted AFTER INSERT OR DELETE ON registry_links FOR EACH ROW EXECUTE FUNCTION count_registry_link();

-- What is needed where its source is: an index's manifests, what has a manifest
-- as its subject, what has a tag made of its digest.
CREATE VIEW registry_edges AS
    SELECT p.repository, p.manifest AS source, p.digest AS target
    FROM registry_parts p JOIN registry_manifests m ON m.repository = p.repository AND m.digest = p.digest
    UNION ALL
    SELECT m.repository, m.subject, m.digest FROM registry_manifests m WHERE m.subject IS NOT NULL
    UNION ALL
    SELECT t.repository, t.subject, t.digest FROM registry_tags t WHERE t.subject IS NOT NULL;

-- The manifests that are needed: of versions, touched since cutoff, or under a
-- tag of its own and touched since kept; and all that belongs to those.
-- +goose StatementBegin
CREATE FUNCTION registry_needed(cutoff timestamptz, kept timestamptz) RETURNS TABLE (repository text, digest text) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE needed (repository, digest) AS (
        SELECT * FROM (
            SELECT g.repository, v.digest COLLATE "C" FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id
            UNION ALL
            SELECT m.repository, m.digest FROM registry_manifests m JOIN registry_blobs b ON b.digest = m.digest WHERE b.touched_at >= cutoff
            UNION ALL
            SELECT t.repository, t.digest FROM registry_tags t JOIN registry_blobs b ON b.digest = t.digest WHERE t.keeps AND b.touched_at >= kept) roots
        UNION
        SELECT e.repository, e.target FROM needed n JOIN registry_edges e ON e.repository = n.repository AND e.source = n.digest
    )
    SELECT n.repository, n.digest FROM needed n
$$;
-- +goose StatementEnd

-- Garbage collections: the one that runs, and those that ran.
CREATE TABLE registry_collections (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    started_by  text NOT NULL,
    seen_at     timestamptz NOT NULL, -- when it last said that it runs
    finished_at timestamptz,
    manifests   bigint NOT NULL DEFAULT 0,
    blobs       bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT ''
);
CREATE INDEX registry_collections_started_at ON registry_collections (started_at);

-- When the storage was first counted whole.
CREATE TABLE registry_scans (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    scanned_at timestamptz NOT NULL
);
