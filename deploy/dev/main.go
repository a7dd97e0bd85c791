// Command dev is `make dev`: a mothership for who works on it. What is saved is
// in the browser a moment later: markup, styles and scripts without a build,
// everything else with one and a restart.
//
// `templ generate -watch` writes the code of changed pages, and the text in them
// to files that the running server reads. Its proxy reloads the browser, for
// which it puts a script into each page.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "dev: %s\n", err)
		os.Exit(1)
	}
}

const usage = "usage: dev [HOST:PORT] in the root of the source; the address is where the browser goes, 127.0.0.1:8080"

// lookEvery is how often the source is looked at.
const lookEvery = 100 * time.Millisecond

func run(ctx context.Context, args []string, out io.Writer) error {
	address := "127.0.0.1:8080"
	switch len(args) {
	case 0:
	case 1:
		address = args[0]
	default:
		return errors.New(usage)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New(usage)
	}
	root, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the source: %w", err)
	}
	if _, err := os.Stat(filepath.Join(root, "web", "page")); err != nil {
		return fmt.Errorf("%s is not the root of the source: there is no web/page", root)
	}
	s, err := newServer(root, "http://"+address, out)
	if err != nil {
		return err
	}
	stopped := ctx.Err // by who works on it
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source := newSource(root)
	fmt.Fprintln(out, "dev: building the mothership")
	s.restart(ctx)
	// After it: whoever asks templ's proxy too early waits the longer for it.
	templ := s.command(ctx, "go", "tool", "templ", "generate", "-path", "web", "-watch", "-log-level", "warn",
		// A Go file that is there at the start makes it start its proxy.
		"-watch-pattern", `\.templ$|/web/static/static\.go$`, "-open-browser=false",
		"-proxy", "http://"+s.listen, "-proxybind", host, "-proxyport", port)
	templ.Dir = root
	if err := templ.Start(); err != nil {
		s.stop()
		return fmt.Errorf("start templ: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- templ.Wait(); cancel() }()
	fmt.Fprintf(out, "dev: http://%s follows what is saved in %s; its data are in %s\n", address, root, s.state)
	err = s.follow(ctx, source)
	cancel()
	s.stop()
	if templ := <-ended; err == nil && stopped() == nil {
		return errors.Join(errors.New("templ ended by itself"), templ)
	}
	return err
}

// follow builds the server and starts it anew when its source changes, until
// ctx ends.
func (s *server) follow(ctx context.Context, source *source) error {
	builds := make(chan struct{}, 1)
	var builder sync.WaitGroup
	defer builder.Wait()
	builder.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-builds:
				s.restart(ctx)
			}
		}
	})
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	built, settling := source.version(), false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		changed, err := source.changed()
		if err != nil {
			return err
		}
		if changed.static {
			s.reload(ctx)
		}
		// An editor may have saved half of it, and templ made a page of that.
		if now := source.version(); settling && !changed.server && now != built {
			built = now
			select {
			case builds <- struct{}{}:
			default: // one waits already
			}
		}
		settling = changed.server
	}
}

// stateDir is outside the checkout, since PostgreSQL's unprivileged user must
// be able to reach it.
func stateDir() (string, error) {
	if dir := os.Getenv("DEV_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return "/var/lib/constellation-dev", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "constellation-dev"), err
}

// command is a program whose output is ours and that ends in order with ctx.
func (s *server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // ours alone
	cmd.Stdout, cmd.Stderr = s.out, s.out
	cmd.Env = append(os.Environ(), "TEMPL_DEV_MODE_ROOT="+filepath.Join(s.state, "templ"))
	if flags := os.Getenv("GOFLAGS"); !strings.Contains(flags, "-trimpath") {
		cmd.Env = append(cmd.Env, "GOFLAGS=-trimpath "+flags) // compiled as everything else is
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}
