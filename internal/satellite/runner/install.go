package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Install copies this program to dir/name, for every user to start: what the
// init container does. It is there whole or not at all.
func Install(dir, name string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	from, err := os.Open(self)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	defer from.Close() //nolint:errcheck // only read
	to, err := os.CreateTemp(dir, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("copy the runner: %w", err)
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Chmod(0o755), to.Close())
	if err == nil {
		err = os.Rename(to.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy the runner to %s: %w", dir, err), os.Remove(to.Name()))
	}
	return nil
}
