-- +goose Up

-- The runtime settings of an algorithm version can be corrected. Which of them a
-- satellite's version has is its own, and does not change.
ALTER TABLE algorithm_versions
    ADD COLUMN runtime_revision integer NOT NULL DEFAULT 1 CHECK (runtime_revision > 0),
    ADD COLUMN corrected_at timestamptz,
    ADD COLUMN corrected_by text NOT NULL DEFAULT '';
ALTER TABLE satellite_algorithms ADD COLUMN runtime_revision integer NOT NULL DEFAULT 1;

-- Every revision of those that were corrected, the first one too.
CREATE TABLE algorithm_runtimes (
    algorithm_version_id uuid NOT NULL REFERENCES algorithm_versions ON DELETE CASCADE,
    revision             integer NOT NULL CHECK (revision > 0),
    runtime              jsonb NOT NULL,
    PRIMARY KEY (algorithm_version_id, revision)
);
CREATE TRIGGER algorithm_runtimes_immutable BEFORE UPDATE ON algorithm_runtimes FOR EACH ROW EXECUTE FUNCTION refuse_update();
