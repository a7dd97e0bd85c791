package install

import (
	"errors"
	"os"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// writeBackPiece is how much is written before the disk is told to begin with
// it.
const writeBackPiece = 8 << 20

// writeBack writes to a file and lets the disk begin early, so that the sync
// at the end has little left to wait for.
type writeBack struct {
	file *os.File
	new  int // bytes that the disk was not told of yet
}

// Write implements io.Writer.
func (w *writeBack) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.wrote(n)
	return n, err
}

// wrote notes n more bytes at the end of the file.
func (w *writeBack) wrote(n int) {
	if w.new += n; w.new >= writeBackPiece {
		w.new = 0
		beginWriteBack(w.file)
	}
}

// place makes a blob that is whole durable, and only then gives it its name.
// It closes the file.
func (d *downloader) place(blob bundle.Descriptor, file *os.File) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return wrap(err, CodeFailed, "store blob %s", blob.Digest)
	}
	if err := os.Rename(d.part(blob.Digest), d.folder.blob(blob.Digest)); err != nil {
		return wrap(err, CodeFailed, "store blob %s", blob.Digest)
	}
	_ = os.Remove(d.part(blob.Digest) + ".etag")
	// A file system without hard links only costs the sharing.
	_ = os.Link(d.folder.blob(blob.Digest), d.folder.shared(blob.Digest))
	return d.journal.note(blob.Digest)
}
