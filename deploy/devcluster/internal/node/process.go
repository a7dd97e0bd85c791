//go:build unix

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a component that is kept running.
type Process struct {
	Name string
	Path string
	Args []string
}

// ProcessState is what became of a component so far.
type ProcessState struct {
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"`
	LastEnd  string `json:"last_end,omitempty"`
}

// Runner keeps processes running, their output in LogDir/NAME.log.
type Runner struct {
	LogDir     string
	StatusFile string // where the states are written as JSON; none if empty
	Say        io.Writer

	mu     sync.Mutex
	states map[string]ProcessState
	wg     sync.WaitGroup
}

// Run starts p and starts it again, with growing pauses, whenever it ends,
// until ctx ends. It returns at once; Wait waits for the end.
func (r *Runner) Run(ctx context.Context, p Process) {
	r.wg.Go(func() {
		const most = 10 * time.Second
		pause := 250 * time.Millisecond
		for ctx.Err() == nil {
			start := time.Now()
			err := r.once(ctx, p)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				err = errors.New("exit status 0")
			}
			if time.Since(start) > time.Minute {
				pause = 250 * time.Millisecond
			}
			r.update(p.Name, func(s *ProcessState) { s.PID, s.LastEnd = 0, err.Error(); s.Restarts++ })
			r.say("%s ended: %v; starting it again in %s", p.Name, err, pause)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, most)
		}
	})
}

// Wait waits until every process has ended, which takes the end of Run's context.
func (r *Runner) Wait() { r.wg.Wait() }

// once runs p to its end, in a process group of its own that is killed with it.
func (r *Runner) once(ctx context.Context, p Process) error {
	path := filepath.Join(r.LogDir, p.Name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.Path, p.Args...) //nolint:gosec // our own components
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	r.update(p.Name, func(s *ProcessState) { s.PID = cmd.Process.Pid })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(3 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			err = <-ended
		}
	}
	// What it leaves behind, such as nginx's workers, would hold its ports.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return err
}

// PID is the process of a component, 0 while it does not run.
func (r *Runner) PID(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[name].PID
}

func (r *Runner) update(name string, change func(*ProcessState)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.states == nil {
		r.states = map[string]ProcessState{}
	}
	s := r.states[name]
	change(&s)
	r.states[name] = s
	if r.StatusFile == "" {
		return
	}
	data, err := json.Marshal(r.states)
	if err == nil {
		err = os.WriteFile(r.StatusFile+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(r.StatusFile+".new", r.StatusFile)
	}
	if err != nil {
		_, _ = fmt.Fprintf(r.Say, "write component states: %v\n", err)
	}
}

func (r *Runner) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Say, "%s "+format+"\n", append([]any{time.Now().UTC().Format(time.RFC3339)}, args...)...)
}

// LogTails returns the last lines of the logs NAME.log in dir, for an error message.
func LogTails(dir string, names ...string) string {
	const most = 6
	var b strings.Builder
	for _, n := range names {
		data, err := os.ReadFile(filepath.Join(dir, n+".log"))
		text := strings.TrimSpace(string(data))
		if err != nil || text == "" {
			continue
		}
		lines := strings.Split(text, "\n")
		fmt.Fprintf(&b, "\n%s.log ends:\n%s", n, strings.Join(lines[max(0, len(lines)-most):], "\n"))
	}
	return b.String()
}
