-- +goose Up

-- What a mothership is, over all its servers. A store carries the same id, so that
-- no server runs on a store that the others do not share.
CREATE TABLE mothership (
    singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id                uuid NOT NULL DEFAULT gen_random_uuid(),
    store_claimed_at  timestamptz, -- when a store was first given the id
    -- A server that knows the schema up to this version, and none later, still works
    -- with this one. A migration that removes what older servers use raises it.
    compatible_schema bigint NOT NULL
);
INSERT INTO mothership (compatible_schema) VALUES (61);

-- The set-up token itself, so that all servers tell the same link.
ALTER TABLE setup_token ADD COLUMN sealed bytea;
