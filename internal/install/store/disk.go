package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// freeSpace asks the file system how much an ordinary user may still write.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:gosec,unconvert // types differ by system
}

// linked reports whether a shared blob is some launch's too.
func linked(e fs.DirEntry) bool {
	info, err := e.Info()
	if err != nil {
		return true
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Nlink > 1
}

// CheckRoom checks the disk before the first byte: what is needed and 1% for the
// file system.
func CheckRoom(f Folder, free func(string) (int64, error), missing []bundle.Descriptor, need int64) error {
	for _, blob := range missing {
		if info, err := f.Stat(partName(blob.Digest)); err == nil {
			need -= info.Size()
		} else if info, err := f.deployment().stat(blobName(blob.Digest)); err == nil {
			need -= info.Size()
		}
	}
	return enough(f.Path(), free, need+need/100)
}

// enough returns an error unless a folder has room for so many bytes.
func enough(dir string, free func(string) (int64, error), need int64) error {
	if free == nil {
		free = freeSpace
	}
	have, err := free(dir)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "ask how much of the disk is free")
	}
	if need > have {
		return fault.Errorf(fault.CodeFailed, "there is not enough room in %s: it needs %s more and %s are free; make room, or choose another folder with --deployment-dir", dir, progress.Size(need), progress.Size(have))
	}
	return nil
}

// NoRoomLeft returns one sentence that the disk is full, if that is what err is,
// and else err.
func NoRoomLeft(err error, root string) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &fault.Error{Code: fault.CodeFailed, Err: noRoom{err}, Message: fmt.Sprintf("no room is left in %s; make room and run the same command again, which goes on where it stopped, or choose another folder with --deployment-dir", root)}
}

// noRoom is a full disk, without the path of the file that met it.
type noRoom struct{ error }

// Error returns the system's words.
func (e noRoom) Error() string {
	var number syscall.Errno
	if errors.As(e.error, &number) {
		return number.Error()
	}
	return e.error.Error()
}

// Unwrap returns the system's error.
func (e noRoom) Unwrap() error { return e.error }

// IsDiskError reports whether err is of a file, and not of a connection.
func IsDiskError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}
