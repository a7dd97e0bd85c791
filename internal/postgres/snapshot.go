package postgres

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// Table is a table of the schema, with the columns that are stored.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// Sequence is how far a sequence has come.
type Sequence struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// plainText makes what COPY writes and reads independent of a database's settings.
const plainText = `SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC';
	SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL client_encoding = 'UTF8'; SET LOCAL statement_timeout = 0`

// Snapshot runs f in a transaction that reads the whole database as it is at one
// moment, while others go on writing.
func (db *DB) Snapshot(ctx context.Context, f func(*DB) error) error {
	err := pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, plainText).ReadAll(); err != nil {
			return err
		}
		return f(&DB{pool: db.pool, tx: tx})
	})
	return translate(err, "read a snapshot")
}

// ours is what of the schema is not an extension's.
const ours = `relnamespace = current_schema()::regnamespace
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`

// Tables returns every table of ours but the one that says which migrations it has.
func (db *DB) Tables(ctx context.Context) ([]Table, error) {
	return collect[Table](ctx, db, "list tables", `
		SELECT c.relname::text AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE c.relkind = 'r' AND c.relname NOT IN ('goose_db_version', '`+restoreTable+`') AND `+ours+`
		GROUP BY c.relname ORDER BY c.relname`, nil)
}

// Sequences returns how far every sequence of ours has come.
func (db *DB) Sequences(ctx context.Context) ([]Sequence, error) {
	return collect[Sequence](ctx, db, "list sequences", `
		SELECT sequencename::text AS name, last_value AS value FROM pg_sequences
		WHERE schemaname = current_schema() AND last_value IS NOT NULL AND sequencename <> 'goose_db_version_id_seq' ORDER BY 1`, nil)
}

// SchemaVersion returns the newest migration that the database has.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	return scalar[int64](ctx, db, "read schema version", `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`, nil)
}

// CopyOut writes a table's rows as COPY has them and returns how many. It is for a
// transaction.
func (db *DB) CopyOut(ctx context.Context, t Table, w io.Writer) (rows int64, err error) {
	tag, err := db.tx.Conn().PgConn().CopyTo(ctx, w, `COPY `+copied(t)+` TO STDOUT`)
	if err != nil {
		return 0, translate(err, "copy table "+t.Name)
	}
	return tag.RowsAffected(), nil
}

// copied names a table and its columns.
func copied(t Table) string {
	columns := ""
	for i, c := range t.Columns {
		if i > 0 {
			columns += ", "
		}
		columns += pgx.Identifier{c}.Sanitize()
	}
	return fmt.Sprintf("%s (%s)", pgx.Identifier{t.Name}.Sanitize(), columns)
}

// StoredBlobs returns every blob that the registry's storage is known to have.
func (db *DB) StoredBlobs(ctx context.Context) (map[string]int64, error) {
	type row struct {
		Digest string
		Size   int64
	}
	list, err := collect[row](ctx, db, "list blobs", `SELECT digest, size FROM registry_blobs`, nil)
	sizes := make(map[string]int64, len(list))
	for _, b := range list {
		sizes[b.Digest] = b.Size
	}
	return sizes, err
}

// AnySetting returns one sealed value of the whole mothership with its name, "" when
// there is none: who opens it has the right key.
func (db *DB) AnySetting(ctx context.Context) (name string, sealed []byte, err error) {
	type row struct {
		Name   string
		Sealed []byte
	}
	list, err := collect[row](ctx, db, "get a setting", `SELECT name, sealed FROM settings ORDER BY name LIMIT 1`, nil)
	if err != nil || len(list) == 0 {
		return "", nil, err
	}
	return list[0].Name, list[0].Sealed, nil
}
