package storage

import (
	"context"
	"errors"
	"io"
	"path"
	"sync"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"golang.org/x/sync/errgroup"
)

// Rehash reads every blob of a registry, two at a time, and calls report with the
// digest of each, its size, and whether its content is what the digest says; and
// hashed with the bytes as they are read. It calls both one at a time. Blobs that
// are removed meanwhile are left out.
func Rehash(ctx context.Context, d driver.StorageDriver, report func(digest string, size int64, good bool), hashed func(bytes int)) error {
	var mu sync.Mutex
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(2)
	err := walkFiles(reading, d, blobsRoot, func(info driver.FileInfo) error {
		if path.Base(info.Path()) != "data" {
			return nil
		}
		want, err := digestOf(info.Path())
		if err != nil {
			return nil //nolint:nilerr // nothing can refer to it
		}
		group.Go(func() error {
			r, err := d.Reader(reading, info.Path(), 0)
			if isMissing(err) {
				return nil
			}
			if err != nil {
				return err
			}
			verifier := want.Verifier()
			n, err := io.Copy(io.MultiWriter(verifier, counter(func(n int) {
				mu.Lock()
				defer mu.Unlock()
				hashed(n)
			})), r)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			report(want.String(), n, verifier.Verified())
			return nil
		})
		return nil
	})
	return errors.Join(group.Wait(), err)
}

// counter is told how many bytes are written to it.
type counter func(int)

// Write implements io.Writer.
func (c counter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}
