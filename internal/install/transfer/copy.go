package transfer

import (
	"context"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// CopyIn copies the blobs of an archive, of so many bytes together, into a
// launch's folder, and returns how many bytes it copied.
func CopyIn(ctx context.Context, w *store.BlobWriter, c *store.Archive, blobs []bundle.Descriptor, size int64, report *progress.Reporter) (moved int64, err error) {
	limit := newLimiter()
	t := report.Transfer("import", len(blobs), size, limit.onRate)
	defer t.End()
	err = moveAll(ctx, "imported", t, limit, blobs, func(ctx context.Context, blob bundle.Descriptor) (func() error, error) {
		linked, err := w.Link(ctx, blob)
		if linked {
			t.Skip(blob.Size)
		}
		if linked || err != nil {
			return nil, err
		}
		file, err := w.CopyIn(ctx, c, blob, t)
		return func() error { return w.CommitFile(blob, file) }, err
	})
	return t.Moved(), err
}
