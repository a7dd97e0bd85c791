package store

import (
	"context"
	"io"
	"os"

	"github.com/constellation-serving/constellation/internal/install/fault"
)

// open opens a blob; the caller closes it.
func (l *Launch) open(digest string) (ReaderAt, error) {
	file, err := l.Folder.openFile(inBundle(digest), os.O_RDONLY)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "a file of the launch is missing; get it again")
	}
	return file, nil
}

// verifyBlob hashes one blob of the launch's folder. One that is damaged is
// fetched again by the next get.
func (l *Launch) verifyBlob(ctx context.Context, digest string) error {
	err := verifyFile(ctx, l.Folder.Tree(blobDir), inBundle(digest), digest, nil)
	if err != nil && ctx.Err() == nil {
		forget(l.Folder, []string{digest})
	}
	return err
}

// Blobs returns the blobs of the launch's folder, as a push reads them.
func (l *Launch) Blobs() Blobs { return Blobs{l} }

// Blobs are the blobs of a launch's folder.
type Blobs struct{ launch *Launch }

// Open opens a blob; the caller closes it.
func (b Blobs) Open(digest string) (ReaderAt, error) { return b.launch.open(digest) }

// Document returns a small blob whole, held to its digest.
func (b Blobs) Document(digest string) ([]byte, error) { return b.launch.Document(digest) }

// Verify hashes a blob; the error is damaged when its bytes are wrong.
func (b Blobs) Verify(ctx context.Context, digest string) error {
	return b.launch.verifyBlob(ctx, digest)
}

// ReaderAt is what a blob's bytes are read from while they are pushed.
type ReaderAt interface {
	io.ReaderAt
	io.Closer
}
