package stack

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mothership is a running `mothership serve`, with its private PostgreSQL.
type Mothership struct {
	URL     string
	Host    string // host:port
	DataDir string
	binary  string
	env     []string // of its administrative commands, which then need no data dir
	process *process
}

// StartMothership serves on address (host:port, port 0 for a free one) from
// dir/data and waits until it is ready. Flags of serve come after its own, and
// so count in their place.
func StartMothership(ctx context.Context, binary, dir, address string, flags ...string) (*Mothership, error) {
	address, err := freeAddress(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("start the mothership: %w", err)
	}
	m := &Mothership{URL: "http://" + address, Host: address, DataDir: filepath.Join(dir, "data"), binary: binary}
	serve := []string{binary, "serve", "--listen", address, "--public-url", m.URL, "--data-dir", m.DataDir}
	m.process, err = startProcess("mothership", filepath.Join(dir, "mothership.log"), nil, append(serve, flags...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := m.process.waitReady(ctx, m.URL+"/readyz"); err != nil {
		_ = m.Stop()
		return nil, err
	}
	return m, nil
}

// MothershipAt is one that somebody else runs, with its administrative commands on
// the database and the secret key that env names.
func MothershipAt(binary, url string, env ...string) *Mothership {
	_, host, _ := strings.Cut(url, "://")
	return &Mothership{URL: url, Host: host, binary: binary, env: env}
}

// Stop ends the server gracefully.
func (m *Mothership) Stop() error {
	if m.process == nil {
		return nil
	}
	return m.process.stop(30 * time.Second)
}

// Kill ends the server as a crash would, and waits until it is gone.
func (m *Mothership) Kill() error {
	if err := m.process.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill the mothership: %w", err)
	}
	<-m.process.done
	return nil
}

// Log is where the server logs to.
func (m *Mothership) Log() string { return m.process.log }

// PID is the server's process.
func (m *Mothership) PID() int { return m.process.cmd.Process.Pid }

// Administer runs an administrative command with the server's data dir and
// gives its stdout, trimmed.
func (m *Mothership) Administer(ctx context.Context, stdin string, args ...string) (string, error) {
	if m.DataDir != "" {
		args = append(slices.Clip(args), "--data-dir", m.DataDir)
	}
	out, err := Command{Args: append([]string{m.binary}, args...), Stdin: stdin, Env: m.env}.Run(ctx)
	return strings.TrimSpace(out), err
}

// freeAddress turns port 0 into a port that is free now.
func freeAddress(ctx context.Context, address string) (string, error) {
	if !strings.HasSuffix(address, ":0") {
		return address, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	address = listener.Addr().String()
	return address, listener.Close()
}
