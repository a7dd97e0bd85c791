package private

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Names inside the server. They are of no consequence to users.
const (
	superuser = "constellation"
	database  = "constellation"
	port      = "5432"
)

// cluster is PostgreSQL's own part of the data dir.
type cluster struct {
	home      string // DATADIR/postgres, the unprivileged user's
	data      string // home/data
	socket    string // the folder of the unix socket
	user      runAs
	bin       binaries
	throwaway bool
	log       *slog.Logger
}

// prepare makes the cluster when it is not there yet.
func prepare(ctx context.Context, o Options) (*cluster, error) {
	c := &cluster{home: filepath.Join(o.Dir, "postgres"), throwaway: o.Throwaway, log: o.Log}
	c.data = filepath.Join(c.home, "data")
	major, err := majorOfData(c.data)
	if err != nil {
		return nil, err
	}
	if c.bin, err = o.Finder.find(ctx, major); err != nil {
		return nil, err
	}
	if c.user, err = chooseUser(c.home); err != nil {
		return nil, err
	}
	if err := c.user.makeDir(c.home); err != nil {
		return nil, err
	}
	if err := c.user.reach(ctx, o.Dir, c.home, c.bin.postgres()); err != nil {
		return nil, err
	}
	if err := c.sweep(); err != nil {
		return nil, err
	}
	if major == "" {
		if err := c.initdb(ctx); err != nil {
			return nil, err
		}
	}
	c.socket, err = c.socketDir(c.home)
	return c, err
}

// majorOfData is the version that made the data, "" when there is none yet.
func majorOfData(data string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	switch {
	case err == nil:
		return strings.TrimSpace(string(raw)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the database's version: %w", err)
	}
	// The data comes into place by one rename, so a folder without a version
	// is damage or someone else's: never initialise over it.
	if _, err := os.Lstat(data); err == nil {
		return "", constellation.Errorf(constellation.KindUnavailable,
			"%s exists but is no PostgreSQL database (no PG_VERSION); restore it from a backup, or move it away to start afresh", data)
	}
	return "", nil
}

// sweep removes what an initdb that was killed left, and returns data that was
// copied by root to PostgreSQL's user.
func (c *cluster) sweep() error {
	left, err := filepath.Glob(filepath.Join(c.home, "new-*"))
	if err != nil {
		return fmt.Errorf("clear an unfinished initdb: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("clear an unfinished initdb: %w", err)
		}
	}
	if c.user.credential == nil {
		return nil
	}
	info, err := os.Stat(filepath.Join(c.data, "PG_VERSION"))
	if err != nil || ownerOf(info) != 0 {
		return nil
	}
	if err := c.user.own(c.home); err != nil {
		return fmt.Errorf("give the database to the user %s: %w", c.user.name, err)
	}
	return nil
}

// initdb makes the cluster and its database beside their place and moves them
// in at the end, so that being killed on the way leaves nothing half done.
func (c *cluster) initdb(ctx context.Context) error {
	c.log.Info("making the private PostgreSQL database", "dir", c.data, "version", c.bin.major)
	work, err := os.MkdirTemp(c.home, "new-")
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	defer os.RemoveAll(work)
	if err := c.user.own(work); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	fresh := filepath.Join(work, "data")
	args := []string{
		"--pgdata=" + fresh, "--username=" + superuser, "--auth-local=trust", "--auth-host=reject",
		"--encoding=UTF8", "--locale=" + locale(), "--data-checksums",
	}
	if c.throwaway {
		args = append(args, "--no-sync")
	}
	if err := c.runTool(ctx, work, "", c.bin.initdb(), args...); err != nil {
		return err
	}
	err = c.runTool(ctx, work, "CREATE DATABASE "+database+";\n",
		c.bin.postgres(), "--single", "-j", "-D", fresh, "postgres")
	if err != nil {
		return err
	}
	if err := os.Rename(fresh, c.data); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	return syncDir(c.home)
}

// runTool runs one of PostgreSQL's programs to its end, as its user.
func (c *cluster) runTool(ctx context.Context, dir, input, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := runToEnd(cmd, c.user); err != nil {
		return fmt.Errorf("make the database: %s: %w: %s", filepath.Base(name), err, lastLine(out.String()))
	}
	return nil
}

// locale is the one whose results do not depend on the machine.
func locale() string {
	if runtime.GOOS == "darwin" {
		return "C"
	}
	return "C.UTF-8"
}

// environment is ours without what would redirect PostgreSQL's programs.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "LC_") || strings.HasPrefix(kv, "LANG") ||
			strings.HasPrefix(kv, "DATABASE_URL=") || strings.HasPrefix(kv, "CONSTELLATION_") || strings.HasPrefix(kv, "TZ=") {
			continue
		}
		env = append(env, kv)
	}
	return append(env, "LC_ALL="+locale())
}

// url is where the server listens, in the form of DATABASE_URL.
func (c *cluster) url() string {
	q := url.Values{"host": {c.socket}, "port": {port}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: q.Encode()}).String()
}

// arguments are postgres's own: the settings of this binary always win over
// those in the data dir.
func (c *cluster) arguments() []string {
	fsync := "on"
	if c.throwaway {
		fsync = "off"
	}
	args := []string{"-D", c.data}
	for _, setting := range []string{
		"listen_addresses=", "port=" + port, `unix_socket_directories="` + c.socket + `"`, "unix_socket_permissions=0700",
		"fsync=" + fsync, "full_page_writes=" + fsync, "synchronous_commit=on",
		"shared_buffers=64MB", "max_connections=50", "work_mem=8MB", "maintenance_work_mem=64MB",
		"max_wal_size=512MB", "huge_pages=off", "jit=off", "max_parallel_workers_per_gather=0",
		"timezone=UTC", "log_timezone=UTC", "logging_collector=off", "log_destination=stderr", "log_line_prefix=",
		// Errors go to the client, which logs them with their cause; here they
		// would only repeat statements and their data.
		"log_min_messages=log", "log_min_error_statement=panic", "log_checkpoints=off",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
