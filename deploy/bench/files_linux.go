package main

import (
	"fmt"
	"syscall"
)

// mayOpen lets this process, and those it starts, have n files open.
func mayOpen(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read how many files may be open: %w", err)
	}
	limit.Cur, limit.Max = max(limit.Cur, n), max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("let this process have %d files open (as root, or by ulimit -n): %w", n, err)
	}
	return nil
}
