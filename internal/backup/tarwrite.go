package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// tarPlace is a tar that is written, one file after the other. It appears under its
// name once it is whole.
type tarPlace struct {
	path string // "" for a stream
	out  io.Writer
	file *os.File
	tar  *tar.Writer
}

func newTar(path string, out io.Writer) (*tarPlace, error) {
	t := &tarPlace{path: path, out: out}
	if path == "" {
		return t, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, constellation.Errorf(constellation.KindConflict, "%s exists already; give a new name, or a folder, which holds many backups and each image once", path)
	}
	return t, nil
}

func (t *tarPlace) explain(err error) error {
	if t.path == "" {
		if err == nil || constellation.KindOf(err) != constellation.KindInternal {
			return err
		}
		return constellation.Wrap(err, constellation.KindUnavailable, "standard output does not take the backup: %v", err)
	}
	return storage.Explain(storage.FileLocation(t.path), "written to", err)
}

func (t *tarPlace) temporary() string { return t.path + partial }

// List implements source: there is nothing yet.
func (t *tarPlace) List(context.Context) (map[string]int64, error) { return nil, nil }

// Open implements source.
func (t *tarPlace) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return nil, constellation.Errorf(constellation.KindNotFound, "the backup's file %s is missing", name)
}

// Begin implements place.
func (t *tarPlace) Begin(context.Context) (err error) {
	if t.path != "" {
		if t.file, err = os.OpenFile(t.temporary(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return t.explain(err)
		}
		if err := t.file.Chmod(0o600); err != nil {
			return t.explain(err)
		}
		t.out = t.file
	}
	t.tar = tar.NewWriter(t.out)
	return nil
}

// Put implements place. What r ends too early of is made up with zeros, so that the
// files behind it stay whole.
func (t *tarPlace) Put(_ context.Context, name string, size int64, r io.Reader) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: time.Now().Truncate(time.Second), Format: tar.FormatPAX}
	if err := t.tar.WriteHeader(header); err != nil {
		return t.explain(err)
	}
	n, err := io.Copy(tarWriter{t}, io.LimitReader(r, size))
	if err == nil {
		_, err = r.Read(make([]byte, 1)) // what it says at its end
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if errors.Is(err, storage.ErrDamaged) {
		_, padded := io.CopyN(tarWriter{t}, zeros{}, size-n)
		return errors.Join(err, padded)
	}
	if err == nil && n != size {
		err = fmt.Errorf("write %s: it has %d bytes, not %d", name, n, size)
	}
	return err
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// tarWriter tells a failure of the tar from one of who is read.
type tarWriter struct{ t *tarPlace }

// Write implements io.Writer.
func (w tarWriter) Write(p []byte) (int, error) {
	n, err := w.t.tar.Write(p)
	return n, w.t.explain(err)
}

// Remove implements place.
func (t *tarPlace) Remove(context.Context, []string) error { return nil }

// Finish implements place.
func (t *tarPlace) Finish(context.Context) error {
	if err := t.tar.Close(); err != nil || t.path == "" {
		return t.explain(err)
	}
	err := errors.Join(t.file.Sync(), t.file.Close())
	t.file = nil
	if err == nil {
		err = os.Link(t.temporary(), t.path) // never over another
	}
	if err == nil {
		err = os.Remove(t.temporary())
	}
	if err == nil {
		err = syncDir(filepath.Dir(t.path))
	}
	return t.explain(err)
}

func syncDir(dir string) error {
	opened, err := os.Open(dir) //nolint:gosec // where the operator wants the backup
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// Close implements source.
func (t *tarPlace) Close() error {
	if t.file == nil {
		return nil
	}
	return errors.Join(t.file.Close(), os.Remove(t.temporary()))
}
