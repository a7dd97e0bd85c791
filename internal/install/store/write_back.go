package store

import (
	"os"
)

// writeBackPiece is how much is written before the disk is told to begin with
// it.
const writeBackPiece = 8 << 20

// WriteBack writes to a file and lets the disk begin early, so that the sync
// at the end has little left to wait for.
type WriteBack struct {
	File *os.File
	new  int // bytes that the disk was not told of yet
}

// Write implements io.Writer.
func (w *WriteBack) Write(p []byte) (int, error) {
	n, err := w.File.Write(p)
	w.Wrote(n)
	return n, err
}

// Wrote notes n more bytes at the end of the file.
func (w *WriteBack) Wrote(n int) {
	if w.new += n; w.new >= writeBackPiece {
		w.new = 0
		beginWriteBack(w.File)
	}
}
