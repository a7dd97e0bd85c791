// Command bench is `make bench`: it measures what the product promises of the
// server itself, on this machine: time to ready on an initialised data dir,
// and idle memory without its PostgreSQL. Whole-process figures, medians.
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
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s\n", err)
		os.Exit(1)
	}
}

const (
	rounds = 7
	settle = 5 * time.Second // of idling before memory is read
)

func run(ctx context.Context, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the programs: %w", err)
	}
	binary := filepath.Join(filepath.Dir(self), "mothership")
	dir, err := os.MkdirTemp("", "constellation-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temp folder
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("open the folder to PostgreSQL's user: %w", err)
	}
	fmt.Fprintf(out, "%s %s/%s, %d CPUs, %s\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var ready []float64
	var memory int
	for round := range rounds + 1 { // the first initialises the data dir
		started := time.Now()
		m, err := stack.StartMothership(ctx, binary, dir, "127.0.0.1:0")
		if err != nil {
			return err
		}
		took := time.Since(started).Seconds()
		if round > 0 {
			ready = append(ready, took)
		} else {
			fmt.Fprintf(out, "serve: ready on an empty data dir after          %.2f s\n", took)
		}
		if round == rounds {
			time.Sleep(settle)
			if memory, err = residentKB(m.PID()); err != nil {
				return errors.Join(err, m.Stop())
			}
		}
		if err := m.Stop(); err != nil {
			return err
		}
	}
	slices.Sort(ready)
	fmt.Fprintf(out, "serve: ready on an initialised data dir, median   %.2f s (%.2f–%.2f, %d runs)\n", ready[len(ready)/2], ready[0], ready[len(ready)-1], rounds)
	fmt.Fprintf(out, "serve: resident when idle, without PostgreSQL     %d MB\n", memory/1024)
	return nil
}

// residentKB is a process's resident set as the kernel tells it.
func residentKB(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, errors.New("read memory: no VmRSS line")
}
