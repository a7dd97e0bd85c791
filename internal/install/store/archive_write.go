package store

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// written is what an export consists of.
type written struct {
	Files []string
	Sums  string // file of the parts' hashes, for 'sha256sum -c'; "" without parts
	Bytes int64
}

// WriteArchive writes the launch into one uncompressed tar, launch.json first and
// index.json last, or with split into parts of so many bytes. The same launch
// gives the same bytes. free asks how much room a folder has; nil asks the file
// system.
func (l *Launch) WriteArchive(ctx context.Context, file string, split int64, free func(dir string) (int64, error), report *progress.Reporter) (*written, error) {
	names := l.exported()
	var size int64
	for _, name := range names {
		info, err := l.Folder.Stat(name)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "read the launch")
		}
		size += info.Size()
	}
	if err := enough(cmp.Or(filepath.Dir(file), "."), free, size+int64(len(names)+2)*1024); err != nil {
		return nil, err
	}
	t := report.Transfer("export", len(names), size, nil)
	defer t.End()
	out := &splitter{file: file, split: split}
	defer out.abandon()
	archive := tar.NewWriter(out)
	for _, name := range names {
		if err := l.addTo(ctx, archive, name, t); err != nil {
			return nil, err
		}
		t.Done()
	}
	if err := archive.Close(); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write %s", file)
	}
	return out.finish()
}

// exported names the files of an export, in its order.
func (l *Launch) exported() []string {
	names := []string{"launch.json", "launch.json.sig", "bundle/oci-layout"}
	if _, err := l.Folder.Stat("config.yaml"); err == nil {
		names = append(names, "config.yaml")
	}
	var blobs []string
	for digest := range l.digests() {
		blobs = append(blobs, inBundle(digest))
	}
	slices.Sort(blobs)
	return append(append(names, blobs...), "bundle/index.json")
}

func (l *Launch) addTo(ctx context.Context, archive *tar.Writer, name string, t *progress.Transfer) error {
	file, err := l.Folder.openFile(name, os.O_RDONLY)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read the launch")
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err == nil {
		err = archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: int64(fileMode), Size: info.Size(), ModTime: time.Unix(0, 0), Format: tar.FormatPAX})
	}
	if err == nil {
		err = pour(ctx, archive, file, t)
	}
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "export %s", name)
	}
	return nil
}

// pour copies until the end, and notes every piece.
func pour(ctx context.Context, to io.Writer, from io.Reader, t *progress.Transfer) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
			t.Add(int64(n))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// splitter writes a file, or its parts with their hashes. What is not whole
// has another name.
type splitter struct {
	file  string
	split int64

	part   *os.File
	sum    hash.Hash
	filled int64
	total  int64
	names  []string
	sums   []string
}

// Write goes on to the next part when one is full.
func (s *splitter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if s.part == nil {
			if err := s.next(); err != nil {
				return n, err
			}
		}
		piece := p
		if s.split > 0 {
			piece = p[:min(int64(len(p)), s.split-s.filled)]
		}
		written, err := s.part.Write(piece)
		if s.sum != nil {
			s.sum.Write(piece[:written])
		}
		n, s.filled, s.total, p = n+written, s.filled+int64(written), s.total+int64(written), p[written:]
		if err != nil {
			return n, err
		}
		if s.split > 0 && s.filled == s.split {
			if err := s.end(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (s *splitter) next() (err error) {
	name := s.file
	if s.split > 0 {
		name, s.sum = exportPart(s.file, len(s.names)+1), sha256.New()
	}
	s.names, s.filled = append(s.names, name), 0
	s.part, err = os.OpenFile(name+".unfinished", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	return err
}

// end makes a part durable; only the last one gives them all their names.
func (s *splitter) end() error {
	err := errors.Join(s.part.Sync(), s.part.Close())
	if s.sum != nil {
		s.sums = append(s.sums, hex.EncodeToString(s.sum.Sum(nil))+"  "+filepath.Base(s.names[len(s.names)-1]))
	}
	s.part = nil
	return err
}

func (s *splitter) finish() (*written, error) {
	if s.part != nil {
		if err := s.end(); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write %s", s.file)
		}
	}
	if err := s.clear(); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "replace an older export")
	}
	result := &written{Files: s.names, Bytes: s.total}
	for _, name := range s.names {
		if err := os.Rename(name+".unfinished", name); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write %s", s.file)
		}
	}
	dir := NewTree(filepath.Dir(s.file))
	if s.split > 0 {
		result.Sums = s.file + ".sha256"
		if err := dir.writeFile(filepath.Base(result.Sums), []byte(strings.Join(s.sums, "\n")+"\n")); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the parts' hashes")
		}
	}
	s.names = nil
	return result, dir.syncDir(".")
}

// clear removes what an export of the same name left, which could be taken
// for a part of this one.
func (s *splitter) clear() error {
	old, err := filepath.Glob(s.file + ".[0-9][0-9][0-9]")
	if err != nil {
		return err
	}
	for _, name := range append(old, s.file, s.file+".sha256") {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// abandon removes what was begun and is not whole.
func (s *splitter) abandon() {
	if s.part != nil {
		_ = s.part.Close()
	}
	for _, name := range s.names {
		_ = os.Remove(name + ".unfinished")
	}
}
