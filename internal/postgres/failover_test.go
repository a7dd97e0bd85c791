package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// cut ends every connection to the database, as a failover does. They may end
// a moment later: then the next statement hears of it as an answer, and not as
// a write that fails.
func cut(t *testing.T, url string) {
	t.Helper()
	execute(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

// cutAndWait is cut, and waits until they have ended.
func cutAndWait(t *testing.T, url string) {
	t.Helper()
	execute(t, url, `SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
}

// TestFirstCallAfterAFailover: what is safe to run again is run again: reads,
// statements that were not done, transactions before their commit.
func TestFirstCallAfterAFailover(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), postgrestest.URL(t)
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write := func(db *postgres.DB) error {
		return db.AddLoginFailure(ctx, "neo", "192.0.2.1", time.Now(), time.Now())
	}
	for name, call := range map[string]func() error{
		"a read": func() error { _, err := db.HasSecrets(ctx); return err },
		"a list": func() error {
			_, err := db.Satellites(ctx, "", postgres.RunFilter{}, postgres.List{Sort: "name", Limit: 5})
			return err
		},
		"a statement":               func() error { return write(db) },
		"a transaction that begins": func() error { return db.Transact(ctx, write) },
	} {
		for _, cut := range []func(*testing.T, string){cut, cutAndWait} {
			if err := db.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			cut(t, url)
			if err := call(); err != nil {
				t.Errorf("%s after a failover = %v, want nil", name, err)
			}
		}
	}
	runs := 0
	err = db.Transact(ctx, func(tx *postgres.DB) error {
		if err := write(tx); err != nil {
			return err
		}
		if runs++; runs == 1 {
			cut(t, url)
		}
		return write(tx)
	})
	if err != nil || runs != 2 {
		t.Errorf("a transaction that a failover ends = %v after %d runs, want nil after 2", err, runs)
	}
}

// TestABusyPoolerIsFoundOut: whatever process others leave to a connection.
func TestABusyPoolerIsFoundOut(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"transaction": true, "session": false} {
		url := postgrestest.Pooler(t, postgrestest.EmptyURL(t), mode)
		ctx, stop := context.WithCancel(t.Context())
		var others sync.WaitGroup
		for range 6 {
			others.Go(func() {
				c, err := pgx.Connect(ctx, url)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
				for ctx.Err() == nil {
					_, _ = c.Exec(ctx, "SELECT pg_sleep(random() / 500)", pgx.QueryExecModeSimpleProtocol)
				}
			})
		}
		for i := range 30 {
			db, err := postgres.Open(ctx, url)
			if err != nil {
				t.Fatal(err)
			}
			if db.Pooled() != want {
				t.Errorf("%s mode: Pooled = %v at the %d. try", mode, db.Pooled(), i+1)
			}
			db.Close()
		}
		stop()
		others.Wait()
	}
}

// TestThroughAPooler: migrations, statements and changes work through one in
// transaction mode, which is found out, whatever process runs each statement; with a
// way past it, changes are heard of.
func TestThroughAPooler(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode           string
		past           bool
		pooled, polled bool
	}{{"transaction", false, true, true}, {"transaction", true, true, false}, {"session", false, false, false}} {
		ctx, direct := t.Context(), postgrestest.EmptyURL(t)
		url := postgrestest.Pooler(t, direct, tt.mode)
		migrated := make(chan error, 3)
		for range cap(migrated) { // at once, and once only
			go func() { migrated <- postgres.Migrate(ctx, url) }()
		}
		for range cap(migrated) {
			if err := waittest.Receive(t, "a migration", migrated); err != nil {
				t.Fatalf("Migrate through a pool in %s mode = %v", tt.mode, err)
			}
		}
		session := ""
		if tt.past {
			session = direct
		}
		db, err := postgres.OpenPooled(ctx, url, session)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if db.Pooled() != tt.pooled || db.Polls() != tt.polled {
			t.Errorf("%+v: Pooled = %v, Polls = %v", tt, db.Pooled(), db.Polls())
		}
		if err := db.KeepServer(ctx, postgres.Server{ID: "one", Version: "1", StartedAt: time.Now()}, time.Now()); err != nil {
			t.Fatal(err)
		}
		listening, heard := make(chan struct{}, 1), make(chan string, 9)
		go func() {
			_ = db.Listen(ctx, func() { listening <- struct{}{} }, func(payload string) { heard <- payload })
		}()
		waittest.Receive(t, "the listener", listening)
		done := make(chan error, 8)
		for range cap(done) {
			go func() {
				done <- db.Transact(ctx, func(tx *postgres.DB) error {
					if err := tx.Lock(ctx, "together"); err != nil {
						return err
					}
					if err := tx.AddLoginFailure(ctx, "neo", "192.0.2.1", time.Now(), time.Now()); err != nil {
						return err
					}
					_, err := tx.Satellites(ctx, "", postgres.RunFilter{}, postgres.List{Sort: "name", Limit: 5})
					return err
				})
			}()
		}
		for range cap(done) {
			if err := waittest.Receive(t, "a transaction", done); err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
		}
		if err := db.Notify(ctx, "changed"); err != nil {
			t.Fatal(err)
		}
		if got := waittest.Receive(t, "the change", heard); got != "changed" {
			t.Errorf("%+v: heard of %q", tt, got)
		}
	}
}

// TestNoConnectionLeft: a database at its limit is told as one that is away for a
// moment, and the next call works.
func TestNoConnectionLeft(t *testing.T) {
	t.Parallel()
	ctx, address := t.Context(), postgrestest.URL(t)
	execute(t, address, `CREATE ROLE limited LOGIN CONNECTION LIMIT 1; GRANT pg_read_all_data TO limited`)
	defer execute(t, address, `DROP ROLE limited`) // roles are of all databases
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("limited")
	db, err := postgres.Open(ctx, u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Transact(ctx, func(*postgres.DB) error {
		_, err := db.HasSecrets(ctx) // needs a second connection
		if constellation.KindOf(err) != constellation.KindUnavailable {
			t.Errorf("a call without a connection = %v, want unavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := db.HasSecrets(ctx); err != nil {
		t.Errorf("a call once there is a connection again = %v, want nil", err)
	}
	_, err = postgres.Open(ctx, u.String())
	if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("a start without a connection = %v, want unavailable and why", err)
	}
}
