package postgrestest

import (
	"fmt"
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
)

// startTimeout is how long PgBouncer may take to answer.
const startTimeout = 30 * time.Second

// Pooler runs PgBouncer before the database at url, in a mode such as "transaction",
// until the test ends, and returns its own address.
func Pooler(t testing.TB, url, mode string) string {
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
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%d user=%s\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = %s\nauth_type = any\npool_mode = %s\nignore_startup_parameters = extra_float_digits\ndefault_pool_size = 30\n",
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
		<-ended
	})
	address := fmt.Sprintf("postgres://%s@/%s?host=%s&port=6432", config.User, config.Database, dir)
	for deadline := time.Now().Add(startTimeout); ; {
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
func ownerOf(t testing.TB, socket, dir string) *syscall.Credential {
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
