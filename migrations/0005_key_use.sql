-- +goose Up

-- When a satellite last reported that the key called it.
ALTER TABLE satellite_keys ADD COLUMN last_used_at timestamptz;
