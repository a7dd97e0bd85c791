// Command bench is `make bench`: it measures what the product promises of the
// server itself, on this machine, each peer in the same run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s\n", err)
		os.Exit(1)
	}
}

// measurements are what there is to measure, in the order of the report.
var measurements = []struct {
	name string
	run  func(ctx context.Context, binary string, out io.Writer) error
	big  bool // needs tens of gigabytes or another program, and so runs only when it is named
}{
	{name: "start", run: startUp},
	{name: "endpoint", run: endpoint},
	{name: "heartbeats", run: heartbeats},
	{name: "scale", run: scale},
	{name: "get", run: getting},
	{name: "get-s3", run: gettingFromStores},
	{name: "push", run: pushing},
	{name: "engine", run: engine},
	{name: "stream", run: streams},
	{name: "queue", run: queue},
	{name: "beside", run: beside},
	{name: "heartbeats-100000", run: manyHeartbeats, big: true},
	{name: "backup", run: backups, big: true},
	{name: "large", run: large, big: true},
	{name: "before-engine", run: beforeOf(enginesBefore), big: true},
	{name: "before-queue", run: beforeOf(queueBefore), big: true},
	{name: "before-transfer", run: beforeOf(transfersBefore), big: true},
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 { // what a measurement starts in a process of its own
		switch last := args[len(args)-1]; args[0] {
		case "bare":
			return bare(last)
		case "upstream":
			return serveUpstream(out)
		case "reverseproxy":
			return serveProxy(out, last)
		case "streamer":
			return serveStreamer(out)
		case "sleeper":
			return serveSleeper(out)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	var names []string
	for _, m := range measurements {
		names = append(names, m.name)
	}
	for _, arg := range args {
		if !slices.Contains(names, arg) {
			return fmt.Errorf("there is no measurement %q; there are %s", arg, strings.Join(names, ", "))
		}
	}
	fmt.Fprintf(out, "%s %s/%s, %d CPUs, %s\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var failed error
	for _, m := range measurements {
		if len(args) > 0 && !slices.Contains(args, m.name) || len(args) == 0 && m.big {
			continue
		}
		if err := m.run(ctx, filepath.Join(filepath.Dir(self), "mothership"), out); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	return failed
}

// tempDir makes a folder that PostgreSQL's user may pass through.
func tempDir() (string, func(), error) {
	dir, err := os.MkdirTemp("", "constellation-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	remove := func() { _ = os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		remove()
		return "", nil, fmt.Errorf("open the folder to PostgreSQL's user: %w", err)
	}
	return dir, remove, nil
}
