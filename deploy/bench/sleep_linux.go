package main

import (
	"syscall"
	"time"
)

// sleepExactly sleeps by the kernel's clock: Go's own sleep is one of milliseconds.
func sleepExactly(d time.Duration) {
	until := syscall.NsecToTimespec(int64(d))
	for syscall.Nanosleep(&until, &until) == syscall.EINTR { //nolint:revive // sleeps what is left
	}
}
