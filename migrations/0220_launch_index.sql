-- +goose Up

-- Servers of the release before write on: nothing may come between.
LOCK TABLE launch_reports, satellites, launches IN SHARE ROW EXCLUSIVE MODE;

-- What the list of all launches is chosen and ordered by: a narrow row a launch, which
-- changes as its status or its version does, not with each of its heartbeats. Triggers
-- keep it, whichever release writes.
CREATE TABLE launch_index (
    launch_id    uuid PRIMARY KEY REFERENCES launches ON DELETE CASCADE,
    satellite_id uuid NOT NULL,
    name_key     text COLLATE "C" NOT NULL,
    created_at   timestamptz NOT NULL,
    wanted       integer NOT NULL,                         -- the version of its satellite
    running      integer,                                  -- NULL: not known
    health       smallint NOT NULL DEFAULT 2,              -- 0 degraded, 1 stale, 2 never seen, 3 up: trouble first
    seen_at      timestamptz NOT NULL DEFAULT '-infinity', -- of a stale one when it was last heard; 'infinity': it reports
    behind_since timestamptz NOT NULL DEFAULT 'infinity'   -- since when it has run another version than is wanted; 'infinity': it does not
) WITH (fillfactor = 80);

-- +goose StatementBegin
CREATE FUNCTION keep_launch_index() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO launch_index (launch_id, satellite_id, name_key, created_at, wanted)
        VALUES (NEW.id, NEW.satellite_id, NEW.name_key, NEW.created_at, NEW.satellite_version);
    ELSE
        UPDATE launch_index SET name_key = NEW.name_key, wanted = NEW.satellite_version,
            behind_since = CASE WHEN running <> NEW.satellite_version THEN least(behind_since, NEW.updated_at) ELSE 'infinity' END
        WHERE launch_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER launches_indexed_inserted AFTER INSERT ON launches FOR EACH ROW EXECUTE FUNCTION keep_launch_index();
CREATE TRIGGER launches_indexed AFTER UPDATE OF name_key, satellite_version ON launches FOR EACH ROW
    WHEN (OLD.name_key IS DISTINCT FROM NEW.name_key OR OLD.satellite_version IS DISTINCT FROM NEW.satellite_version) EXECUTE FUNCTION keep_launch_index();

-- +goose StatementBegin
CREATE FUNCTION keep_launch_health() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE launch_index SET running = NEW.running_version,
        health = CASE NEW.status WHEN 'degraded' THEN 0 WHEN 'stale' THEN 1 ELSE 3 END,
        seen_at = CASE NEW.status WHEN 'stale' THEN NEW.last_seen_at ELSE 'infinity' END,
        behind_since = CASE WHEN NEW.running_version <> wanted THEN least(behind_since, NEW.last_seen_at) ELSE 'infinity' END
    WHERE launch_id = NEW.launch_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
-- The first reports of a fleet come by the thousand: all of a statement at once.
-- +goose StatementBegin
CREATE FUNCTION keep_first_health() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE launch_index i SET running = r.running_version,
        health = CASE r.status WHEN 'degraded' THEN 0 WHEN 'stale' THEN 1 ELSE 3 END,
        seen_at = CASE r.status WHEN 'stale' THEN r.last_seen_at ELSE 'infinity' END,
        behind_since = CASE WHEN r.running_version <> i.wanted THEN least(i.behind_since, r.last_seen_at) ELSE 'infinity' END
    FROM first_reports r WHERE i.launch_id = r.launch_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER launch_reports_indexed_inserted AFTER INSERT ON launch_reports REFERENCING NEW TABLE AS first_reports
    FOR EACH STATEMENT EXECUTE FUNCTION keep_first_health();
CREATE TRIGGER launch_reports_indexed AFTER UPDATE ON launch_reports FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.running_version IS DISTINCT FROM NEW.running_version) EXECUTE FUNCTION keep_launch_health();

-- Those that there are.
INSERT INTO launch_index (launch_id, satellite_id, name_key, created_at, wanted, running, health, seen_at, behind_since)
SELECT l.id, l.satellite_id, l.name_key, l.created_at, l.satellite_version, r.running_version,
    CASE r.status WHEN 'degraded' THEN 0 WHEN 'stale' THEN 1 WHEN 'up' THEN 3 ELSE 2 END,
    CASE WHEN r.launch_id IS NULL THEN '-infinity' WHEN r.status = 'stale' THEN r.last_seen_at ELSE 'infinity' END,
    CASE WHEN r.running_version <> l.satellite_version THEN greatest(l.updated_at, r.first_seen_at) ELSE 'infinity' END
FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id;

-- A page of launches of any statuses is the first of each of these.
CREATE INDEX launch_index_name ON launch_index (health, name_key, launch_id);
CREATE INDEX launch_index_created_at ON launch_index (health, created_at, launch_id);
CREATE INDEX launch_index_seen_at ON launch_index (health, seen_at, launch_id);
CREATE INDEX launch_index_behind_since ON launch_index (health, behind_since, launch_id);
-- The few that are behind, of a satellite.
CREATE INDEX launch_index_behind ON launch_index (satellite_id) WHERE behind_since < 'infinity';

-- Who made launches and satellites, for lists of these alone.
CREATE INDEX launches_created_by ON launches (created_by);
CREATE INDEX satellites_created_by ON satellites (created_by);
