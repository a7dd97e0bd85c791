//go:build unix

package auth

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// likeBefore gives a file the owner of the one that it is to replace, if there is
// one: a command that root runs must not take the key away from the server.
func likeBefore(file *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return errors.Join(file.Chown(int(owner.Uid), int(owner.Gid)), file.Chmod(info.Mode().Perm()))
	}
	return file.Chmod(info.Mode().Perm())
}
