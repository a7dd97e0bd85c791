package private

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// runToEnd runs a command as the user on a thread of its own: the parent
// death signal is sent when the starting thread ends, not the process.
func runToEnd(cmd *exec.Cmd, u runAs) error {
	cmd.SysProcAttr = u.attributes()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	return <-done
}

// process is one run of the postgres program.
type process struct {
	cmd    *exec.Cmd
	output *tail
	exited chan struct{} // closed after the end
	err    error         // of the end; read after exited
}

// launch starts postgres once, without waiting for it to accept connections.
func (c *cluster) launch() (*process, error) {
	p := &process{exited: make(chan struct{}), output: &tail{log: c.log}}
	p.cmd = exec.Command(c.bin.postgres(), c.arguments()...)
	p.cmd.Dir = c.data
	p.cmd.Env = environment()
	p.cmd.SysProcAttr = c.user.attributes()
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		p.output.copy(reader)
		_ = reader.Close() // read to its end
	}()
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // until the server ends; see attributes
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		_ = writer.Close() // the child has its own
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		select { // its children may hold the pipe a little longer
		case <-copied:
		case <-time.After(time.Second):
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	return p, nil
}

// ready waits until the server accepts connections, recovery included.
func (p *process) ready(ctx context.Context, url string, log *slog.Logger) error {
	begun, said := time.Now(), false
	for {
		select {
		case <-p.exited:
			return constellation.Wrap(p.err, constellation.KindUnavailable, "PostgreSQL did not start: %s", p.output.last())
		default:
		}
		err := ping(ctx, url)
		if err == nil {
			return nil
		}
		if !said && time.Since(begun) > 3*time.Second {
			log.Info("waiting for PostgreSQL to accept connections; after a crash it first replays its log", "state", p.output.last())
			said = true
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return constellation.Wrap(err, constellation.KindUnavailable, "PostgreSQL did not accept connections in time: %s", p.output.last())
		}
	}
}

// end shuts the server down: its clients are disconnected, a checkpoint is
// written. When ctx ends before, it is stopped at once.
func (p *process) end(ctx context.Context) error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   func() <-chan struct{}
	}{
		{syscall.SIGINT, ctx.Done},
		{syscall.SIGQUIT, func() <-chan struct{} { return after(5 * time.Second) }},
		{syscall.SIGKILL, func() <-chan struct{} { return after(5 * time.Second) }},
	} {
		if err := p.cmd.Process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop postgres: %w", err)
		}
		select {
		case <-p.exited:
			if step.signal == syscall.SIGINT {
				return nil
			}
			return constellation.Errorf(constellation.KindUnavailable, "PostgreSQL did not stop in time and was ended with %s; it recovers at the next start", step.signal)
		case <-step.wait():
		}
	}
	return constellation.Errorf(constellation.KindInternal, "PostgreSQL (PID %d) does not end", p.cmd.Process.Pid)
}

func after(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// clearOld waits for a server that a killed mothership left to end, and asks
// it to: we hold the data dir's lock, so it is nobody's.
func (c *cluster) clearOld(ctx context.Context) error {
	path := filepath.Join(c.data, "postmaster.pid")
	said := false
	for {
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for an old server: %w", err)
		}
		first, _, _ := strings.Cut(string(raw), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil || pid <= 1 || !c.servedBy(pid) {
			return c.removeStale(path)
		}
		if !said {
			c.log.Info("waiting for an old PostgreSQL of this data dir to end", "pid", pid)
			said = true
		}
		if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return constellation.Wrap(err, constellation.KindConflict, "another PostgreSQL (PID %d) serves %s; stop it first", pid, c.data)
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return constellation.Wrap(ctx.Err(), constellation.KindConflict, "an old PostgreSQL (PID %d) of %s does not end; stop it first", pid, c.data)
		}
	}
}

// removeStale removes the PID file of a server that is gone. PostgreSQL would
// take the PID's next owner for it, which is likely in a container.
func (c *cluster) removeStale(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale postmaster.pid: %w", err)
	}
	return nil
}

// servedBy reports whether the process works in our data dir. Where the system
// does not tell, a living process counts.
func (c *cluster) servedBy(pid int) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	if runtime.GOOS != "linux" {
		return true
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Readlink(filepath.Join(proc, "cwd"))
	if errors.Is(err, fs.ErrPermission) { // root in a container without CAP_SYS_PTRACE
		name, err := os.ReadFile(filepath.Join(proc, "comm"))
		return err == nil && strings.TrimSpace(string(name)) == "postgres"
	}
	if err != nil { // gone or a zombie
		return false
	}
	return cwd == c.data
}

// tail passes the server's output to the log and keeps the last lines.
type tail struct {
	log *slog.Logger

	mu    sync.Mutex
	lines []string
}

func (t *tail) copy(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		t.add(lines.Text())
	}
	_, _ = io.Copy(io.Discard, r) // a line beyond the limit must not block the server
}

func (t *tail) add(line string) {
	level := slog.LevelDebug
	switch {
	case strings.Contains(line, "the database system is"), strings.Contains(line, "due to administrator command"):
		// Our own knocking while it starts, and clients that it ends when stopped.
	case strings.HasPrefix(line, "PANIC:"), strings.HasPrefix(line, "FATAL:"):
		level = slog.LevelError
	case strings.HasPrefix(line, "WARNING:"):
		level = slog.LevelWarn
	}
	t.log.Log(context.Background(), level, "postgres", "line", line) //nolint:contextcheck // outlives every request
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 20 {
		t.lines = t.lines[1:]
	}
}

// last is the latest line that says something, for messages.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.lines) - 1; i >= 0; i-- {
		if _, text, ok := strings.Cut(t.lines[i], ":  "); ok && (strings.HasPrefix(t.lines[i], "FATAL") || strings.HasPrefix(t.lines[i], "PANIC")) {
			return text
		}
	}
	if len(t.lines) == 0 {
		return "it said nothing"
	}
	return t.lines[len(t.lines)-1]
}
