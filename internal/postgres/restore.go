package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// restoreTable is there while a backup is being restored into a database.
const restoreTable = "constellation_restore"

// Restoring is a restore that began and did not end.
type Restoring struct {
	Point   string
	Loaded  bool // the tables are filled
	Settled bool // and are those of the servers to come
}

// Restoring returns the restore that did not end in this database, nil when there is
// none.
func (db *DB) Restoring(ctx context.Context) (*Restoring, error) {
	there, err := scalar[bool](ctx, db, "look for a restore", `SELECT to_regclass('`+restoreTable+`') IS NOT NULL`, nil)
	if err != nil || !there {
		return nil, err
	}
	list, err := collect[Restoring](ctx, db, "look for a restore", `SELECT point, loaded, settled FROM `+restoreTable, nil)
	if err != nil || len(list) == 0 {
		return &Restoring{}, err
	}
	return &list[0], nil
}

// refuseRestoring returns an error for a database into which a restore did not end.
func refuseRestoring(ctx context.Context, db *sql.DB) error {
	var there bool
	if err := db.QueryRowContext(ctx, `SELECT to_regclass('`+restoreTable+`') IS NOT NULL`).Scan(&there); err != nil || !there {
		return translate(err, "look for a restore")
	}
	return constellation.Errorf(constellation.KindConflict, "a restore into this database did not end; run the same mothership restore again, which goes on with it")
}

// Empty reports whether the database's schema has nothing in it.
func (db *DB) Empty(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "look whether the database is empty", `
		SELECT NOT EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND `+ours+`)`, nil)
}

// BeginRestore notes in an empty database that a restore begins, or, in one where a
// restore began, removes what that has made.
func (db *DB) BeginRestore(ctx context.Context, point string) error {
	return db.Transact(ctx, func(tx *DB) error {
		if err := tx.exec(ctx, "begin restore", `CREATE TABLE IF NOT EXISTS `+restoreTable+` (point text NOT NULL, loaded boolean NOT NULL, settled boolean NOT NULL)`, nil); err != nil {
			return err
		}
		if err := tx.exec(ctx, "remove what a restore left", dropAll, nil); err != nil {
			return err
		}
		if err := tx.exec(ctx, "begin restore", `DELETE FROM `+restoreTable, nil); err != nil {
			return err
		}
		return tx.exec(ctx, "begin restore", `INSERT INTO `+restoreTable+` VALUES (@point, false, false)`, pgx.NamedArgs{"point": point})
	})
}

// dropAll removes all that migrations made.
const dropAll = `DO $$
DECLARE
	what record;
BEGIN
	FOR what IN SELECT format('DROP %s IF EXISTS %I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname) AS drop
		FROM pg_class c WHERE c.relkind IN ('r', 'v', 'S') AND c.relname <> '` + restoreTable + `' AND ` + ours + `
		ORDER BY c.relkind = 'S' -- most go with their tables
	LOOP EXECUTE what.drop; END LOOP;
	FOR what IN SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure) AS drop
		FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
	LOOP EXECUTE what.drop; END LOOP;
	FOR what IN SELECT format('DROP TYPE IF EXISTS %I CASCADE', t.typname) AS drop
		FROM pg_type t WHERE t.typtype = 'e' AND t.typnamespace = current_schema()::regnamespace
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
	LOOP EXECUTE what.drop; END LOOP;
END
$$`

// MigrateTo brings the schema at url to a version, in a database into which is being
// restored.
func MigrateTo(ctx context.Context, url string, version int64) error {
	return withProvider(ctx, url, func(_ *sql.DB, p *goose.Provider) error {
		_, err := p.UpTo(ctx, version)
		return translate(err, "migrate schema")
	})
}

// MigrateRestored brings the schema of a restored database to the newest version.
func MigrateRestored(ctx context.Context, url string) error {
	return withProvider(ctx, url, func(_ *sql.DB, p *goose.Provider) error {
		_, err := p.Up(ctx)
		return translate(err, "migrate schema")
	})
}

// NewestSchema is the newest version of the schema that this program knows.
func NewestSchema() (int64, error) { return newestMigration() }

// TableContent is a table and what COPY wrote of it.
type TableContent struct {
	Table
	Open func() (io.ReadCloser, error)
}

// Load fills the tables of a database with what [DB.CopyOut] wrote, all or nothing,
// and notes that it did.
func (db *DB) Load(ctx context.Context, tables []TableContent, sequences []Sequence) error {
	err := pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, plainText).ReadAll(); err != nil {
			return err
		}
		t := &DB{pool: db.pool, tx: tx}
		sorted, err := t.inOrder(ctx, tables)
		if err != nil {
			return err
		}
		if err := t.fill(ctx, sorted); err != nil {
			return err
		}
		for _, s := range sequences {
			if err := t.exec(ctx, "set sequence", `SELECT setval(quote_ident(@name)::regclass, @value)`, pgx.NamedArgs{"name": s.Name, "value": s.Value}); err != nil {
				return err
			}
		}
		return t.exec(ctx, "note that the tables are restored", `UPDATE `+restoreTable+` SET loaded = true`, nil)
	})
	return translate(err, "restore tables")
}

