package reload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// File is a file that is applied again when its bytes change. A mounted ConfigMap
// changes by a swapped symlink; reading the path covers that too.
type File struct {
	path, name string
	apply      func([]byte) error
	seen       os.FileInfo
	content    []byte // as last applied
	problem    string // why it was last refused or not read
}

// NewFile returns the file of that name in dir, not loaded yet.
func NewFile(dir, name string, apply func([]byte) error) *File {
	return &File{path: filepath.Join(dir, name), name: name, apply: apply}
}

// Name returns the file's name.
func (f *File) Name() string { return f.name }

// Digest returns the digest of the content in use.
func (f *File) Digest() string { return config.Digest(f.content) }

// Problem returns why the file as it is now is not in use, "" when it is.
func (f *File) Problem() string { return f.problem }

// Load applies the file if it changed, and reports whether it did. The error is
// that of apply or of reading, and nil when it was returned before.
func (f *File) Load() (applied bool, err error) {
	info, err := os.Stat(f.path)
	if err == nil && f.seen != nil && os.SameFile(info, f.seen) &&
		info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return false, nil
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(f.path)
	}
	if err != nil {
		f.seen = nil
		return false, f.refuse(fmt.Errorf("read %s: %w", f.name, err))
	}
	f.seen = info
	if f.content != nil && f.problem == "" && bytes.Equal(content, f.content) {
		return false, nil
	}
	if err := f.apply(content); err != nil {
		return false, f.refuse(err)
	}
	f.content, f.problem = content, ""
	return true, nil
}

// refuse notes that a file is not applied, and returns each reason once.
func (f *File) refuse(err error) error {
	if f.problem == err.Error() {
		return nil
	}
	f.problem = err.Error()
	return err
}
