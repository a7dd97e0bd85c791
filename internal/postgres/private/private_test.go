package private_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// dataDir is a fresh folder that PostgreSQL's unprivileged user can reach,
// which t.TempDir's is not for root.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "private-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func options(t *testing.T, dir string, mode private.Mode) private.Options {
	return private.Options{Dir: dir, Mode: mode, Throwaway: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func open(t *testing.T, dir string, mode private.Mode) *private.Server {
	t.Helper()
	s, err := private.Open(t.Context(), options(t, dir, mode))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return s
}

func exec1(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// serversOf counts the processes that work in a data dir.
func serversOf(dir string) int {
	entries, _ := filepath.Glob("/proc/[0-9]*/cwd")
	n := 0
	for _, link := range entries {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			n++
		}
	}
	return n
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "postgres/data/postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestOpenStopOpen(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := open(t, dir, private.ModeServe)
	if got := exec1(t, s.URL(), "SHOW listen_addresses"); got != "" {
		t.Errorf("listen_addresses = %q, want none", got)
	}
	if got := exec1(t, s.URL(), "SHOW server_encoding"); got != "UTF8" {
		t.Errorf("server_encoding = %q, want UTF8", got)
	}
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 'yes' AS x")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := serversOf(dir); n != 0 {
		t.Errorf("%d processes after Stop, want 0", n)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres/run")); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is still there: %v", err)
	}
	again, err := private.Open(t.Context(), options(t, dir, private.ModeServe))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if got := exec1(t, again.URL(), "SELECT x FROM kept"); got != "yes" {
		t.Errorf("after a restart kept = %q, want yes", got)
	}
}

func TestServerThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	s := open(t, dir, private.ModeServe)
	exec1(t, s.URL(), "CREATE TABLE kept AS SELECT 'yes' AS x")
	pid := postmaster(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Check reports the server's end", func() bool { return s.Check(t.Context()) != nil })
	eventually(t, "the server is started again", func() bool { return s.Check(t.Context()) == nil })
	if got := exec1(t, s.URL(), "SELECT x FROM kept"); got != "yes" {
		t.Errorf("after its restart kept = %q, want yes", got)
	}
	if now := postmaster(t, dir); now == pid {
		t.Errorf("the postmaster is still PID %d", pid)
	}
}

// TestMain lets the test binary be a process that owns a server and is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("PRIVATE_TEST_HOLD")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := private.Open(context.Background(), private.Options{Dir: dir, Mode: private.ModeServe, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(s.URL() + "\n")
	select {}
}

// hold starts another process that serves dir; url is "" unless it is ready.
func hold(t *testing.T, dir string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PRIVATE_TEST_HOLD="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the holding process did not get ready: %v", err)
	}
	return cmd, strings.TrimSpace(string(line[:n]))
}

func TestKillLeavesNoServerAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	cmd, url := hold(t, dir)
	exec1(t, url, "CREATE TABLE kept AS SELECT 'yes' AS x")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	s := open(t, dir, private.ModeServe)
	if got := exec1(t, s.URL(), "SELECT x FROM kept"); got != "yes" {
		t.Errorf("after kill -9 kept = %q, want yes", got)
	}

	cmd, _ = hold2(t, s, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no server of a killed process is left", func() bool { return serversOf(dir) == 0 })
}

// hold2 hands dir over from s to another process.
func hold2(t *testing.T, s *private.Server, dir string) (*exec.Cmd, string) {
	t.Helper()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return hold(t, dir)
}

func TestLock(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	cmd, url := hold(t, dir)

	_, err := private.Open(t.Context(), options(t, dir, private.ModeServe))
	want := "is in use by mothership serve, PID " + strconv.Itoa(cmd.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) || constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("a second serve: %v, want a conflict with %q", err, want)
	}

	borrowed := open(t, dir, private.ModeCommand)
	if borrowed.Owned() || borrowed.URL() != url {
		t.Errorf("a command beside serve: Owned %v at %s, want the serve's at %s", borrowed.Owned(), borrowed.URL(), url)
	}
	if err := borrowed.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := exec1(t, url, "SELECT 'up'"); got != "up" {
		t.Errorf("the serve's server after a command stopped: %q", got)
	}
}

func TestCommandsTakeTurns(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := open(t, dir, private.ModeCommand)
	got := make(chan error, 1)
	go func() {
		s, err := private.Open(t.Context(), options(t, dir, private.ModeCommand))
		if err == nil {
			err = s.Stop(t.Context())
		}
		got <- err
	}()
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := waittest.Receive(t, "the second command", got); err != nil {
		t.Errorf("the second command: %v", err)
	}
}

func TestOpenRefusals(t *testing.T) {
	t.Parallel()
	file := filepath.Join(dataDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := filepath.Join(dataDir(t), "private", "data")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := dataDir(t)
	if err := os.MkdirAll(filepath.Join(foreign, "postgres/data"), 0o700); err != nil {
		t.Fatal(err)
	}
	older := dataDir(t)
	if err := os.MkdirAll(filepath.Join(older, "postgres/data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(older, "postgres/data/PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := private.Finder{Path: "/nonexistent", Patterns: []string{}}
	tests := []struct {
		name   string
		o      private.Options
		want   string
		asRoot bool
	}{
		{"no data dir", private.Options{}, "give --data-dir", false},
		{"a file", private.Options{Dir: file}, "is a file", false},
		{"no binaries", private.Options{Dir: dataDir(t), Finder: empty}, "install the package postgresql, or set DATABASE_URL", false},
		{"another version", private.Options{Dir: older}, "was made by PostgreSQL 9", false},
		{"no database", private.Options{Dir: foreign}, "is no PostgreSQL database", false},
		{"unreachable for postgres", private.Options{Dir: blocked}, "may not pass through " + filepath.Dir(blocked), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.asRoot && os.Geteuid() != 0 {
				t.Skip("needs root, who hands PostgreSQL to another user")
			}
			s, err := private.Open(t.Context(), tt.o)
			if err == nil {
				_ = s.Stop(t.Context()) // the test has failed already
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open: %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestLongAndOddDataDirs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("long", 30), `quo"te, comma and space`} {
		t.Run(name[:4], func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(dataDir(t), name)
			s := open(t, dir, private.ModeServe)
			if got := exec1(t, s.URL(), "SELECT 'up'"); got != "up" {
				t.Errorf("SELECT = %q", got)
			}
		})
	}
}

func TestInterruptedInitdbIsDoneAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		s, err := private.Open(ctx, options(t, dir, private.ModeServe))
		if err == nil {
			err = s.Stop(t.Context())
		}
		failed <- err
	}()
	eventually(t, "initdb has begun", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "postgres/new-*/data/base"))
		return len(found) > 0
	})
	cancel()
	if err := waittest.Receive(t, "the end of the cancelled initdb", failed); err == nil {
		t.Fatal("Open with a cancelled initdb: no error")
	}
	if err := os.MkdirAll(filepath.Join(dir, "postgres/new-killed/data/base"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, private.ModeServe)
	if got := exec1(t, s.URL(), "SELECT 'up'"); got != "up" {
		t.Errorf("SELECT = %q", got)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "postgres/new-*")); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}