// fill empties tables and copies what they had into them, without our triggers, whose
// work is in what is copied.
func (db *DB) fill(ctx context.Context, tables []TableContent) error {
	for _, t := range tables {
		if _, err := db.tx.Exec(ctx, `ALTER TABLE `+pgx.Identifier{t.Name}.Sanitize()+` DISABLE TRIGGER USER`); err != nil {
			return translate(err, "restore table "+t.Name)
		}
	}
	for _, t := range slices.Backward(tables) { // what migrations put there
		if _, err := db.tx.Exec(ctx, `DELETE FROM `+pgx.Identifier{t.Name}.Sanitize()); err != nil {
			return translate(err, "restore table "+t.Name)
		}
	}
	for _, t := range tables {
		if err := db.copyIn(ctx, t); err != nil {
			return err
		}
	}
	for _, t := range tables {
		if _, err := db.tx.Exec(ctx, `ALTER TABLE `+pgx.Identifier{t.Name}.Sanitize()+` ENABLE TRIGGER USER`); err != nil {
			return translate(err, "restore table "+t.Name)
		}
	}
	return nil
}

func (db *DB) copyIn(ctx context.Context, t TableContent) error {
	r, err := t.Open()
	if err != nil {
		return err
	}
	_, err = db.tx.Conn().PgConn().CopyFrom(ctx, r, `COPY `+copied(t.Table)+` FROM STDIN`)
	return errors.Join(translate(err, "restore table "+t.Name), r.Close())
}

// inOrder returns tables so that each comes after those that it refers to, with every
// one of the schema in it.
func (db *DB) inOrder(ctx context.Context, tables []TableContent) ([]TableContent, error) {
	there, err := db.Tables(ctx)
	if err != nil {
		return nil, err
	}
	type reference struct{ From, To string }
	references, err := collect[reference](ctx, db, "list references", `
		SELECT f.relname::text AS "from", t.relname::text AS "to" FROM pg_constraint k
			JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
		WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND k.connamespace = current_schema()::regnamespace`, nil)
	if err != nil {
		return nil, err
	}
	waits := map[string][]string{}
	for _, r := range references {
		waits[r.From] = append(waits[r.From], r.To)
	}
	given := map[string]TableContent{}
	for _, t := range tables {
		given[t.Name] = t
	}
	var sorted []TableContent
	done := map[string]bool{}
	var add func(name string, depth int) error
	add = func(name string, depth int) error {
		if done[name] {
			return nil
		}
		if depth > len(there) {
			return fmt.Errorf("the tables refer to each other in a circle, %s among them", name)
		}
		for _, to := range waits[name] {
			if err := add(to, depth+1); err != nil {
				return err
			}
		}
		done[name] = true
		t, ok := given[name]
		if !ok {
			return constellation.Errorf(constellation.KindInvalid, "the backup lacks the table %s", name)
		}
		sorted = append(sorted, t)
		return nil
	}
	for _, t := range there {
		if err := add(t.Name, 0); err != nil {
			return nil, err
		}
	}
	if len(sorted) != len(tables) {
		return nil, constellation.Errorf(constellation.KindInvalid, "the backup has tables that its schema has not")
	}
	return sorted, nil
}

// EndRestore forgets that a restore ran.
func (db *DB) EndRestore(ctx context.Context) error {
	return db.exec(ctx, "end restore", `DROP TABLE IF EXISTS `+restoreTable, nil)
}

// SettleRestored leaves out of a restored database what was true of the servers that
// it is from: sessions and sign-ins, servers, elections, and jobs other than of some
// kinds, so that nothing is done twice. settled is false when that was done before.
func (db *DB) SettleRestored(ctx context.Context, keep []string) (settled bool, dropped int64, err error) {
	was, err := scalar[bool](ctx, db, "look whether a restore was settled", `SELECT bool_or(settled) FROM `+restoreTable, nil)
	if err != nil || was {
		return false, 0, err
	}
	for _, sql := range []string{
		`DELETE FROM sessions`, `DELETE FROM setup_token`, `DELETE FROM servers`,
		`DELETE FROM river_leader`, `DELETE FROM river_notification`,
		`UPDATE registry_collections SET finished_at = seen_at, error = 'it was under way when the backup was taken' WHERE finished_at IS NULL`,
		`DELETE FROM backups WHERE finished_at IS NULL`,
		// What was to be told to people is long told, or old.
		`DO $$ BEGIN IF to_regclass('notices') IS NOT NULL THEN DELETE FROM notices; END IF; END $$`,
	} {
		if err := db.exec(ctx, "settle what was restored", sql, nil); err != nil {
			return false, 0, err
		}
	}
	tag, err := db.run(ctx, `DELETE FROM river_job WHERE finalized_at IS NULL AND NOT (kind = ANY (@keep))`, pgx.NamedArgs{"keep": keep})
	if err != nil {
		return false, 0, translate(err, "settle what was restored")
	}
	if err := db.exec(ctx, "settle what was restored", `
		UPDATE river_job SET state = 'available', attempt = greatest(attempt - 1, 0), scheduled_at = now() WHERE state = 'running'`, nil); err != nil {
		return false, 0, err
	}
	return true, tag.RowsAffected(), db.exec(ctx, "settle what was restored", `UPDATE `+restoreTable+` SET settled = true`, nil)
}
