-- +goose Up

-- What somebody is typing into the form of a satellite, so that no dialog,
-- second editor or ended session loses it. No foreign key to the satellite:
-- the draft of one that is removed meanwhile can still become a new one.
CREATE TABLE satellite_drafts (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    satellite_id uuid,
    content      jsonb NOT NULL,
    updated_at   timestamptz NOT NULL
);
CREATE INDEX satellite_drafts_account ON satellite_drafts (account_id);
CREATE INDEX satellite_drafts_updated_at ON satellite_drafts (updated_at);

-- What happened to a satellite, its launches and its keys.
CREATE INDEX events_satellite ON events (
    (coalesce(after ->> 'satellite_id', before ->> 'satellite_id', CASE WHEN target_kind = 'satellite' THEN target_id END)), id
);

