package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// module is where the source is for a program that was built with -trimpath.
const module = "github.com/constellation-serving/constellation"

// server is the mothership, built from the source.
type server struct {
	root, state string
	address     string // where the browser goes, a URL
	listen      string // where templ's proxy goes
	out         io.Writer

	cmd  *exec.Cmd     // nil when it does not run
	end  func()        // asks it to stop
	done chan struct{} // closed once it stopped
}

func newServer(root, address string, out io.Writer) (*server, error) {
	state, err := stateDir()
	if err != nil {
		return nil, fmt.Errorf("find a folder for the data: %w", err)
	}
	s := &server{root: root, state: state, address: address, out: out}
	// templ looks for the source of a page where the program says it is. In a
	// folder in which that relative path leads to it, the source is found
	// though the program was built with -trimpath.
	tree := filepath.Join(s.tree(), filepath.FromSlash(module))
	for _, dir := range []string{filepath.Dir(tree), filepath.Join(state, "templ")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a folder: %w", err)
		}
	}
	if err := os.Remove(tree); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("point to the source: %w", err)
	}
	if err := os.Symlink(root, tree); err != nil {
		return nil, fmt.Errorf("point to the source: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	s.listen = ln.Addr().String()
	return s, ln.Close()
}

func (s *server) tree() string { return filepath.Join(s.state, "tree") }

func (s *server) binary() string { return filepath.Join(s.state, "mothership") }

// restart builds the server and, when that went well, exchanges the one that
// runs. What the compiler says of a mistake is enough for who made it.
func (s *server) restart(ctx context.Context) {
	begun := time.Now()
	// What is worked on is compiled fast and not to run fast.
	build := s.command(ctx, "go", "build", "-gcflags=all=-dwarf=false", "-gcflags="+module+"/...=-dwarf=false -N -l", "-ldflags", "-s -w", "-o", s.binary(), "./deploy/dev/mothership")
	build.Dir = s.root
	build.Env = append(build.Env, "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		return
	}
	built := time.Since(begun)
	s.stop()
	if err := s.start(ctx); err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(s.out, "dev: %s\n", err)
		}
		return
	}
	fmt.Fprintf(s.out, "dev: built in %.1f s, serving after %.1f s\n", built.Seconds(), time.Since(begun).Seconds())
	s.reload(ctx)
}

func (s *server) start(ctx context.Context) error {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	cmd := s.command(running, s.binary(), "--listen", s.listen, "--public-url", s.address, "--data-dir", filepath.Join(s.state, "data"),
		"--log-format", "text", "--log-level", "warn", "--stop-delay", "0s", "--trusted-proxy", "127.0.0.1")
	cmd.Dir = s.tree()
	cmd.Env = append(cmd.Env, "TEMPL_DEV_MODE=true", "CONSTELLATION_DEV_STATIC="+filepath.Join(s.root, "web", "static"))
	if err := cmd.Start(); err != nil {
		end()
		return fmt.Errorf("start the mothership: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	s.cmd, s.end, s.done = cmd, end, done
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := http.Get("http://" + s.listen + "/readyz"); err == nil { //nolint:gosec // our own server
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-done:
			return errors.New("the mothership ended before it was ready")
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// stop ends the server and waits for it.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.end()
	<-s.done
	s.cmd = nil
}

// reload makes browsers load their page again. Before the proxy is there, there
// are none.
func (s *server) reload(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address+"/_templ/reload/events", nil) //nolint:gosec // templ's proxy
	if err != nil {
		return
	}
	if response, err := http.DefaultClient.Do(request); err == nil { //nolint:gosec // templ's proxy
		_ = response.Body.Close()
	}
}
