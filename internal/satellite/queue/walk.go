package queue

import (
	"context"
	"errors"
)

// Walk reads every message that is stored, of all kinds and algorithms, in the
// order in which they were stored, and hands each to f until that fails. Those
// that are taken off meanwhile may be left out.
func (q *Queue) Walk(ctx context.Context, f func(*Peeked) error) error {
	for seq := uint64(1); ; {
		raw, err := q.get(ctx, workStream, getRequest{Seq: seq, NextFor: workSubject + ".>"})
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		seq = raw.seq + 1
		p, err := q.peeked(ctx, raw)
		if errors.Is(err, ErrNotFound) {
			continue // it was taken off, and its pieces with it
		}
		if err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
	}
}
