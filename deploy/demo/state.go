package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// The demo's state dir has a sibling lock file, DIR.lock, which holds the
// process ID of the demo that is up.

// cluster is the name of the demo's cluster: one for each state dir.
func (d demo) cluster() string {
	if os.Getenv("DEMO_DIR") == "" {
		return "demo"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(d.dir)) // never fails (hash.Hash)
	return fmt.Sprintf("demo-%08x", h.Sum32())
}

// lock takes the demo's lock, or says which process has it.
func (d demo) lock() (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(d.dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the demo's folder: %w", err)
	}
	f, err := os.OpenFile(d.dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the demo: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("a demo is up already, in process %d; press Ctrl-C there, or run make demo-down", d.holder())
	}
	if err := errors.Join(f.Truncate(0), func() error { _, err := f.WriteString(strconv.Itoa(os.Getpid())); return err }()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock the demo: %w", err)
	}
	return f, nil
}

// holder is the process that last took the lock, 0 when unknown.
func (d demo) holder() int {
	data, err := os.ReadFile(d.dir + ".lock")
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return pid
}

// down ends a demo that is up and removes what any demo left behind.
func (d demo) down(ctx context.Context) error {
	lock, err := d.lock()
	if err != nil {
		pid := d.holder()
		if pid == 0 {
			return err
		}
		fmt.Fprintf(d.out, "asking the demo in process %d to stop\n", pid)
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the demo in process %d: %w", pid, err)
		}
		if lock, err = d.waitLock(ctx, 90*time.Second); err != nil {
			return err
		}
	}
	defer os.Remove(d.dir + ".lock") //nolint:errcheck // nothing more to do about it
	defer lock.Close()               //nolint:errcheck // released with the process at the latest
	if err := d.clean(ctx); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "nothing of the demo is left")
	return nil
}

func (d demo) waitLock(ctx context.Context, limit time.Duration) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the demo in process %d does not stop", d.holder())
		case <-tick.C:
		}
		if lock, err := d.lock(); err == nil {
			return lock, nil
		}
	}
}

// clean removes the state of a demo that is no longer running, its cluster
// too. The mothership and its PostgreSQL end with the demo's process.
func (d demo) clean(ctx context.Context) error {
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		if err := stack.RemoveCluster(ctx, filepath.Join(d.bin, "devcluster"), d.cluster(), io.Discard); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("remove the demo's folder: %w", err)
	}
	return nil
}
