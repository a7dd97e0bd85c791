//go:build !linux

package engine

import (
	"context"
	"net"
	"time"
)

// front is the fast path, which only Linux has: elsewhere net/http has all.
type front struct{ slow *handover }

func newFront(*Engine, net.Listener) (*front, error) { return nil, nil }

func (f *front) drain(context.Context) error { return nil }

func (f *front) close() {}

func (f *front) carry(*wire) (stop func()) { return nil }

// upstream is a fast path's connection.
type upstream struct{}

func (r *replica) closeSwift(time.Time) {}

func (r *replica) closeOneSwift() {}

func (w *wire) flush() {}
