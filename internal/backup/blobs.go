package backup

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

func newZip(w io.Writer) *gzip.Writer {
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is one
	return z
}

// counter counts what is written through it.
type counter struct {
	w io.Writer
	m *meter
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.m.add(n)
	return n, err
}

// missing notes which blobs the storage has lost.
func (t *taker) missing(ctx context.Context) error {
	there, err := t.store.Blobs(ctx)
	if err != nil {
		return err
	}
	for _, b := range t.manifest.Blobs {
		if _, ok := there[b.Digest]; !ok {
			t.manifest.Missing = append(t.manifest.Missing, b.Digest)
		}
	}
	t.taken.Missing = t.manifest.Missing
	return nil
}

// copyBlobs copies what the target lacks.
func (t *taker) copyBlobs(ctx context.Context, files map[string]int64) error {
	var lacks []BlobFile
	var bytes int64
	for _, b := range t.manifest.Blobs {
		if size, ok := files[blobName(b.Digest)]; ok && size == b.Size {
			continue
		}
		if _, lost := slices.BinarySearch(t.manifest.Missing, b.Digest); !lost {
			lacks = append(lacks, b)
			bytes += b.Size
		}
	}
	t.meter.begin("copying images", bytes, int64(len(lacks)))
	group, copying := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	if t.Target.Single() {
		group.SetLimit(1)
	}
	var mu sync.Mutex
	for _, b := range lacks {
		group.Go(func() error {
			if copying.Err() != nil {
				return copying.Err()
			}
			err := t.copyBlob(copying, b)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, storage.ErrDamaged) {
				t.taken.Damaged = append(t.taken.Damaged, b.Digest)
				return nil
			}
			if err != nil {
				return err
			}
			t.taken.Written += b.Size
			t.taken.WrittenBlobs++
			t.meter.file()
			return nil
		})
	}
	return group.Wait()
}

func (t *taker) copyBlob(ctx context.Context, b BlobFile) error {
	r, err := t.store.Blob(ctx, b.Digest)
	if constellation.KindOf(err) == constellation.KindNotFound && err != nil {
		return constellation.Wrap(err, constellation.KindUnavailable, "the image's part %s was removed while the backup ran; run it again", b.Digest)
	}
	if err != nil {
		return err
	}
	err = t.place.Put(ctx, blobName(b.Digest), b.Size, &verified{r: metered{r, t.meter}, want: b, hash: sha256.New()})
	return errors.Join(err, r.Close())
}

// verified reads a blob and ends with [storage.ErrDamaged] when that was not what its
// digest and size say.
type verified struct {
	r    io.Reader
	want BlobFile
	hash hash.Hash
	n    int64
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.n += int64(n)
	_, _ = v.hash.Write(p[:n]) // never fails
	if errors.Is(err, io.EOF) && (v.n != v.want.Size || "sha256:"+hex.EncodeToString(v.hash.Sum(nil)) != v.want.Digest) {
		return n, fmt.Errorf("read %s: %w", v.want.Digest, storage.ErrDamaged)
	}
	return n, err
}
