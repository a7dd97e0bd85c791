package backup

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// tarSource is a tar that is read, from wherever it came: every entry of it has the
// name of a backup's file, and is a file.
type tarSource struct {
	path string
	file *os.File
	at   map[string]section
}

type section struct{ offset, size int64 }

func openTar(ctx context.Context, path string) (*tarSource, error) {
	file, err := os.Open(path) //nolint:gosec // what the operator named
	if err != nil {
		return nil, notThere(path, err)
	}
	t := &tarSource{path: path, file: file, at: map[string]section{}}
	if err := t.index(ctx); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return t, nil
}

// index notes where each file is.
func (t *tarSource) index(ctx context.Context) error {
	info, err := t.file.Stat()
	if err != nil {
		return storage.Explain(storage.FileLocation(t.path), "read from", err)
	}
	for r := tar.NewReader(t.file); ctx.Err() == nil; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return constellation.Wrap(err, constellation.KindInvalid, "%s is no whole tar: it was cut, or is damaged", t.path)
		}
		offset, err := t.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return storage.Explain(storage.FileLocation(t.path), "read from", err)
		}
		_, twice := t.at[header.Name]
		switch {
		case header.Typeflag != tar.TypeReg:
			return constellation.Errorf(constellation.KindInvalid, "%s is no backup: its entry %q is no regular file", t.path, shorten(header.Name))
		case !namePattern.MatchString(header.Name):
			return constellation.Errorf(constellation.KindInvalid, "%s is no backup: it has an entry %q, which no backup has", t.path, shorten(header.Name))
		case twice:
			return constellation.Errorf(constellation.KindInvalid, "%s is no backup: it has the entry %s twice", t.path, header.Name)
		case len(header.PAXRecords) > 0 && header.PAXRecords["GNU.sparse.major"] != "":
			return constellation.Errorf(constellation.KindInvalid, "%s is no backup: its entry %s is sparse", t.path, header.Name)
		case header.Size < 0 || header.Size > info.Size()-offset:
			return constellation.Errorf(constellation.KindInvalid, "%s is no whole tar: it ends within %s", t.path, header.Name)
		}
		t.at[header.Name] = section{offset, header.Size}
	}
	return ctx.Err()
}

// shorten makes what a stranger wrote fit for a message.
func shorten(text string) string {
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}

// Close implements source.
func (t *tarSource) Close() error { return t.file.Close() }

// List implements source.
func (t *tarSource) List(context.Context) (map[string]int64, error) {
	sizes := make(map[string]int64, len(t.at))
	for name, s := range t.at {
		sizes[name] = s.size
	}
	return sizes, nil
}

// Open implements source.
func (t *tarSource) Open(_ context.Context, name string) (io.ReadCloser, error) {
	s, ok := t.at[name]
	if !ok {
		return nil, constellation.Errorf(constellation.KindNotFound, "the backup's file %s is missing", name)
	}
	return io.NopCloser(io.NewSectionReader(t.file, s.offset, s.size)), nil
}
