// Package private runs a PostgreSQL server of the mothership's own in its
// data dir, from the machine's installed binaries: unix socket only, durable
// settings, an unprivileged user when started as root, stopped cleanly with
// its owner and recovered after a crash.
package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Mode is what opens the data dir, and so how it shares it.
type Mode string

// The modes.
const (
	// ModeServe keeps the data dir for itself: a second one is refused.
	ModeServe Mode = "serve"
	// ModeCommand is a short administrative command: it uses the server of a
	// running serve, waits for another command, or starts PostgreSQL itself.
	ModeCommand Mode = "command"
)

// Options say where the server lives and how it is found.
type Options struct {
	Dir    string // the data dir; made when missing
	Mode   Mode   // default ModeCommand
	Log    *slog.Logger
	Finder Finder // the zero value looks in the usual folders

	// Throwaway trades durability for speed; for tests only.
	Throwaway bool
	// Wait bounds how long Open waits for another command, for an old server
	// to end and for recovery; default 2 minutes.
	Wait time.Duration
}

// Server is a PostgreSQL server that this process started, or one of a
// running `mothership serve` that it may use.
type Server struct {
	url  string
	lock *lock
	sup  *supervisor // nil when another process runs the server
	once sync.Once
	end  error // what Stop gave
}

// Open takes the data dir's lock and starts PostgreSQL in it, on the first
// use after initdb. It returns once the server accepts connections. Stop
// must be called.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Mode == "" {
		o.Mode = ModeCommand
	}
	if o.Wait == 0 {
		o.Wait = 2 * time.Minute
	}
	ignoreShell()
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	dir, err := makeDataDir(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	l, other, err := acquire(ctx, o)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return &Server{url: other.URL}, nil
	}
	s, err := start(ctx, o, l)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	return s, nil
}

// ignoreShell takes the PG… variables out of our own environment: they are
// for other servers, and every client in this process would read them.
func ignoreShell() {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PG") {
			_ = os.Unsetenv(name) // fails for an empty name only
		}
	}
}

// URL is where the server listens, in the form of DATABASE_URL.
func (s *Server) URL() string { return s.url }

// Owned reports whether this process runs the server, rather than borrowing that
// of a running `mothership serve`.
func (s *Server) Owned() bool { return s.sup != nil }

// Check returns why the server is not running at the moment, nil when it is.
func (s *Server) Check(context.Context) error {
	if s.sup == nil {
		return nil
	}
	return s.sup.check()
}

// Stop shuts the server down, its clients first, and frees the data dir. When
// ctx ends before, it stops at once; recovery then happens at the next start.
// A borrowed server stays. A second call returns the first one's answer.
func (s *Server) Stop(ctx context.Context) error {
	if s.sup == nil {
		return nil
	}
	s.once.Do(func() { s.end = errors.Join(s.sup.stop(ctx), s.lock.release()) })
	return s.end
}

// makeDataDir makes the data dir and returns its absolute path. Others may pass
// through it, since PostgreSQL's user has to, but not list it.
func makeDataDir(dir string) (string, error) {
	if dir == "" {
		return "", constellation.Errorf(constellation.KindInvalid, "the data dir is not set; give --data-dir")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the data dir: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // PostgreSQL's user passes through
		return "", dataDirError(dir, err)
	}
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", dataDirError(dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", dataDirError(dir, err)
	}
	if !info.IsDir() {
		return "", constellation.Errorf(constellation.KindInvalid, "the data dir %s is a file; give another --data-dir", dir)
	}
	// A symbolic link is followed once, so that everyone means the same lock
	// and PostgreSQL the same folder.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", dataDirError(dir, err)
	}
	return dir, nil
}

func dataDirError(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return constellation.Wrap(err, constellation.KindForbidden,
			"the data dir %s cannot be used by this user (uid %d); run as its owner or give another --data-dir", dir, os.Geteuid())
	}
	return constellation.Wrap(err, constellation.KindInternal, "the data dir %s cannot be used: %s", dir, reason(err))
}

// reason is the system's own words for err, without the path.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// ping connects to the server and leaves again.
func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the private PostgreSQL: %w", err)
	}
	return conn.Close(ctx)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
