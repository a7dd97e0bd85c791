package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/migrations"
)

// MigrationStatus is how far the schema is.
type MigrationStatus struct {
	Current int64    // the database's version, 0 when it is empty
	Target  int64    // the newest version this binary knows
	Pending []string // files not applied yet, in order
}

// Migrate brings the schema at url to the newest version, under an advisory
// lock, so that servers which start together do it once. A schema that is
// newer than this binary knows stays as it is, and is refused when servers as
// old as this one cannot work with it: KindConflict.
func Migrate(ctx context.Context, url string) error {
	return withProvider(ctx, url, func(db *sql.DB, p *goose.Provider) error {
		if err := refuseRestoring(ctx, db); err != nil {
			return err
		}
		current, err := schemaVersion(ctx, db)
		if err != nil {
			return err
		}
		if current > newest(p) {
			return refuseNewer(current, newest(p), func() (oldest int64, err error) {
				err = db.QueryRowContext(ctx, compatibleSchema).Scan(&oldest)
				return oldest, translate(err, "read which servers the schema is for")
			})
		}
		if _, err := p.Up(ctx); err != nil {
			return translate(err, "migrate schema")
		}
		return nil
	})
}

// Status returns how far the schema at url is migrated.
func Status(ctx context.Context, url string) (MigrationStatus, error) {
	var status MigrationStatus
	err := withProvider(ctx, url, func(db *sql.DB, p *goose.Provider) error {
		var err error
		if status.Current, err = schemaVersion(ctx, db); err != nil {
			return err
		}
		status.Target = newest(p)
		for _, source := range p.ListSources() {
			if source.Version > status.Current {
				status.Pending = append(status.Pending, path.Base(source.Path))
			}
		}
		return nil
	})
	return status, err
}

// CheckSchema returns nil when the schema is the one this binary knows, or a newer
// one that it can work with: it may serve beside a newer server.
func (db *DB) CheckSchema(ctx context.Context) error {
	current, err := scalar[int64](ctx, db, "read schema version", `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`, nil)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" { // undefined_table: an empty database
		current, err = 0, nil
	}
	if err != nil {
		return err
	}
	target, err := newestMigration()
	if err != nil {
		return err
	}
	if current < target {
		return constellation.Errorf(constellation.KindUnavailable,
			"the database has schema version %d and this mothership needs %d; run mothership migrate up", current, target)
	}
	if current == target {
		return nil
	}
	return refuseNewer(current, target, func() (int64, error) {
		return scalar[int64](ctx, db, "read which servers the schema is for", compatibleSchema, nil)
	})
}

// compatibleSchema reads the oldest version of the schema that a server may know.
const compatibleSchema = `SELECT compatible_schema FROM mothership`

// refuseNewer returns an error when a server that knows the schema up to target
// cannot work with a newer one, of which compatible tells the oldest that it may know.
func refuseNewer(current, target int64, compatible func() (int64, error)) error {
	if oldest, err := compatible(); err != nil || oldest <= target {
		return err
	}
	return constellation.Errorf(constellation.KindConflict,
		"the database has schema version %d and this mothership knows up to %d; run the mothership that migrated it, or a newer one", current, target)
}

// newestMigration returns the version of the last embedded file.
func newestMigration() (int64, error) {
	entries, err := migrations.FS.ReadDir(".")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	last := entries[len(entries)-1].Name() // ReadDir sorts
	version, err := goose.NumericComponent(last)
	if err != nil {
		return 0, fmt.Errorf("migration %s: %w", last, err)
	}
	return version, nil
}

func newest(p *goose.Provider) int64 {
	sources := p.ListSources() // in order
	return sources[len(sources)-1].Version
}

// schemaVersion reads goose's table without making it, so that status changes
// nothing and servers that start together do not race to create it.
func schemaVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&exists); err != nil {
		return 0, translate(err, "look for schema version")
	}
	if !exists {
		return 0, nil
	}
	var version int64
	err := db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, translate(err, "read schema version")
}

func withProvider(ctx context.Context, url string, f func(*sql.DB, *goose.Provider) error) (err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return constellation.Wrap(errors.New("parse database URL"), constellation.KindInvalid,
			"DATABASE_URL cannot be read; it looks like postgres://user:password@host:5432/database")
	}
	boundConnecting(config, url)
	pooled, err := findPooler(ctx, config)
	if err != nil {
		return err
	}
	if pooled {
		throughPooler(config)
	}
	db := stdlib.OpenDB(*config)
	var locker lock.SessionLocker = &pooledLock{db: db}
	if !pooled {
		// Another server may be migrating: ask for the lock once a second, for five minutes.
		if locker, err = lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockTries)); err != nil {
			return errors.Join(fmt.Errorf("make migration lock: %w", err), db.Close())
		}
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return errors.Join(fmt.Errorf("read migrations: %w", err), db.Close())
	}
	defer func() { err = errors.Join(err, p.Close()) }() // closes db
	return f(db, p)
}
