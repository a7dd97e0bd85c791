//go:build linux || darwin

package node

import "golang.org/x/sys/unix"

// diskRoom returns how many bytes are free for this process on the disk that
// dir is on, and how many it has in all.
func diskRoom(dir string) (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	block := int64(s.Bsize)
	return int64(s.Bavail) * block, int64(s.Blocks) * block, nil
}
