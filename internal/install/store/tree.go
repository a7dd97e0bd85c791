package store

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Tree is a folder whose files are found by names with slashes. Whatever a
// name or a symbolic link says, no read and no write leaves the folder: what
// lies in it may have come from a stranger.
type Tree struct {
	top   string // is where the operator says, by any way
	below string // within top, "" for top itself
}

// NewTree returns the folder at top.
func NewTree(top string) Tree { return Tree{top: top} }

// open opens the folder; the caller closes it.
func (t Tree) open() (*os.Root, error) {
	top, err := os.OpenRoot(t.top)
	if err != nil || t.below == "" {
		return top, err
	}
	defer top.Close() //nolint:errcheck // nothing was written by it
	root, err := top.OpenRoot(t.below)
	return root, t.named(err, "")
}

// Path is where a name is, for messages.
func (t Tree) Path(name string) string {
	return filepath.Join(t.top, t.below, name)
}

// named returns an error of the system with the whole path in it.
func (t Tree) named(err error, name string) error {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err
	}
	cause := at.Err
	if cause.Error() == "path escapes from parent" { // the system's word, of no exported error
		cause = fmt.Errorf("a symbolic link leads out of %s", t.Path(""))
	}
	return &fs.PathError{Op: strings.TrimSuffix(at.Op, "at"), Path: t.Path(name), Err: cause}
}

// do runs what with the opened folder.
func (t Tree) do(name string, what func(*os.Root) error) error {
	root, err := t.open()
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // its files say what goes wrong
	return t.named(what(root), name)
}

func (t Tree) stat(name string) (info fs.FileInfo, err error) {
	err = t.do(name, func(root *os.Root) error {
		info, err = root.Stat(name)
		return err
	})
	return info, err
}

// ReadFile returns what a file holds.
func (t Tree) ReadFile(name string) (data []byte, err error) {
	err = t.do(name, func(root *os.Root) error {
		data, err = root.ReadFile(name)
		return err
	})
	return data, err
}

func (t Tree) readDir(name string) (entries []fs.DirEntry, err error) {
	err = t.do(name, func(root *os.Root) error {
		entries, err = fs.ReadDir(root.FS(), name)
		return err
	})
	return entries, err
}

func (t Tree) openFile(name string, flag int) (file *os.File, err error) {
	err = t.do(name, func(root *os.Root) error {
		file, err = root.OpenFile(name, flag, fileMode)
		return err
	})
	return file, err
}

// MkdirAll makes a folder and those above it.
func (t Tree) MkdirAll(name string) error {
	return t.do(name, func(root *os.Root) error { return root.MkdirAll(name, DirMode) })
}

func (t Tree) remove(name string) error {
	return t.do(name, func(root *os.Root) error { return root.Remove(name) })
}

// RemoveAll removes a file, or a folder with all in it.
func (t Tree) RemoveAll(name string) error {
	return t.do(name, func(root *os.Root) error { return root.RemoveAll(name) })
}

func (t Tree) rename(from, to string) error {
	return t.do(to, func(root *os.Root) error { return root.Rename(from, to) })
}

func (t Tree) link(from, to string) error {
	return t.do(to, func(root *os.Root) error { return root.Link(from, to) })
}

// syncDir makes renames in a folder durable.
func (t Tree) syncDir(name string) error {
	return t.do(name, func(root *os.Root) error {
		dir, err := root.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	})
}

// writeFile writes a file so that a reader sees the old bytes or the new ones,
// also after a crash.
func (t Tree) writeFile(name string, data []byte) error {
	err := t.write(name, data, (*os.File).Sync)
	if err == nil {
		err = t.syncDir(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", t.Path(name), err)
	}
	return nil
}

// ReplaceFile writes a file without waiting for the disk, for what can be made
// again.
func (t Tree) ReplaceFile(name string, data []byte) error {
	return t.write(name, data, func(*os.File) error { return nil })
}

func (t Tree) write(name string, data []byte, sync func(*os.File) error) error {
	dir := path.Dir(name)
	return t.do(name, func(root *os.Root) error {
		if err := root.MkdirAll(dir, DirMode); err != nil {
			return err
		}
		temporary := path.Join(dir, "."+path.Base(name)+"-"+rand.Text())
		file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if err != nil {
			return err
		}
		defer root.Remove(temporary) //nolint:errcheck // gone after the rename
		_, err = file.Write(data)
		if err = errors.Join(err, sync(file), file.Close()); err != nil {
			return err
		}
		return root.Rename(temporary, name)
	})
}

// writeJSON writes value as a file; one that holds it already is left as it is.
func (t Tree) writeJSON(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", t.Path(name), err)
	}
	data = append(data, '\n')
	if old, err := t.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return t.writeFile(name, data)
}

// readJSON reads a file into value; a file that is not there leaves it as it is.
func (t Tree) readJSON(name string, value any) error {
	data, err := t.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", t.Path(name), err)
	}
	return nil
}
