//go:build !unix

// Package flock is an advisory lock between processes, kept in a file.
package flock

import (
	"context"
	"errors"
)

// Lock is a held lock.
type Lock struct{}

// Acquire always fails: this system has no such locks.
func Acquire(context.Context, string) (*Lock, error) {
	return nil, errors.New("file locks need a Unix system")
}

// Release does nothing.
func (*Lock) Release() error { return nil }

// Remove does nothing.
func (*Lock) Remove() error { return nil }
