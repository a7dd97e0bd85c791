-- +goose Up

-- How often a satellite's key may call; 0 calls per second: no limit.
ALTER TABLE satellite_keys
    ADD COLUMN rate_per_second double precision NOT NULL DEFAULT 0,
    ADD COLUMN rate_burst integer NOT NULL DEFAULT 0;
