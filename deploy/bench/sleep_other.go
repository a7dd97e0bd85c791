//go:build !linux

package main

import "time"

// sleepExactly sleeps as exactly as Go does.
func sleepExactly(d time.Duration) { time.Sleep(d) }
