-- +goose Up

-- What an algorithm version holds that is no code but the weights of a model;
-- null is code.
ALTER TABLE algorithm_versions ADD COLUMN weights jsonb;

-- Weights that an algorithm of a satellite version reads.
CREATE TABLE satellite_weights (
    satellite_id         uuid NOT NULL,
    number               integer NOT NULL,
    vanity_url           text COLLATE "C" NOT NULL,
    position             integer NOT NULL,
    algorithm_version_id uuid NOT NULL REFERENCES algorithm_versions,
    path                 text NOT NULL,
    PRIMARY KEY (satellite_id, number, vanity_url, position),
    FOREIGN KEY (satellite_id, number, vanity_url) REFERENCES satellite_algorithms (satellite_id, number, vanity_url) ON DELETE CASCADE
);
CREATE INDEX satellite_weights_version ON satellite_weights (algorithm_version_id);
CREATE TRIGGER satellite_weights_immutable BEFORE UPDATE ON satellite_weights FOR EACH ROW EXECUTE FUNCTION refuse_update();

-- Which versions of satellites refer to which versions of algorithms, as code or
-- as weights.
CREATE VIEW satellite_uses AS
    SELECT satellite_id, number, position, vanity_url, replicas, algorithm_version_id FROM satellite_algorithms
    UNION ALL
    SELECT w.satellite_id, w.number, a.position, w.vanity_url, a.replicas, w.algorithm_version_id
    FROM satellite_weights w JOIN satellite_algorithms a ON (a.satellite_id, a.number, a.vanity_url) = (w.satellite_id, w.number, w.vanity_url);
