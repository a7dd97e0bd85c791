-- +goose Up

-- Backups: the one that runs, and those that ran. While one runs, garbage collection
-- removes nothing that it may still read.
CREATE TABLE backups (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target      text NOT NULL,
    started_at  timestamptz NOT NULL,
    started_by  text NOT NULL,
    seen_at     timestamptz NOT NULL, -- when it last said that it runs
    finished_at timestamptz,
    point       text NOT NULL DEFAULT '', -- what it is called in its target
    blobs       bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0, -- of all that it holds
    written     bigint NOT NULL DEFAULT 0, -- of these, what its target did not have
    error       text NOT NULL DEFAULT ''
);
CREATE INDEX backups_started_at ON backups (started_at);
CREATE INDEX backups_running ON backups (id) WHERE finished_at IS NULL;
