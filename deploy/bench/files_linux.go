package main

import "syscall"

// mayOpen lets this process, and those it starts, have n files open, or as many as
// it may, which it returns.
func mayOpen(n int) int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	more := limit
	more.Cur, more.Max = max(limit.Cur, uint64(n)), max(limit.Max, uint64(n)) //nolint:gosec // positive
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
		return n
	}
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // Go has done so already
	return int(limit.Cur)                                //nolint:gosec // below n
}
