package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// partial is the folder of what is being written.
const partial = ".partial"

// folder keeps backups as files that nobody but their owner reads. It follows no
// symbolic link.
type folder struct {
	dir  string
	root *os.Root
}

func newFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, storage.Explain(storage.FileLocation(dir), "made", err)
	}
	return openFolder(dir)
}

func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, storage.Explain(storage.FileLocation(dir), "opened", err)
	}
	return &folder{dir, root}, nil
}

func notThere(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return constellation.Wrap(err, constellation.KindNotFound, "there is no backup at %s", name)
	}
	return storage.Explain(storage.FileLocation(name), "read from", err)
}

func (f *folder) explain(done string, err error) error {
	return storage.Explain(storage.FileLocation(f.dir), done, err)
}

// Close implements source.
func (f *folder) Close() error { return f.root.Close() }

// List implements source.
func (f *folder) List(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := fs.WalkDir(f.root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == partial || name == "lost+found"):
			return fs.SkipDir
		case entry.IsDir():
			return ctx.Err()
		case !entry.Type().IsRegular():
			sizes[name] = -1
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err == nil {
			sizes[name] = info.Size()
		}
		return err
	})
	return sizes, f.explain("read from", err)
}

// Open implements source.
func (f *folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	info, err := f.root.Lstat(filepath.FromSlash(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, constellation.Wrap(err, constellation.KindNotFound, "the backup's file %s is missing", name)
	}
	if err != nil {
		return nil, f.explain("read from", err)
	}
	if !info.Mode().IsRegular() {
		return nil, constellation.Errorf(constellation.KindInvalid, "the backup's file %s is no regular file; a backup has no links", name)
	}
	file, err := f.root.Open(filepath.FromSlash(name))
	return file, f.explain("read from", err)
}

// Begin implements place.
func (f *folder) Begin(context.Context) error {
	if err := f.root.RemoveAll(partial); err != nil {
		return f.explain("written to", err)
	}
	return f.explain("written to", f.root.Mkdir(partial, 0o700))
}

// Put implements place.
func (f *folder) Put(_ context.Context, name string, _ int64, r io.Reader) error {
	temporary := path.Join(partial, rand.Text())
	file, err := f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return f.explain("written to", err)
	}
	if _, err = io.Copy(writer{file, f}, r); err == nil {
		err = f.explain("written to", file.Sync())
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = f.explain("written to", f.publish(temporary, name))
	}
	if err != nil {
		return errors.Join(err, f.root.Remove(temporary))
	}
	return nil
}

// writer tells a failure of the folder from one of who is read.
type writer struct {
	file *os.File
	f    *folder
}

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, w.f.explain("written to", err)
}

// publish moves a file to its name for good.
func (f *folder) publish(temporary, name string) error {
	dir := path.Dir(name)
	if err := f.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := f.root.Rename(temporary, name); err != nil {
		return err
	}
	return f.sync(dir)
}

func (f *folder) sync(dir string) error {
	opened, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

// Remove implements place.
func (f *folder) Remove(_ context.Context, names []string) error {
	for _, name := range names {
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.explain("written to", err)
		}
		for dir := path.Dir(name); dir != "." && f.root.Remove(dir) == nil; dir = path.Dir(dir) { // as far as it is empty
		}
	}
	return nil
}

// Finish implements place.
func (f *folder) Finish(context.Context) error {
	return f.explain("written to", f.root.RemoveAll(partial))
}
