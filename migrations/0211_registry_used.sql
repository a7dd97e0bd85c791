-- +goose Up

-- When a registry elsewhere was last asked for something, to the minute. Until now that
-- was put together from imports and mirrors each time it was shown.
ALTER TABLE foreign_registries ADD COLUMN last_used_at timestamptz;
UPDATE foreign_registries r SET last_used_at = greatest(
    (SELECT max(i.requested_at) FROM algorithm_imports i WHERE split_part(i.image, '/', 1) = r.host),
    (SELECT max(m.polled_at) FROM mirrors m WHERE split_part(m.source, '/', 1) = r.host));
