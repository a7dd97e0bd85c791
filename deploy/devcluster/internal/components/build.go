package components

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/flock"
)

// Build returns the path of the compiled component, compiling it if the cache
// has none. progress gets a line when work starts, every 15 seconds and at its end.
func Build(ctx context.Context, c Component, progress func(format string, args ...any)) (string, error) {
	source, err := Source()
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	k, err := key(source, c)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, k)
	path := filepath.Join(dir, c.Name)
	if exists(path) {
		return path, nil
	}
	lock, err := flock.Acquire(ctx, filepath.Join(dir, ".lock"))
	if err != nil {
		return "", fmt.Errorf("build %s: %w", c.Name, err)
	}
	defer func() { _ = lock.Remove() }()
	if exists(path) { // another process built it while we waited
		return path, nil
	}
	if err := compile(ctx, filepath.Join(source, c.Dir), path, c, progress); err != nil {
		return "", err
	}
	return path, nil
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func compile(ctx context.Context, dir, path string, c Component, progress func(string, ...any)) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("build %s: the go command is needed to compile it: %w", c.Name, err)
	}
	start := time.Now()
	progress("compiling %s %s (once; the result is kept in %s)", c.Name, c.Version, filepath.Dir(path))
	temp := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(temp) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-gcflags=all=-dwarf=false", "-buildvcs=false", "-v", "-ldflags", c.LDFlags, "-o", temp, ".") //nolint:gosec // our own arguments
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=linux")
	cmd.WaitDelay = 5 * time.Second
	out := &buildOutput{}
	reader, writer := io.Pipe()
	cmd.Stderr, cmd.Stdout = writer, writer
	read := make(chan struct{})
	go func() { out.read(reader); close(read) }()
	stop := every(15*time.Second, func() {
		progress("compiling %s: %s, %s", c.Name, out.done(), time.Since(start).Round(time.Second))
	})
	err := cmd.Run()
	stop()
	_ = writer.Close()
	<-read
	if ctx.Err() != nil {
		return fmt.Errorf("compile %s: %w", c.Name, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("compile %s in %s: %w\n%s", c.Name, dir, err, out.errors())
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("keep compiled %s: %w", c.Name, err)
	}
	progress("compiled %s in %s", c.Name, time.Since(start).Round(time.Second))
	return nil
}

// every calls f at an interval until the returned stop is called.
func every(interval time.Duration, f func()) (stop func()) {
	ticker, end := time.NewTicker(interval), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				f()
			case <-end:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(end) }
}

// buildOutput reads what `go build -v` says: a package path a line, downloads,
// and errors.
type buildOutput struct {
	mu                    sync.Mutex
	packages, downloading int
	rest                  []string
}

func (b *buildOutput) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		b.line(strings.TrimRight(line, "\n"))
		if errors.Is(err, io.EOF) || err != nil {
			return
		}
	}
}

func (b *buildOutput) line(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case line == "":
	case strings.HasPrefix(line, "go: downloading "):
		b.downloading++
	case !strings.ContainsAny(line, " \t:"):
		b.packages++
	default:
		b.rest = append(b.rest, line)
	}
}

func (b *buildOutput) done() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.packages == 0 && b.downloading > 0 {
		return fmt.Sprintf("%d modules downloading", b.downloading)
	}
	return fmt.Sprintf("%d packages compiled", b.packages)
}

func (b *buildOutput) errors() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const most = 20
	if len(b.rest) > most {
		return strings.Join(append(b.rest[:most:most], "…"), "\n")
	}
	return strings.Join(b.rest, "\n")
}
