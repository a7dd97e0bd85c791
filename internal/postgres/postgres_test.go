package postgres_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

func TestMigrateTogetherThenRefuseNewer(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), postgrestest.EmptyURL(t)
	before, err := postgres.Status(ctx, url)
	if err != nil || before.Current != 0 || len(before.Pending) == 0 {
		t.Fatalf("Status of an empty database = %+v, %v, want version 0 and pending files", before, err)
	}
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CheckSchema(ctx); constellation.KindOf(err) != constellation.KindUnavailable {
		t.Errorf("CheckSchema of an empty database = %v, want unavailable", err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := postgres.Migrate(ctx, url); err != nil {
				t.Errorf("Migrate with others = %v, want nil", err)
			}
		})
	}
	group.Wait()
	after, err := postgres.Status(ctx, url)
	if err != nil || after.Current != before.Target || len(after.Pending) != 0 {
		t.Fatalf("Status after Migrate = %+v, %v, want version %d and nothing pending", after, err, before.Target)
	}
	if err := db.CheckSchema(ctx); err != nil {
		t.Errorf("CheckSchema = %v, want nil", err)
	}
	execute(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if err := errors.Join(postgres.Migrate(ctx, url), db.CheckSchema(ctx)); err != nil {
		t.Errorf("a newer schema that only added = %v, want nil: servers of both serve side by side", err)
	}
	execute(t, url, `UPDATE mothership SET compatible_schema = 9999`)
	if err := postgres.Migrate(ctx, url); constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("Migrate of a newer schema = %v, want conflict", err)
	}
	if err := db.CheckSchema(ctx); constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("CheckSchema of a newer schema = %v, want conflict", err)
	}
	execute(t, url, `DELETE FROM goose_db_version WHERE version_id > 0`)
	if err := db.CheckSchema(ctx); constellation.KindOf(err) != constellation.KindUnavailable {
		t.Errorf("CheckSchema of an older schema = %v, want unavailable", err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]constellation.Kind{
		"postgres://x:secret@127.0.0.1:port/db":                    constellation.KindInvalid,
		"postgres://x:secret@127.0.0.1:1/db?connect_timeout=2":     constellation.KindUnavailable,
		"postgres:///x?host=/nonexistent&user=u&connect_timeout=2": constellation.KindUnavailable,
	} {
		_, err := postgres.Open(t.Context(), url)
		if constellation.KindOf(err) != want {
			t.Errorf("Open(%q) = %v, want %s", url, err, want)
		}
	}
}

// TestOlderServersKnowNoScope: the query of the release before this, which
// would take a key with a scope for one without a limit, does not find it.
func TestOlderServersKnowNoScope(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), postgrestest.URL(t)
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now().UTC()
	account := &constellation.Account{ID: uuid.NewString(), Username: "neo", Kind: constellation.KindPerson, Role: constellation.RoleAdmin, CreatedAt: now, UpdatedAt: now}
	if err := db.InsertAccount(ctx, account, ""); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	for _, scope := range []constellation.KeyScope{"", "push:neo/*"} {
		key := auth.NewKey()
		k := &constellation.APIKey{ID: uuid.NewString(), Name: "k", Prefix: auth.Prefix(key), Role: constellation.RoleAdmin, Scope: scope, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := db.InsertAPIKey(ctx, account.ID, k, auth.HashKey(key)); err != nil {
			t.Fatal(err)
		}
		if h, err := db.KeyHolder(ctx, auth.HashKey(key)); err != nil || h.ID != k.ID || h.Scope != scope {
			t.Errorf("KeyHolder = %+v, %v, want the key with the scope %q", h, err, scope)
		}
		var older int
		if err := c.QueryRow(ctx, `SELECT count(*) FROM api_keys k WHERE k.sha256 = $1`, auth.HashKey(key)).Scan(&older); err != nil {
			t.Fatal(err)
		}
		if (older == 1) != (scope == "") {
			t.Errorf("the older query finds %d keys of scope %q", older, scope)
		}
	}
	if _, err := c.Exec(ctx, `UPDATE api_keys SET sha256 = replace(sha256, 'scoped ', '')`); err == nil {
		t.Error("a key with a scope can be stored as one that older servers find")
	}
}

