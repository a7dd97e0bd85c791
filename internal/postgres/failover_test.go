package postgres_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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

// TestAPoolerInTransactionModeIsTold: in one line, before anything is done.
func TestAPoolerInTransactionModeIsTold(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]constellation.Kind{"transaction": constellation.KindConflict, "session": ""} {
		url := pooler(t, postgrestest.EmptyURL(t), mode)
		err := postgres.Migrate(t.Context(), url)
		if got := constellation.KindOf(err); got != want {
			t.Errorf("Migrate through a pool in %s mode = %v, want %q", mode, err, want)
		}
		if want != "" && !strings.Contains(fmt.Sprint(err), "a pooler in transaction mode, which loses notifications") {
			t.Errorf("Migrate through a pool in %s mode = %v, want what is wrong", mode, err)
		}
	}
}

// pooler runs pgbouncer before the database at url and returns its own address.
func pooler(t *testing.T, url, mode string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Fatal("pgbouncer is not installed; make test installs it")
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pool") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%d user=%s\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = any\npool_mode = %s\nignore_startup_parameters = extra_float_digits\n",
		config.Database, config.Host, config.Port, config.User, dir, mode)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // its user reads it
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-q", file) //nolint:gosec // found in PATH
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: ownerOf(t, config.Host, dir)}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		waittest.Receive(t, "the end of PgBouncer", ended)
	})
	address := fmt.Sprintf("postgres://%s@/%s?host=%s&port=6432", config.User, config.Database, dir)
	for deadline := time.Now().Add(waittest.Timeout); ; {
		c, err := pgx.Connect(t.Context(), address)
		if err == nil {
			_ = c.Close(t.Context())
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("pgbouncer does not answer: %v; %s", err, said.String())
		}
	}
}

// ownerOf returns dir to whoever owns the database's socket, which only that
// user may use; nil is ourselves.
func ownerOf(t *testing.T, socket, dir string) *syscall.Credential {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if me.Uid == strconv.Itoa(int(owner.Uid)) {
		return nil
	}
	if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
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
