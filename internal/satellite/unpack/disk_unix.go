//go:build unix

package unpack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting pod looks whether it is its turn.
const lockPoll = 200 * time.Millisecond

// lock holds the weights of a name against other pods that share the cache. A
// file system that knows no locks has none: the rename at the end decides.
func lock(ctx context.Context, folder, name string, log func(string, ...any)) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(folder, "."+name+".lock"), os.O_RDWR|os.O_CREATE, 0o644) //nolint:gosec // no secret, and other pods have other users
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		return nil, errNotWritable
	}
	if err != nil {
		return nil, fmt.Errorf("lock the weights: %w", err)
	}
	for said := false; ; {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return func() { _ = file.Close() }, nil // closing lets go
		}
		if !said {
			log("another pod unpacks these weights; waiting for it")
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPoll):
		}
	}
}

// freeSpace returns how many bytes may still be written in a folder.
func freeSpace(folder string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("find out how much room there is for the weights: %w", err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:gosec,unconvert // types differ by system
}

func isFull(err error) bool     { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }
