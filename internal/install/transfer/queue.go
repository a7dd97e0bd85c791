package transfer

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// mover moves one blob. What it gives back, which may be nil, settles the blob
// where it came to, and needs the line no more: the next one moves meanwhile.
type mover func(ctx context.Context, blob bundle.Descriptor) (settle func() error, err error)

// moveAll moves blobs, largest first, as many at a time as the limiter allows. One
// that fails does not stop the others; one that makes the others pointless
// does: a refused login, a full disk.
func moveAll(ctx context.Context, verb string, t *progress.Transfer, l *limiter, blobs []bundle.Descriptor, move mover) error {
	blobs = slices.Clone(blobs)
	slices.SortStableFunc(blobs, func(a, b bundle.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var failed []error
	var moving sync.WaitGroup
	for _, blob := range blobs {
		if l.acquire(ctx) != nil {
			break
		}
		moving.Go(func() {
			settle, err := move(ctx, blob)
			l.release()
			if settle != nil && err == nil {
				err = settle()
			}
			switch {
			case err == nil:
				t.Done()
			case ctx.Err() != nil:
			case fault.CodeOf(err) == fault.CodeAuth || store.IsDiskError(err):
				cancel(err)
			default:
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, err)
			}
		})
	}
	moving.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// What the other side said of one blob is worth more than a connection that
	// broke at another.
	slices.SortStableFunc(failed, func(a, b error) int { return cmp.Compare(noise(a), noise(b)) })
	if len(failed) > 1 {
		return fault.Wrap(failed[0], fault.CodeOf(failed[0]), "%d of %d blobs could not be %s; what arrived is kept; one of them", len(failed), len(blobs), verb)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return nil
}

// noise is 1 for a failure of the network, which may hide a real one.
func noise(err error) int {
	if fault.CodeOf(err) == fault.CodeNetwork {
		return 1
	}
	return 0
}
