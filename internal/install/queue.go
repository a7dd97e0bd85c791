package install

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// mover moves one blob. What it gives back, which may be nil, settles the blob
// where it came to, and needs the line no more: the next one moves meanwhile.
type mover func(ctx context.Context, blob bundle.Descriptor) (settle func() error, err error)

// moveAll moves blobs, largest first, as many at a time as the transfer's width says. One
// that fails does not stop the others; one that makes the others pointless
// does: a refused login, a full disk.
func moveAll(ctx context.Context, verb string, t *transfer, blobs []bundle.Descriptor, move mover) error {
	blobs = slices.Clone(blobs)
	slices.SortStableFunc(blobs, func(a, b bundle.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var failed []error
	var moving sync.WaitGroup
	for _, blob := range blobs {
		if t.width.acquire(ctx) != nil {
			break
		}
		moving.Go(func() {
			settle, err := move(ctx, blob)
			t.width.release()
			if settle != nil && err == nil {
				err = settle()
			}
			switch {
			case err == nil:
				t.done()
			case ctx.Err() != nil:
			case codeOf(err) == CodeAuth || isDiskError(err):
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
	if len(failed) > 1 {
		return wrap(failed[0], codeOf(failed[0]), "%d of %d blobs could not be %s; what arrived is kept; the first", len(failed), len(blobs), verb)
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return nil
}
