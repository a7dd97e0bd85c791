-- +goose Up

-- What an algorithm's pods are given beside their image: its variables (env),
-- those of Secrets and ConfigMaps (env_from), and its volumes.
ALTER TABLE satellite_algorithms ADD COLUMN settings jsonb NOT NULL DEFAULT '{}';
