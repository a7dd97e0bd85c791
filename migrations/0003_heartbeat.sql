-- +goose Up

-- What a launch reports. Its heartbeats change no indexed column while its
-- status stays, so that the updates stay HOT; reports stay in their page, since
-- PostgreSQL would compress them anew at each heartbeat.
ALTER TABLE launch_reports
    ADD COLUMN system_version   text NOT NULL DEFAULT '',
    ADD COLUMN status           text NOT NULL DEFAULT 'up' CHECK (status IN ('up', 'degraded', 'stale')),
    ADD COLUMN status_reason    text NOT NULL DEFAULT '',
    ADD COLUMN status_since     timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN streak           smallint NOT NULL DEFAULT 0, -- heartbeats in a row that speak for another status
    ADD COLUMN ready            integer NOT NULL DEFAULT 0,
    ADD COLUMN wanted           integer NOT NULL DEFAULT 0,
    ADD COLUMN interval_seconds integer NOT NULL DEFAULT 30, -- how often it was told to report
    ADD COLUMN state            json NOT NULL DEFAULT '{}';
ALTER TABLE launch_reports SET (fillfactor = 60, toast_tuple_target = 8160);
CREATE INDEX launch_reports_live ON launch_reports (launch_id) WHERE status <> 'stale';

-- How launches did over time: a ring of slots for each resolution (in
-- seconds), so that it never grows beyond what is kept.
CREATE TABLE launch_history (
    launch_id  uuid NOT NULL REFERENCES launches ON DELETE CASCADE,
    resolution integer NOT NULL,
    slot       integer NOT NULL,
    at         timestamptz NOT NULL,
    point      json NOT NULL,
    PRIMARY KEY (launch_id, resolution, slot)
) WITH (fillfactor = 80);

-- Counts that lists are sorted by, kept by whoever adds or removes a launch or
-- changes its status, in the same transaction.
ALTER TABLE satellites
    ADD COLUMN launch_count      integer NOT NULL DEFAULT 0,
    ADD COLUMN launches_up       integer NOT NULL DEFAULT 0,
    ADD COLUMN launches_degraded integer NOT NULL DEFAULT 0,
    ADD COLUMN launches_stale    integer NOT NULL DEFAULT 0;
UPDATE satellites s SET
    launch_count = (SELECT count(*) FROM launches l WHERE l.satellite_id = s.id),
    launches_up  = (SELECT count(*) FROM launches l JOIN launch_reports r ON r.launch_id = l.id WHERE l.satellite_id = s.id);
CREATE INDEX satellites_latest_version ON satellites (latest_version, id);
CREATE INDEX satellites_launch_count ON satellites (launch_count, id);
CREATE INDEX satellites_launches_up ON satellites (launches_up, id);
CREATE INDEX satellites_launches_degraded ON satellites (launches_degraded, id);
CREATE INDEX satellites_launches_stale ON satellites (launches_stale, id);
