package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// BlobWriter puts blobs into a launch's folder, and notes each that arrived.
type BlobWriter struct {
	folder  Folder
	journal *journal
}

// NewBlobWriter returns the writer of a launch's blobs; the caller closes it.
func NewBlobWriter(f Folder) (*BlobWriter, error) {
	journal, err := openJournal(f)
	if err != nil {
		return nil, err
	}
	return &BlobWriter{f, journal}, nil
}

// Close closes the journal.
func (w *BlobWriter) Close() { w.journal.close() }

// partName is where a blob's bytes are until they are all there; a later run
// goes on from them. Beside it lies the ETag that they belong to.
func partName(digest string) string { return "work/" + hexOf(digest) + ".part" }

// OpenPart opens what there is of a blob, to be gone on with.
func (w *BlobWriter) OpenPart(digest string) (*os.File, error) {
	file, err := w.folder.openFile(partName(digest), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "store blob %s", digest)
	}
	return file, nil
}

// PartETag returns the ETag of the bytes that there are of a blob, "" when it is
// not known.
func (w *BlobWriter) PartETag(digest string) string {
	etag, err := w.folder.ReadFile(partName(digest) + ".etag")
	if err != nil {
		return ""
	}
	return string(etag)
}

// RememberETag keeps the ETag of a blob's bytes, strong ones only, for If-Range.
func (w *BlobWriter) RememberETag(digest, etag string) {
	if strings.HasPrefix(etag, `"`) {
		_ = w.folder.ReplaceFile(partName(digest)+".etag", []byte(etag))
	}
}

// WriteDocument stores a small blob whole.
func (w *BlobWriter) WriteDocument(digest string, data []byte) error {
	return w.folder.WriteFile(inBundle(digest), data)
}

// Link takes a blob of another launch on this machine, if its bytes are still
// right; one that is damaged goes.
func (w *BlobWriter) Link(ctx context.Context, blob bundle.Descriptor) (bool, error) {
	shared, name := w.folder.deployment(), blobName(blob.Digest)
	if info, err := shared.stat(name); err != nil || info.Size() != blob.Size {
		return false, nil
	}
	if err := verifyFile(ctx, shared, name, blob.Digest, nil); ctx.Err() != nil {
		return false, ctx.Err()
	} else if err != nil {
		_ = shared.remove(name)
		return false, nil
	}
	if shared.link(name, w.folder.fromRoot(inBundle(blob.Digest))) != nil {
		return false, nil
	}
	return true, w.journal.note(blob.Digest)
}

// CommitFile makes a blob that is whole durable, and only then gives it its name.
// It closes the file.
func (w *BlobWriter) CommitFile(blob bundle.Descriptor, file *os.File) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "store blob %s", blob.Digest)
	}
	f, part, name := w.folder, partName(blob.Digest), inBundle(blob.Digest)
	if err := f.Tree(name).rename(part, name); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "store blob %s", blob.Digest)
	}
	_ = f.Remove(part + ".etag")
	// A file system without hard links only costs the sharing.
	_ = f.deployment().link(f.fromRoot(name), blobName(blob.Digest))
	return w.journal.note(blob.Digest)
}

// CopyIn copies one blob, hashed on the way; CommitFile syncs the file.
func (w *BlobWriter) CopyIn(ctx context.Context, c *Archive, blob bundle.Descriptor, t *progress.Transfer) (*os.File, error) {
	from, err := c.Open(blob.Digest)
	if err != nil {
		return nil, err
	}
	defer from.Close() //nolint:errcheck // read only
	file, err := w.folder.openFile(partName(blob.Digest), os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "store blob %s", blob.Digest)
	}
	sum := sha256.New()
	if err := pour(ctx, io.MultiWriter(&WriteBack{File: file}, sum), io.NewSectionReader(from, 0, blob.Size), t); err != nil {
		return nil, errors.Join(fault.Wrap(err, fault.CodeFailed, "copy blob %s of %s", blob.Digest, c.Path), file.Close())
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != blob.Digest {
		err := fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s of %s is damaged: its bytes are %s; copy it anew", blobName(blob.Digest), c.where(c.files[blobName(blob.Digest)]), got))
		_, _ = file.Close(), w.folder.Remove(partName(blob.Digest)) // the next import begins it anew in any case
		return nil, err
	}
	return file, nil
}
