package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

const (
	rounds = 7
	settle = 5 * time.Second // of idling before memory is read
)

// startUp measures the time to ready on an initialised data dir, and idle
// memory without PostgreSQL: whole-process figures, medians.
func startUp(ctx context.Context, binary string, out io.Writer) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
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
