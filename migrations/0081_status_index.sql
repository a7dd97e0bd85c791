-- +goose Up

-- The satellites that have launches with a status, by name, for lists of these alone.
CREATE INDEX satellites_with_up ON satellites (name_key, id) WHERE launches_up > 0;
CREATE INDEX satellites_with_degraded ON satellites (name_key, id) WHERE launches_degraded > 0;
CREATE INDEX satellites_with_stale ON satellites (name_key, id) WHERE launches_stale > 0;
CREATE INDEX satellites_with_never_seen ON satellites (name_key, id) WHERE launch_count > launches_up + launches_degraded + launches_stale;

-- The few launches that are not well among the many of a satellite. Those that
-- are up are found in the order of the list.
CREATE INDEX launch_reports_not_up ON launch_reports (status, launch_id) WHERE status <> 'up';
