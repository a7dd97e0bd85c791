package storage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// stagePath is where a copy into a folder writes everything, before it is moved to
// its place whole: a folder in it for each copy.
const stagePath = ownRoot + "/copying"

// stage is the folder of one copy. It is locked while the copy runs, so that the
// next one sees which were left by copies that were killed.
type stage struct {
	dir, name string
	lock      *os.File
}

// newStage makes a stage below a registry's folder, and removes those that were
// left behind.
func newStage(root string) (*stage, error) {
	all := filepath.Join(root, filepath.FromSlash(stagePath))
	if err := os.MkdirAll(all, 0o700); err != nil {
		return nil, fmt.Errorf("make a place for the copy: %w", err)
	}
	left, err := os.ReadDir(all)
	if err != nil {
		return nil, fmt.Errorf("make a place for the copy: %w", err)
	}
	for _, entry := range left {
		if err := removeLeft(filepath.Join(all, entry.Name())); err != nil {
			return nil, fmt.Errorf("remove what a copy left: %w", err)
		}
	}
	for {
		s := &stage{name: rand.Text()}
		s.dir = filepath.Join(all, s.name)
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("make a place for the copy: %w", err)
		}
		taken, err := s.take()
		if err != nil {
			return nil, fmt.Errorf("make a place for the copy: %w", err)
		}
		if taken {
			return s, nil
		}
	}
}

// take locks a stage that was just made, and reports whether it is there still: a copy
// that begins in the same moment may have taken it for one that was left.
func (s *stage) take() (bool, error) {
	lock, err := lockDir(s.dir)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Lstat(s.dir); err != nil {
		_ = lock.Close() // of a folder that is gone
		return false, nil
	}
	s.lock = lock
	return true, nil
}

// lockDir locks a folder, by itself so that no file is needed for it.
func lockDir(dir string) (*os.File, error) {
	file, err := os.Open(dir) //nolint:gosec // below the storage
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// removeLeft removes the stage of a copy that no longer runs.
func removeLeft(dir string) error {
	lock, err := lockDir(dir)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(dir), lock.Close())
}

// path is where something is written first, by the digest of its content or its name.
func (s *stage) path(d digest.Digest) string {
	return path.Join(stagePath, s.name, d.Algorithm().String()+"-"+d.Encoded())
}

func (s *stage) close() error {
	return errors.Join(os.RemoveAll(s.dir), s.lock.Close())
}