func TestHistoryDoesNotChange(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	execute(t, url, `INSERT INTO events (at, actor, action, target_kind, target_id, target_name, address) VALUES (now(), 'a', 'b', 'c', 'd', 'e', '')`)
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context()))
	if _, err := c.Exec(t.Context(), `UPDATE events SET actor = 'z'`); err == nil {
		t.Error("UPDATE of an event = nil error, want a refusal")
	}
}

func TestTransact(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), postgrestest.New(t)
	boom := constellation.Errorf(constellation.KindInvalid, "boom")
	err := db.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.InsertSetting(ctx, "outer", []byte("1"), time.Now()); err != nil {
			return err
		}
		// A savepoint that fails leaves the outer transaction usable.
		if err := tx.Transact(ctx, func(inner *postgres.DB) error {
			return inner.InsertSetting(ctx, "outer", []byte("2"), time.Now())
		}); constellation.KindOf(err) != constellation.KindConflict {
			t.Errorf("second insert = %v, want conflict", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.InsertSetting(ctx, "lost", []byte("1"), time.Now()); err != nil {
			return err
		}
		return boom
	}); constellation.KindOf(err) != constellation.KindInvalid {
		t.Errorf("Transact = %v, want the function's own error", err)
	}
	for name, want := range map[string]string{"outer": "1", "lost": ""} {
		if got, err := db.Setting(ctx, name); err != nil || string(got) != want {
			t.Errorf("Setting(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestTransactRetriesDeadlocks(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), postgrestest.New(t)
	var once [2]sync.Once
	meet := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	run := func(i int, first, second string) error {
		return db.Transact(ctx, func(tx *postgres.DB) error {
			if err := tx.Lock(ctx, first); err != nil {
				return err
			}
			once[i].Do(func() { close(meet[i]); waittest.Hold(t, meet[1-i]) }) // both hold their first lock
			return tx.Lock(ctx, second)
		})
	}
	errs := make([]error, 2)
	var group sync.WaitGroup
	group.Go(func() { errs[0] = run(0, "a", "b") })
	group.Go(func() { errs[1] = run(1, "b", "a") })
	group.Wait()
	if errs[0] != nil || errs[1] != nil {
		t.Errorf("two transactions that deadlock = %v, %v, want both to succeed in the end", errs[0], errs[1])
	}
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// TestEverySealedColumnIsKnown: a column that is sealed and that a rotation of the
// secret key does not know of would be lost with the older key.
func TestEverySealedColumnIsKnown(t *testing.T) {
	t.Parallel()
	c, err := pgx.Connect(t.Context(), postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(t.Context())) }()
	rows, err := c.Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND data_type = 'bytea' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	known := postgres.SealedColumns()
	plain := []string{"idempotency_keys.request", "mirrors.webhook_sha256", "river_job.unique_key", "audit_chain.hash", "audit_trimmed.hash", "algorithm_import_parts.body", // hashes, and what others may read
		"signing_key_rotations.statement", "signing_key_rotations.old_signature", "signing_key_rotations.new_signature"}
	for _, column := range columns {
		if !slices.Contains(known, column) && !slices.Contains(plain, column) {
			t.Errorf("%s has bytes: is it sealed? Then it belongs into the columns that are sealed anew", column)
		}
	}
	db, err := postgres.Open(t.Context(), postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, column := range known {
		if _, err := db.SealedValues(t.Context(), column, "", 10); err != nil {
			t.Errorf("%s: %v", column, err)
		}
		if err := db.ReplaceSealed(t.Context(), column, postgres.Sealed{Key: "00000000-0000-0000-0000-000000000000", Value: []byte{1}}, []byte{2}); err != nil {
			t.Errorf("%s: %v", column, err)
		}
	}
}
