package transfer

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/store"
)

// Source is where a push reads the launch's blobs from: its folder, or an
// export that was not unpacked.
type Source interface {
	// Open returns a blob's bytes; the caller closes it.
	Open(digest string) (store.ReaderAt, error)
	// Document returns a small blob whole, held to its digest.
	Document(digest string) ([]byte, error)
	// Verify hashes a blob; the error is damaged when its bytes are wrong.
	Verify(ctx context.Context, digest string) error
}
