package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginWriteBack starts writing a file's dirty pages to the disk and waits for
// none of them. What goes wrong with it shows at the sync.
func beginWriteBack(file *os.File) {
	_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
