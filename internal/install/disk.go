package install

import (
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace asks the file system how much an ordinary user may still write.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:gosec,unconvert // types differ by system
}

// linked says whether a shared blob is some launch's too.
func linked(e fs.DirEntry) bool {
	info, err := e.Info()
	if err != nil {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink > 1
}

// readLimited reads a manifest: 4 MiB at most, as registries have it.
func readLimited(r io.Reader) ([]byte, error) {
	const most = 4 << 20
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && len(data) > most {
		return nil, fmt.Errorf("a manifest has at most %d bytes", most)
	}
	return data, err
}
