package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// How much of the database a support bundle tells.
const (
	supportStatements = 50
	supportJobs       = 100
	supportEvents     = 10000
)

// TableSize is a table of this database, as PostgreSQL counts it.
type TableSize struct {
	Name       string     `json:"name"`
	Rows       int64      `json:"rows"` // an estimate
	DeadRows   int64      `json:"dead_rows"`
	Bytes      int64      `json:"bytes"` // with its indexes
	IndexBytes int64      `json:"index_bytes"`
	Scans      int64      `json:"scans"`
	IndexScans int64      `json:"index_scans"`
	VacuumedAt *time.Time `json:"vacuumed_at"`
	AnalysedAt *time.Time `json:"analysed_at"`
}

// TableSizes returns every table, the largest first.
func (db *DB) TableSizes(ctx context.Context) ([]TableSize, error) {
	return collect[TableSize](ctx, db, "list tables", `
		SELECT relname::text AS name, n_live_tup AS rows, n_dead_tup AS dead_rows, pg_total_relation_size(relid) AS bytes, pg_indexes_size(relid) AS index_bytes,
			coalesce(seq_scan, 0) AS scans, coalesce(idx_scan, 0) AS index_scans,
			greatest(last_vacuum, last_autovacuum) AS vacuumed_at, greatest(last_analyze, last_autoanalyze) AS analysed_at
		FROM pg_stat_user_tables ORDER BY bytes DESC, name LIMIT 500`, nil)
}

// Activity is how many connections do something.
type Activity struct {
	State       string   `json:"state"`
	Application string   `json:"application"`
	WaitsFor    string   `json:"waits_for"`
	Connections int64    `json:"connections"`
	Oldest      *float64 `json:"oldest_transaction_seconds"`
}

// Activities returns what this database's connections do.
func (db *DB) Activities(ctx context.Context) ([]Activity, error) {
	return collect[Activity](ctx, db, "list activities", `
		SELECT coalesce(state, '') AS state, left(application_name, 64) AS application, coalesce(wait_event_type, '') AS waits_for,
			count(*) AS connections, extract(epoch FROM max(now() - xact_start))::float8 AS oldest
		FROM pg_stat_activity WHERE datname = current_database()
		GROUP BY 1, 2, 3 ORDER BY connections DESC, state, application, waits_for LIMIT 200`, nil)
}

// SlowStatement is a statement that took long, without values.
type SlowStatement struct {
	Statement string  `json:"statement"`
	Calls     int64   `json:"calls"`
	Total     float64 `json:"total_ms"`
	Mean      float64 `json:"mean_ms"`
	Max       float64 `json:"max_ms"`
	Rows      int64   `json:"rows"`
}

// SlowStatements returns what took the most time of this database, where it has
// pg_stat_statements; else KindUnavailable.
func (db *DB) SlowStatements(ctx context.Context) ([]SlowStatement, error) {
	there, err := scalar[bool](ctx, db, "look for pg_stat_statements", `SELECT to_regclass('pg_stat_statements') IS NOT NULL`, nil)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, constellation.Errorf(constellation.KindUnavailable, "the database has no pg_stat_statements; with it, slow statements would be here")
	}
	list, err := collect[SlowStatement](ctx, db, "list slow statements", `
		SELECT query AS statement, calls, total_exec_time AS total, mean_exec_time AS mean, max_exec_time AS max, rows
		FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		ORDER BY total_exec_time DESC LIMIT @most`, pgx.NamedArgs{"most": supportStatements})
	for i := range list {
		text := withoutValues(list[i].Statement) // those that PostgreSQL left
		list[i].Statement = text[:min(len(text), maxText)]
	}
	return list, err
}

// FailedJob is a job that failed or was given up.
type FailedJob struct {
	ID      int64     `json:"id"`
	Kind    string    `json:"kind"`
	State   string    `json:"state"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"created_at"`
	Error   string    `json:"error"` // of its last attempt
}

// FailedJobs returns the newest of them.
func (db *DB) FailedJobs(ctx context.Context) ([]FailedJob, error) {
	return collect[FailedJob](ctx, db, "list failed jobs", `
		SELECT id, kind, state::text AS state, attempt, created_at AS at, left(coalesce(errors[array_upper(errors, 1)]->>'error', ''), 1000) AS error
		FROM river_job WHERE state IN ('retryable', 'discarded', 'cancelled') ORDER BY id DESC LIMIT @most`, pgx.NamedArgs{"most": supportJobs})
}

// EventCount is how often something was done of late.
type EventCount struct {
	Action     string    `json:"action"`
	TargetKind string    `json:"target_kind"`
	Events     int64     `json:"events"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

// EventCounts returns the newest rows of the audit log by kind: nobody's name.
func (db *DB) EventCounts(ctx context.Context) ([]EventCount, error) {
	return collect[EventCount](ctx, db, "count events", `
		SELECT action, target_kind, count(*) AS events, min(at) AS first, max(at) AS last
		FROM (SELECT action, target_kind, at FROM events ORDER BY id DESC LIMIT @most) newest
		GROUP BY action, target_kind ORDER BY events DESC, action, target_kind`, pgx.NamedArgs{"most": supportEvents})
}
