// Package postgrestest makes each test a database of its own, in one private
// PostgreSQL a test binary, started from the installed binaries and gone with
// the tests.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// template is the migrated database that others are copies of.
const template = "constellation_template"

var shared struct {
	once    sync.Once
	server  *private.Server
	dir     string
	err     error
	counter atomic.Int64
}

// Main runs a package's tests and then stops their PostgreSQL; TestMain calls
// it and exits with its result.
func Main(m *testing.M) int {
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the tests' PostgreSQL:", err)
		return 1
	}
	return code
}

// New returns a connection to a fresh, migrated database, closed and dropped
// after the test. The package's TestMain must call Main.
func New(t testing.TB) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// URL returns the address of a fresh, migrated database.
func URL(t testing.TB) string { return create(t, template) }

// EmptyURL returns the address of a fresh database without a schema.
func EmptyURL(t testing.TB) string { return create(t, "template1") }

func create(t testing.TB, from string) string {
	t.Helper()
	shared.once.Do(func() { shared.err = start(context.WithoutCancel(t.Context())) })
	if shared.err != nil {
		t.Fatalf("start the tests' PostgreSQL: %v", shared.err)
	}
	name := fmt.Sprintf("test_%d", shared.counter.Add(1))
	if err := admin(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+from+" STRATEGY FILE_COPY"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // the test's own has ended
		if err := admin(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return withDatabase(shared.server.URL(), name)
}

func start(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pgtest") // short: a socket's path has 107 bytes at most
	if err != nil {
		return fmt.Errorf("make data dir: %w", err)
	}
	shared.dir = dir
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's user passes through
		return fmt.Errorf("open data dir: %w", err)
	}
	shared.server, err = private.Open(ctx, private.Options{Dir: dir + "/data", Mode: private.ModeServe, Throwaway: true})
	if err != nil {
		return err
	}
	if err := admin(ctx, "CREATE DATABASE "+template); err != nil {
		return err
	}
	return postgres.Migrate(ctx, withDatabase(shared.server.URL(), template))
}

func stop() error {
	if shared.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := shared.server.Stop(ctx); err != nil {
			return err
		}
	}
	if shared.dir == "" {
		return nil
	}
	return os.RemoveAll(shared.dir)
}

// admin runs one statement on the server's own database.
func admin(ctx context.Context, sql string) error {
	c, err := pgx.Connect(ctx, shared.server.URL())
	for tries := 0; errors.Is(err, syscall.EAGAIN) && tries < 100; tries++ {
		time.Sleep(100 * time.Millisecond) // tests connect faster than a busy machine accepts: the socket's backlog is full
		c, err = pgx.Connect(ctx, shared.server.URL())
	}
	if err != nil {
		return fmt.Errorf("connect to the tests' PostgreSQL: %w", err)
	}
	defer c.Close(ctx) //nolint:errcheck // the statement's own error counts
	if _, err := c.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic("the private server's own URL does not parse: " + err.Error())
	}
	u.Path = "/" + name
	return u.String()
}
