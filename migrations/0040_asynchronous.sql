-- +goose Up

-- Replicas that follow the load: between min_replicas (null: 1) and
-- max_replicas (0: their number stays what replicas says).
ALTER TABLE satellite_algorithms
    ADD COLUMN min_replicas integer CHECK (min_replicas BETWEEN 0 AND 1000),
    ADD COLUMN max_replicas integer NOT NULL DEFAULT 0 CHECK (max_replicas BETWEEN 0 AND 1000);

-- What a satellite version calls again and again.
CREATE TABLE satellite_schedules (
    satellite_id uuid NOT NULL,
    number       integer NOT NULL,
    position     integer NOT NULL,
    name         text NOT NULL,
    name_key     text COLLATE "C" NOT NULL,
    cron         text NOT NULL,
    time_zone    text NOT NULL,
    vanity_url   text COLLATE "C" NOT NULL,
    input        text NOT NULL,
    content_type text NOT NULL,
    missed       text NOT NULL CHECK (missed IN ('skip', 'once')),
    PRIMARY KEY (satellite_id, number, position),
    UNIQUE (satellite_id, number, name_key),
    FOREIGN KEY (satellite_id, number, vanity_url) REFERENCES satellite_algorithms (satellite_id, number, vanity_url) ON DELETE CASCADE
);
CREATE TRIGGER satellite_schedules_immutable BEFORE UPDATE ON satellite_schedules FOR EACH ROW EXECUTE FUNCTION refuse_update();

-- Where results of a key's asynchronous calls are posted that name no other
-- place; '' is nowhere.
ALTER TABLE satellite_keys ADD COLUMN callback_url text NOT NULL DEFAULT '';
DROP TRIGGER satellite_keys_changed ON satellite_keys;
CREATE TRIGGER satellite_keys_changed AFTER UPDATE OF sha256, algorithms, rate_per_second, rate_burst, expires_at, revoked_at, callback_url ON satellite_keys
    FOR EACH ROW EXECUTE FUNCTION satellite_key_changed();

-- What somebody asked to be done with a launch's dead letters. Heartbeats tell
-- it until the launch says what became of it; then it stays for a while, to be
-- seen.
CREATE TABLE launch_commands (
    id          uuid PRIMARY KEY,
    launch_id   uuid NOT NULL REFERENCES launches ON DELETE CASCADE,
    action      text NOT NULL CHECK (action IN ('retry', 'drop')),
    request_ids text[] NOT NULL,
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL,
    done_at     timestamptz,
    done        integer NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT ''
);
CREATE INDEX launch_commands_launch ON launch_commands (launch_id, created_at, id);
