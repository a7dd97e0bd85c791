package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// diskFormat counts up whenever an older program could not read what a node
// has on its disk.
const diskFormat = 1

// formatFile says in a node's folder which format the folder has.
const formatFile = "format"

// prepare makes a node's folder ready: it is there, can be written, and holds
// nothing, or a store of a format that this program reads.
func prepare(dir string) error {
	if dir == "" {
		return errors.New("a queue node needs a folder")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the queue's folder: %w", err)
	}
	path := filepath.Join(dir, formatFile)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		return checkFormat(path, text)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the queue's format: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, storeFolder)); err == nil {
		return fmt.Errorf("%s holds a queue's store and no file %q that says its format: put the file back, or start with an empty folder", dir, formatFile)
	}
	return writeSynced(path, []byte(strconv.Itoa(diskFormat)+"\n"))
}

func checkFormat(path string, text []byte) error {
	found, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	switch {
	case err != nil || found < 1:
		return fmt.Errorf("%s does not say which format the queue's store has: start with an empty folder, or restore it", path)
	case found > diskFormat:
		return fmt.Errorf("the queue's store has format %d (%s), and this version reads up to %d: run the newer version that wrote it", found, path, diskFormat)
	}
	// Format 1 is the first: there is nothing older to bring up to date.
	return nil
}

// writeSynced writes a file that is whole or not there, whatever happens.
func writeSynced(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
