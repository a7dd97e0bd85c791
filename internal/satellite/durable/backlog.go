package durable

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// chunkCalls is how many calls a chunk of a batch counts for that waits: chunks are
// made to have so many lines, and have fewer when the lines are long.
const chunkCalls = 16

// mostBacklog is what there is no need to count beyond.
const mostBacklog = 1_000_000

// Backlog returns how many durable calls of an algorithm wait and have no slot.
func (s *Service) Backlog(ctx context.Context, vanityURL string) (int, error) {
	d := s.Session()
	if d == nil {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	calls, err := d.Queue.Pending(ctx, queue.KindCall, vanityURL)
	if err != nil {
		return 0, err
	}
	chunks, err := d.Queue.Pending(ctx, queue.KindBatch, vanityURL)
	if err != nil {
		return 0, err
	}
	return int(min(calls.Waiting+chunkCalls*chunks.Waiting, mostBacklog)), nil //nolint:gosec // bounded
}
