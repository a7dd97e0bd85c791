// Package stack starts the parts of a whole Constellation on one machine, for
// the demo and the end-to-end tests: the dev cluster, a customer's private
// registry, the mothership, the sample algorithms, and the operator's
// commands. Everything in it is the real part.
package stack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a long-running child whose output goes to a log file.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// startProcess starts args with env added to this process's own.
func startProcess(name, log string, env []string, args ...string) (*process, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close() //nolint:errcheck // the child has its own copy
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = childAttributes()
	p := &process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux sends a parent's death signal when the thread that started
		// the child ends, so this thread lives as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // cmd.ProcessState says how it ended
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// stop ends the process gently, and after limit by force.
func (p *process) stop(limit time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("stop %s: it did not end within %s and was killed", p.name, limit)
	}
}

// tail returns the last lines of the process's log.
func (p *process) tail(lines int) string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// waitReady polls url until it answers 200, the process ends or ctx does.
func (p *process) waitReady(ctx context.Context, url string) error {
	return p.waitUntil(ctx, "answer 200 at "+url, func() bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func (p *process) waitUntil(ctx context.Context, what string, ready func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it would %s (%s); the end of %s:\n%s", p.name, what, p.cmd.ProcessState, p.log, p.tail(15))
		case <-ctx.Done():
			return fmt.Errorf("%s does not %s: %w; the end of %s:\n%s", p.name, what, ctx.Err(), p.log, p.tail(15))
		case <-tick.C:
		}
	}
	return nil
}

// Command is one command line to run to its end.
type Command struct {
	Args  []string
	Env   []string
	Stdin string
	// Progress receives stderr as it comes, each line indented; nil drops it.
	Progress io.Writer
}

// CommandError is a command that ended with another exit code than 0.
type CommandError struct {
	Args   []string
	Code   int
	Stderr string
}

// Error names the command, its exit code and what it said last.
func (e *CommandError) Error() string {
	return fmt.Sprintf("%s: exit code %d: %s", strings.Join(e.Args, " "), e.Code, strings.TrimSpace(e.Stderr))
}

// Run runs the command and gives its stdout; a failure is a *CommandError.
func (c Command) Run(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin = strings.NewReader(c.Stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	progress := newIndenter(c.Progress)
	cmd.Stderr = io.MultiWriter(&stderr, progress)
	err := cmd.Run()
	progress.flush()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return stdout.String(), &CommandError{Args: c.Args, Code: exit.ExitCode(), Stderr: stderr.String()}
	case err != nil:
		return stdout.String(), fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	return stdout.String(), nil
}

// indenter writes whole lines, indented, to w.
type indenter struct {
	w    io.Writer
	rest []byte
}

func newIndenter(w io.Writer) *indenter {
	if w == nil {
		w = io.Discard
	}
	return &indenter{w: w}
}

func (i *indenter) Write(data []byte) (int, error) {
	i.rest = append(i.rest, data...)
	for {
		advance, line, _ := bufio.ScanLines(i.rest, false)
		if advance == 0 {
			return len(data), nil
		}
		fmt.Fprintf(i.w, "    %s\n", line)
		i.rest = i.rest[advance:]
	}
}

func (i *indenter) flush() {
	if len(i.rest) > 0 {
		fmt.Fprintf(i.w, "    %s\n", i.rest)
		i.rest = nil
	}
}
