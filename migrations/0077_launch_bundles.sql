-- +goose Up

-- Bundles that were given out lately, sealed: a download that one server began goes
-- on at another, though the launch may have changed meanwhile.
CREATE TABLE launch_bundles (
    inputs       text PRIMARY KEY, -- the digest of all that it was made of
    satellite_id uuid NOT NULL REFERENCES satellites ON DELETE CASCADE,
    launch_id    uuid NOT NULL REFERENCES launches ON DELETE CASCADE,
    holds        text[] NOT NULL,  -- the digests of its documents, manifests and blobs
    sealed       bytea NOT NULL,
    built_at     timestamptz NOT NULL
);
CREATE INDEX launch_bundles_satellite ON launch_bundles (satellite_id, built_at);
CREATE INDEX launch_bundles_launch ON launch_bundles (launch_id);
CREATE INDEX launch_bundles_built_at ON launch_bundles (built_at);
