//go:build !linux

package main

import "errors"

func mayOpen(uint64) error { return errors.ErrUnsupported }
