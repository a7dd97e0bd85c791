-- +goose Up

-- The vanity URLs that a satellite's key may call; none: all.
ALTER TABLE satellite_keys ADD COLUMN algorithms text[] NOT NULL DEFAULT '{}';
