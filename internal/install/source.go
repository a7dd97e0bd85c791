package install

import (
	"context"
	"os"
)

// source is where a push reads the launch's blobs from: its folder, or an
// export that was not unpacked.
type source interface {
	// open gives a blob's bytes; the caller closes it.
	open(digest string) (readerAt, error)
	// document gives a small blob whole, held to its digest.
	document(digest string) ([]byte, error)
	// verify hashes a blob; the error is damaged when its bytes are wrong.
	verify(ctx context.Context, digest string) error
}

func (l *launch) open(digest string) (readerAt, error) {
	file, err := os.Open(l.folder.blob(digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
	}
	return file, nil
}

// verifyBlob hashes one blob of the launch's folder.
func (l *launch) verifyBlob(ctx context.Context, digest string) error {
	err := verifyFile(ctx, l.folder.blob(digest), digest, nil)
	if err != nil && ctx.Err() == nil {
		forget(l.folder, []string{digest})
	}
	return err
}

// folderSource is a launch's folder as a source.
type folderSource struct{ *launch }

func (s folderSource) verify(ctx context.Context, digest string) error {
	return s.verifyBlob(ctx, digest)
}
