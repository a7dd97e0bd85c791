package storage

import (
	"fmt"
	"syscall"
)

// Free returns how many bytes may still be written to the disk that a folder is on.
func Free(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("ask how full the disk of %s is: %w", dir, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}
