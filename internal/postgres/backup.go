package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const backupColumns = `id, target, started_at, started_by, finished_at, point, blobs, bytes, written, error, verified_at, fault`

// removalLock is held shared by whoever removes blobs, and alone for a moment by a
// backup that begins: what is being removed then is gone before its snapshot.
const removalLock = "remove blobs"

// heldWhile is how long a backup that says nothing still keeps blobs from being removed.
const heldWhile = time.Minute

// BeginBackup begins a backup unless one runs, and ends those that said nothing for a
// while: ok is false when running is under way. From then on, no blob is removed.
func (db *DB) BeginBackup(ctx context.Context, target, by string, patience time.Duration) (backup *constellation.Backup, ok bool, err error) {
	err = db.Transact(ctx, func(tx *DB) error {
		if err := tx.Lock(ctx, "begin backup"); err != nil {
			return err
		}
		running, err := collect[constellation.Backup](ctx, tx, "look for a backup that runs", `
			SELECT `+backupColumns+` FROM backups WHERE finished_at IS NULL AND seen_at > clock_timestamp() - @patience::interval`,
			pgx.NamedArgs{"patience": patience})
		if err != nil {
			return err
		}
		if len(running) > 0 {
			backup, ok = &running[0], false
			return nil
		}
		if err := tx.endBackups(ctx); err != nil {
			return err
		}
		if err := tx.Lock(ctx, removalLock); err != nil {
			return err
		}
		ok = true
		backup, err = collectOne[constellation.Backup](ctx, tx, "begin backup", `
			INSERT INTO backups (target, started_at, started_by, seen_at)
			VALUES (@target, clock_timestamp(), @by, clock_timestamp()) RETURNING `+backupColumns,
			pgx.NamedArgs{"target": target, "by": by}, nil)
		return err
	})
	return backup, ok, err
}

// endBackups ends the backups that were left.
func (db *DB) endBackups(ctx context.Context) error {
	return db.exec(ctx, "end backups that were left", `
		UPDATE backups SET finished_at = seen_at, error = 'it was ended before it was done' WHERE finished_at IS NULL`, nil)
}

// EndLeftBackups ends the backups that said nothing for a while, and returns them.
func (db *DB) EndLeftBackups(ctx context.Context, patience time.Duration) ([]constellation.Backup, error) {
	return collect[constellation.Backup](ctx, db, "end backups whose servers are gone", `
		UPDATE backups SET finished_at = seen_at, error = 'it was ended before it was done'
		WHERE finished_at IS NULL AND seen_at < clock_timestamp() - @patience::interval RETURNING `+backupColumns,
		pgx.NamedArgs{"patience": patience})
}

// SeenBackup notes that a backup runs.
func (db *DB) SeenBackup(ctx context.Context, id, written int64) error {
	return db.execOne(ctx, "note that a backup runs", `
		UPDATE backups SET seen_at = clock_timestamp(), written = @written WHERE id = @id AND finished_at IS NULL`,
		pgx.NamedArgs{"id": id, "written": written}, constellation.Errorf(constellation.KindConflict, "this backup was taken for one that was left, and another one began; run it again"))
}

// FinishBackup notes what became of a backup.
func (db *DB) FinishBackup(ctx context.Context, b *constellation.Backup) error {
	return db.exec(ctx, "finish backup", `
		UPDATE backups SET finished_at = clock_timestamp(), seen_at = clock_timestamp(), point = @point, blobs = @blobs, bytes = @bytes, written = @written, error = @error
		WHERE id = @id AND finished_at IS NULL`,
		pgx.NamedArgs{"id": b.ID, "point": b.Point, "blobs": b.Blobs, "bytes": b.Bytes, "written": b.Written, "error": b.Error})
}

// backupsKept is how many backups are remembered.
const backupsKept = 200

// TrimBackups forgets old backups; what they wrote stays.
func (db *DB) TrimBackups(ctx context.Context) error {
	return db.exec(ctx, "forget old backups", `
		DELETE FROM backups WHERE id < (SELECT id FROM backups ORDER BY id DESC OFFSET @kept LIMIT 1)
			AND id <> coalesce((SELECT max(id) FROM backups WHERE error = '' AND finished_at IS NOT NULL), 0)`, pgx.NamedArgs{"kept": backupsKept})
}

// Backups returns the last backups, the newest first.
func (db *DB) Backups(ctx context.Context, limit int) ([]constellation.Backup, error) {
	return collect[constellation.Backup](ctx, db, "list backups", `
		SELECT `+backupColumns+` FROM backups ORDER BY id DESC LIMIT @limit`, pgx.NamedArgs{"limit": limit})
}

var backupOrder = ordering{
	sorts:  map[string]column{"started_at": {"b.started_at", "timestamptz"}, "bytes": {"b.bytes", "bigint"}},
	id:     column{"b.id", "bigint"},
	search: "lower(b.target)",
}

// BackupPage returns a page of the backups that are remembered.
func (db *DB) BackupPage(ctx context.Context, l List) ([]constellation.Backup, error) {
	return list[constellation.Backup](ctx, db, "list backups", listQuery{order: backupOrder, rows: selection{
		columns: `b.id, b.target, b.started_at, b.started_by, b.finished_at, b.point, b.blobs, b.bytes, b.written, b.error, b.verified_at, b.fault`, from: `backups b`,
	}}, l)
}

// NoteVerified notes that a backup was read again, and what was wrong with it.
func (db *DB) NoteVerified(ctx context.Context, target, point, fault string) error {
	return db.exec(ctx, "note that a backup was verified", `
		UPDATE backups SET verified_at = clock_timestamp(), fault = @fault
		WHERE id = (SELECT max(id) FROM backups WHERE target = @target AND point = @point)`,
		pgx.NamedArgs{"target": target, "point": point, "fault": fault})
}

// LastBackup returns the last backup that succeeded, nil when there is none.
func (db *DB) LastBackup(ctx context.Context) (*constellation.Backup, error) {
	last, err := collect[constellation.Backup](ctx, db, "get last backup", `
		SELECT `+backupColumns+` FROM backups WHERE error = '' AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1`, nil)
	if err != nil || len(last) == 0 {
		return nil, err
	}
	return &last[0], nil
}
