package registry

import (
	"io"
	"net/http"

	"github.com/constellation-serving/constellation/internal/storage"
)

// errLittleRoom is what a push gets whose bytes would leave less of the disk than is
// kept free.
var errLittleRoom = ociErrorf(http.StatusInsufficientStorage, codeUnavailable,
	"the mothership's disk is nearly full, and what is left is kept for its database; free some space there and push again")

// hasRoom reports whether more bytes leave as much of the disk free as is kept, so that
// a database on it, and with that a removal, goes on when pushes do not.
func (s *Storage) hasRoom(more int64) bool {
	dir := s.config.Location.Dir()
	if dir == "" || s.config.KeepFree <= 0 {
		return true
	}
	free, err := storage.Free(dir)
	return err != nil || free-max(more, 0) >= s.config.KeepFree
}

// roomPiece is how much of a body is taken between two looks at the disk.
const roomPiece = 1 << 20

// roomBody is a body that ends when the disk is as full as it may be.
type roomBody struct {
	io.Reader
	storage *Storage
	taken   int64
	over    bool
}

// Read implements io.Reader.
func (b *roomBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.taken += int64(n); b.taken >= roomPiece {
		b.taken = 0
		if b.over = !b.storage.hasRoom(int64(n)); b.over {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// refuseWithoutRoom refuses what is beyond the disk before it is read.
func (s *Storage) refuseWithoutRoom(length int64) error {
	if !s.hasRoom(length) {
		return errLittleRoom
	}
	return nil
}
