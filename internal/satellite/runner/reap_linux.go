package runner

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reaper takes over processes whose parent ended, as a container's first
// process must: it waits for those that end, and ends the others with the
// pipe process, also those that left its group.
type reaper struct {
	on   bool
	mu   sync.Mutex
	main int // the pipe process, which exec.Cmd waits for
}

// run reaps until ctx ends.
func (r *reaper) run(ctx context.Context) error {
	if !r.on {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("take over processes that lose their parent: %w", err)
	}
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		defer signal.Stop(died)
		for {
			select {
			case <-ctx.Done():
				return
			case <-died:
				r.mu.Lock()
				r.each(func(pid int) { _, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) })
				r.mu.Unlock()
			}
		}
	}()
	return nil
}

// start starts a command that reap leaves alone.
func (r *reaper) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	r.main = cmd.Process.Pid
	return nil
}

// ended ends what the pipe process left behind. Each that ends hands us its
// own children, so it goes on until there are none.
func (r *reaper) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.main = 0
	if !r.on {
		return
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		left := 0
		r.each(func(pid int) {
			left++
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		})
		if left == 0 {
			return
		}
	}
}

// each calls do with every child but the pipe process.
func (r *reaper) each(do func(pid int)) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && pid != r.main {
				do(pid)
			}
		}
	}
}
