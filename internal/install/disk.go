package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/bundle"
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

// room checks the disk before the first byte: what is needed and 1% for the
// file system.
func room(f Folder, free func(string) (int64, error), missing []bundle.Descriptor, need int64) error {
	for _, blob := range missing {
		if info, err := os.Stat(f.Path("work", hexOf(blob.Digest)+".part")); err == nil {
			need -= info.Size()
		} else if info, err := os.Stat(f.shared(blob.Digest)); err == nil {
			need -= info.Size()
		}
	}
	return enough(f.Path(), free, need+need/100)
}

// enough says whether a folder has room for so many bytes.
func enough(dir string, free func(string) (int64, error), need int64) error {
	if free == nil {
		free = freeSpace
	}
	have, err := free(dir)
	if err != nil {
		return wrap(err, CodeFailed, "ask how much of the disk is free")
	}
	if need > have {
		return errorf(CodeFailed, "there is not enough room in %s: it needs %s more and %s are free; make room, or choose another folder with --deployment-dir", dir, Size(need), Size(have))
	}
	return nil
}

// full says in one sentence that the disk is, if that is what err is.
func full(err error, root string) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &Error{Code: CodeFailed, Err: noRoom{err}, Message: fmt.Sprintf("no room is left in %s; make room and run the same command again, which goes on where it stopped, or choose another folder with --deployment-dir", root)}
}

// noRoom is a full disk, without the path of the file that met it.
type noRoom struct{ error }

// Error gives the system's words.
func (e noRoom) Error() string {
	var number syscall.Errno
	if errors.As(e.error, &number) {
		return number.Error()
	}
	return e.error.Error()
}

func (e noRoom) Unwrap() error { return e.error }
