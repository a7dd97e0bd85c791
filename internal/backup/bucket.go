package backup

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// bucket keeps backups as objects.
type bucket struct {
	location storage.Location
	driver   driver.StorageDriver
}

func openBucket(l storage.Location) (*bucket, error) {
	d, err := storage.Open(l)
	if err != nil {
		return nil, err
	}
	return &bucket{l, d}, nil
}

// Close implements source.
func (b *bucket) Close() error { return nil }

// List implements source.
func (b *bucket) List(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := b.driver.Walk(ctx, "/", func(info driver.FileInfo) error {
		if name := strings.TrimPrefix(info.Path(), "/"); !info.IsDir() && !strings.HasPrefix(name, "constellation/") { // what storage.Check writes
			sizes[name] = info.Size()
		}
		return ctx.Err()
	})
	if isMissing(err) {
		err = nil
	}
	return sizes, storage.Explain(b.location, "read from", err)
}

func isMissing(err error) bool { return errors.As(err, new(driver.PathNotFoundError)) }

// Open implements source.
func (b *bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.driver.Reader(ctx, "/"+name, 0)
	if isMissing(err) {
		return nil, constellation.Wrap(err, constellation.KindNotFound, "the backup's file %s is missing", name)
	}
	if err != nil {
		return nil, storage.Explain(b.location, "read from", err)
	}
	return explained{r, b.location}, nil
}

// explained is what of a bucket is read.
type explained struct {
	io.ReadCloser
	location storage.Location
}

// Read implements io.Reader.
func (e explained) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // what io.Reader promises
		err = storage.Explain(e.location, "read from", err)
	}
	return n, err
}

// Begin implements place.
func (b *bucket) Begin(ctx context.Context) error { return storage.Check(ctx, b.location, b.driver) }

// Put implements place.
func (b *bucket) Put(ctx context.Context, name string, _ int64, r io.Reader) error {
	w, err := b.driver.Writer(ctx, "/"+name, false)
	if err != nil {
		return storage.Explain(b.location, "written to", err)
	}
	if _, err = io.Copy(bucketWriter{w, b.location}, r); err == nil {
		err = storage.Explain(b.location, "written to", errors.Join(w.Commit(ctx), w.Close()))
	} else {
		err = errors.Join(err, w.Cancel(context.WithoutCancel(ctx)))
	}
	return err
}

// bucketWriter tells a failure of the bucket from one of who is read.
type bucketWriter struct {
	w        io.Writer
	location storage.Location
}

// Write implements io.Writer.
func (w bucketWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	return n, storage.Explain(w.location, "written to", err)
}

// Remove implements place.
func (b *bucket) Remove(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := b.driver.Delete(ctx, "/"+name); err != nil && !isMissing(err) {
			return storage.Explain(b.location, "written to", err)
		}
	}
	return nil
}

// Finish implements place.
func (b *bucket) Finish(context.Context) error { return nil }
