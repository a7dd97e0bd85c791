package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestMain lets the test binary be the mothership, for tests that kill it.
func TestMain(m *testing.M) {
	if os.Getenv("MOTHERSHIP_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestCrashLosesNothing kills serve with SIGKILL at random moments, of its
// start as well, under REST writes and image pushes. CONSTELLATION_CRASH_ROUNDS
// says how often; the default is 5.
func TestCrashLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 5
	if s := os.Getenv("CONSTELLATION_CRASH_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("CONSTELLATION_CRASH_ROUNDS is a number of rounds; not %q", s)
		}
		rounds = n
	}
	c := newCrasher(t)
	for round := range rounds {
		if round%3 == 0 {
			c.killDuringStart(t)
		}
		c.killUnderLoad(t)
	}
	i, kill := c.serve(t)
	c.Client = loadtest.Client{URL: i.url, Key: c.Key}
	c.Check(t, 0, 0)
	kill()
	t.Logf("%d rounds: %d satellites and %d images acknowledged, all there", rounds, len(c.Satellites), len(c.Images))
	if len(c.Satellites) == 0 || len(c.Images) == 0 {
		t.Error("nothing was written between the kills, so nothing was tested")
	}
}

// crasher is a data dir and what its servers acknowledged.
type crasher struct {
	dir string
	// What serves; the test binary, which has no system image, where it is empty.
	program string
	args    []string
	// serve's alone; args are gc's too.
	serveArgs []string
	*loadtest.Written
}

func newCrasher(t *testing.T) *crasher {
	t.Helper()
	return newCrasherIn(t, dataDir(t))
}

func newCrasherIn(t *testing.T, dir string, args ...string) *crasher {
	t.Helper()
	c := &crasher{dir: dir, args: args, Written: loadtest.NewWritten(loadtest.Client{})}
	for _, args := range []string{"account create neo --role admin", "api-key create --account neo --role admin"} {
		code, stdout, stderr := exitOf(t.Context(), "", append(strings.Fields(args), "--data-dir", c.dir)...)
		if code != 0 {
			t.Fatalf("%s: %s", args, stderr)
		}
		c.Key = strings.TrimSpace(stdout)
	}
	return c
}

// start runs serve as a process; url comes once it is ready, "" if it ends.
func (c *crasher) start(t *testing.T) (i *instance, url <-chan string, kill func()) {
	t.Helper()
	args := slices.Concat([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", c.dir}, c.args, c.serveArgs)
	cmd := exec.CommandContext(t.Context(), cmp.Or(c.program, os.Args[0]), args...)
	cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i = &instance{}
	ready, read := make(chan string, 2), make(chan struct{})
	go func() {
		defer close(read)
		i.read(t, stderr, ready)
	}()
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		waittest.Receive(t, "the end of the log", read)
		_ = cmd.Wait() // "signal: killed"
		eventually(t, "no PostgreSQL is left behind", func() bool { return processesIn(c.dir) == 0 })
	})
	t.Cleanup(kill)
	return i, ready, kill
}

func (c *crasher) serve(t *testing.T) (*instance, func()) {
	t.Helper()
	i, ready, kill := c.start(t)
	select {
	case i.url = <-ready:
	case <-time.After(time.Minute):
	}
	if i.url == "" {
		i.mu.Lock()
		defer i.mu.Unlock()
		t.Fatalf("serve did not get ready; its log: %v", i.lines)
	}
	return i, kill
}

// processesIn counts the processes that work in a data dir.
func processesIn(dir string) int {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // its only error is a bad pattern
	n := 0
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir) {
			n++
		}
	}
	return n
}

func (c *crasher) killDuringStart(t *testing.T) {
	t.Helper()
	_, ready, kill := c.start(t)
	select {
	case <-ready:
	case <-time.After(rand.N(800 * time.Millisecond)): // the moment to kill, not a wait
	}
	kill()
}

// killUnderLoad serves, checks what earlier servers acknowledged, writes, and
// is killed at a random moment.
func (c *crasher) killUnderLoad(t *testing.T) {
	t.Helper()
	i, kill := c.serve(t)
	c.Client = loadtest.Client{URL: i.url, Key: c.Key}
	c.Check(t, 20, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond+rand.N(1500*time.Millisecond))
	defer cancel()
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() { c.repeat(ctx, t, c.WriteSatellite) })
		writers.Go(func() { c.repeat(ctx, t, c.PushImage) })
	}
	<-ctx.Done()
	kill()
	writers.Wait()
}

// repeat writes until it fails, which must not be before the end of ctx.
func (c *crasher) repeat(ctx context.Context, t *testing.T, write func(context.Context) error) {
	for ctx.Err() == nil {
		if err := write(context.WithoutCancel(ctx)); err != nil && ctx.Err() == nil {
			t.Errorf("a write to a running server: %v", err)
			return
		}
	}
}
