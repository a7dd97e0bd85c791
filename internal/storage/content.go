package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Content is the blobs of a registry, read and written by their digests.
type Content struct {
	location Location
	driver   driver.StorageDriver
	stage    *stage // nil where content appears whole by itself, and before anything is written
}

// OpenContent opens the blobs of a location, and asks nothing of it yet.
func OpenContent(l Location) (*Content, error) {
	d, err := Open(l)
	if err != nil {
		return nil, err
	}
	return &Content{location: l, driver: d}, nil
}

// Close ends what Put began.
func (c *Content) Close() error {
	if c.stage == nil {
		return nil
	}
	return c.stage.close()
}

// Location is where it is.
func (c *Content) Location() Location { return c.location }

// Blobs returns the size of every blob.
func (c *Content) Blobs(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := walkFiles(ctx, c.driver, blobsRoot, func(info driver.FileInfo) error {
		if path.Base(info.Path()) != "data" {
			return nil
		}
		if d, err := digestOf(info.Path()); err == nil { // nothing can refer to any other
			sizes[d.String()] = info.Size()
		}
		return nil
	})
	return sizes, Explain(c.location, "read from", err)
}

// Empty reports whether there is nothing of a registry at the location.
func (c *Content) Empty(ctx context.Context) (bool, error) {
	found := false
	for _, root := range []string{path.Dir(blobsRoot), ownRoot} {
		err := walkFiles(ctx, c.driver, root, func(info driver.FileInfo) error {
			if info.Path() == probePath || strings.HasPrefix(info.Path(), stagePath+"/") {
				return nil
			}
			found = true
			return driver.ErrFilledBuffer // ends the walk
		})
		if found {
			return false, nil
		}
		if err != nil {
			return false, Explain(c.location, "read from", err)
		}
	}
	return true, nil
}

// Blob opens a blob; KindNotFound if it is not there.
func (c *Content) Blob(ctx context.Context, dgst string) (io.ReadCloser, error) {
	d, err := digest.Parse(dgst)
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	r, err := c.driver.Reader(ctx, blobPath(d), 0)
	if isMissing(err) {
		return nil, constellation.Wrap(err, constellation.KindNotFound, "the storage %s has no blob %s", c.location, dgst)
	}
	return r, Explain(c.location, "read from", err)
}

// ErrDamaged is content that is not what its digest says.
var ErrDamaged = errors.New("its content is not what its digest says")

// Prepare makes sure that blobs can be written.
func (c *Content) Prepare(ctx context.Context) (err error) {
	if err := Check(ctx, c.location, c.driver); err != nil || c.location.Dir() == "" || c.stage != nil {
		return err
	}
	c.stage, err = newStage(c.location.Dir())
	return err
}

// Put stores a blob, whole or not at all; [ErrDamaged] if it is not what its digest
// says. Prepare comes first.
func (c *Content) Put(ctx context.Context, dgst string, r io.Reader) error {
	want, err := digest.Parse(dgst)
	if err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	target := blobPath(want)
	if c.stage != nil {
		target = c.stage.path(want)
	}
	w, err := c.driver.Writer(ctx, target, false)
	if err != nil {
		return Explain(c.location, "written to", err)
	}
	verifier := want.Verifier()
	_, err = io.Copy(io.MultiWriter(explained{w, c.location}, verifier), r)
	if err == nil && !verifier.Verified() {
		err = ErrDamaged
	}
	if err != nil {
		return errors.Join(err, w.Cancel(context.WithoutCancel(ctx)))
	}
	if err = errors.Join(w.Commit(ctx), w.Close()); err == nil && c.stage != nil {
		err = c.driver.Move(ctx, target, blobPath(want))
	}
	return Explain(c.location, "written to", err)
}

// explained says in its errors that it was the storage that failed, not who is read.
type explained struct {
	w io.Writer
	l Location
}

// Write implements io.Writer.
func (e explained) Write(p []byte) (int, error) {
	n, err := e.w.Write(p)
	return n, Explain(e.l, "written to", err)
}
