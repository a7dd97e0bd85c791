package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/retry"
)

// Runner keeps one pipe process running and answers calls with it.
type Runner struct {
	Options
	log    *slog.Logger
	reaper reaper
	one    chan struct{} // held by the call that runs
	drains atomic.Bool

	mu      sync.Mutex
	process *process      // loaded, else nil
	changed chan struct{} // closed when process or failing changes
	failing string        // why the process cannot be kept running, "" while it can
	callID  string        // of the call that runs
}

// failingAfter is how many times in a row the process ends by itself before
// calls are told so instead of waiting for the next one.
const failingAfter = 3

// Run serves until ctx ends. Then it still takes calls for DrainDelay, the last
// of each connection, and lets a running call end. An image with no
// pipe process is an error for the operator.
func Run(ctx context.Context, o Options) error {
	r, err := newRunner(o)
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", r.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", r.Listen, err)
	}
	return r.serve(ctx, ln)
}

func newRunner(o Options) (*Runner, error) {
	var err error
	if o.Command, err = findPipe(o.Command, o.Find); err != nil {
		return nil, err
	}
	o.Listen, o.FIFO = cmp.Or(o.Listen, ":9999"), cmp.Or(o.FIFO, DefaultFIFO)
	o.RestartAfter, o.RestartAtMost = cmp.Or(o.RestartAfter, time.Second), cmp.Or(o.RestartAtMost, time.Minute)
	o.SteadyAfter, o.DrainTimeout = cmp.Or(o.SteadyAfter, 10*time.Second), cmp.Or(o.DrainTimeout, 5*time.Minute)
	o.CallAtMost = cmp.Or(o.CallAtMost, 51*time.Minute)
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MemoryCounters == nil {
		o.MemoryCounters = memoryCounters
	}
	return &Runner{
		Options: o, log: o.Log, reaper: reaper{on: o.Reap},
		one: make(chan struct{}, 1), changed: make(chan struct{}),
	}, nil
}

// findPipe returns the command of the pipe process.
func findPipe(command []string, find bool) ([]string, error) {
	if find || len(command) == 0 {
		for _, path := range []string{InstalledPipe, LocalPipe} {
			absolute, err := filepath.Abs(path)
			if err == nil && unix.Access(absolute, unix.X_OK) == nil {
				return []string{absolute}, nil
			}
		}
	}
	if len(command) == 0 {
		dir, _ := os.Getwd()
		return nil, fmt.Errorf("the image has no pipe process: there is no program %s, no %s in %s, and the image has no command", InstalledPipe, LocalPipe, dir)
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, fmt.Errorf("the image's command cannot be started as a pipe process: %w", err)
	}
	return command, nil
}

// serve is Run on a listener that is there already; it closes it.
func (r *Runner) serve(ctx context.Context, ln net.Listener) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := r.reaper.run(background); err != nil {
		return errors.Join(err, ln.Close())
	}
	// A FIFO that cannot be made, or a program that cannot be started, will
	// not get better: say so and end.
	first, err := r.start()
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	server := &http.Server{Handler: r, ReadHeaderTimeout: 15 * time.Second, ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelDebug)}
	kept, served := make(chan struct{}), make(chan error, 1)
	go func() { defer close(kept); r.keep(background, first) }()
	go func() { served <- server.Serve(ln) }()
	select {
	case <-ctx.Done():
		// Engines hear that this pod ends a moment after it does. A connection
		// that was closed under their next call would leave them in doubt
		// whether that call ran.
		r.drains.Store(true)
		r.log.Info("draining", "delay", r.DrainDelay.String(), "timeout", r.DrainTimeout.String())
		time.Sleep(r.DrainDelay)
		last, cancel := context.WithTimeout(background, r.DrainTimeout)
		defer cancel()
		if err = server.Shutdown(last); err != nil {
			r.log.Warn("the running call was cut: the drain's time is over")
			err = server.Close()
		}
	case err = <-served:
		err = fmt.Errorf("serve %s: %w", ln.Addr(), err)
	}
	stop()
	<-kept
	return err
}

// keep starts the process again whenever it ends, until ctx ends: at once
// after it was ended on purpose or had answered calls, with a growing pause
// when it fails again and again.
func (r *Runner) keep(ctx context.Context, p *process) {
	pauses := retry.Backoff{First: r.RestartAfter, Most: r.RestartAtMost}
	waits, failures := 0, 0 // in a row
	pause := func() time.Duration {
		if waits == 0 {
			return 0
		}
		return pauses.Delay(waits - 1)
	}
	for {
		if p != nil {
			r.watch(ctx, p)
			if ctx.Err() != nil {
				return
			}
			switch {
			case p.ended():
				waits = 0
				r.log.Info("the pipe process was ended and is started again")
			case p.hasReplied() || time.Since(p.started) >= r.SteadyAfter:
				waits, failures = 0, 0
				r.log.Warn("the pipe process ended and is started again", "reason", p.reason())
			default:
				failures++
				if failures >= failingAfter {
					r.set(nil, fmt.Sprintf("%s, %d times in a row", p.reason(), failures))
				}
				if failures > 1 {
					waits++
				}
				r.log.Error(FailedMessage, "reason", p.reason(), "times", failures, "again_in", pause().String())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause()):
		}
		var err error
		if p, err = r.start(); err != nil {
			r.set(nil, err.Error())
			waits++
			r.log.Error("the pipe process cannot be started", "error", err, "again_in", pause().String())
		}
	}
}

// watch lets calls have the process once it is loaded, until it is gone; when
// ctx ends it ends it.
func (r *Runner) watch(ctx context.Context, p *process) {
	loaded := p.loaded
	for gone := false; !gone; {
		select {
		case <-loaded:
			loaded = nil
			r.log.Info("the algorithm is loaded", "seconds", time.Since(p.started).Seconds())
			r.set(p, "")
		case <-p.exited:
			gone = true
		case <-ctx.Done():
			p.end()
			<-p.exited
			gone = true
		}
	}
	r.mu.Lock()
	if r.process == p {
		r.process = nil
	}
	r.mu.Unlock()
	// A call that runs reads what the process left; the next waits.
	r.one <- struct{}{}
	p.close()
	<-r.one
}

// set tells who waits that there is a process, or why there is none.
func (r *Runner) set(p *process, failing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.process, r.failing = p, failing
	close(r.changed)
	r.changed = make(chan struct{})
}

// reason says how a process ended, and its last words.
func (p *process) reason() string {
	what := "while it loaded"
	select {
	case <-p.loaded:
		what = "after it was loaded"
	default:
	}
	reason := fmt.Sprintf("the algorithm's process ended with exit code %d %s", p.code, what)
	if p.outOfMem {
		reason = "the algorithm's process was killed " + what + ": it reached the container's memory limit" + memoryLimit()
	}
	if words := p.tail.String(); words != "" {
		reason += "; its last output: " + words
	}
	return reason
}

// loadedProcess waits for a process that can take a call. The failure is why
// there will be none soon; the error is ctx's.
func (r *Runner) loadedProcess(ctx context.Context) (*process, *failure, error) {
	for {
		r.mu.Lock()
		p, failing, changed := r.process, r.failing, r.changed
		r.mu.Unlock()
		switch {
		case p != nil:
			return p, nil, nil
		case failing != "":
			return nil, &failure{Type: "LoadingError", Message: failing}, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-changed:
		}
	}
}
