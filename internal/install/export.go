package install

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ExportOptions are an export's choices.
type ExportOptions struct {
	File      string
	Split     int64 // most bytes of a part, 0 for one file
	Progress  *Progress
	FreeSpace func(dir string) (int64, error) // nil asks the file system
}

// ExportResult is what an export wrote.
type ExportResult struct {
	Files []string `json:"files"`
	Sums  string   `json:"sums,omitempty"` // of the parts, for 'sha256sum -c'
	Bytes int64    `json:"bytes"`
}

// leastSplit keeps the number of parts within three digits for most launches.
const leastSplit = 1 << 20

// Export writes a launch into one uncompressed tar, launch.json first and
// index.json last, or into parts of a size. The same launch gives the same
// bytes.
func Export(ctx context.Context, f Folder, o ExportOptions) (*ExportResult, error) {
	if err := f.exists(); err != nil {
		return nil, err
	}
	if o.Split != 0 && o.Split < leastSplit {
		return nil, errorf(CodeUsage, "--split is at least 1M")
	}
	unlock, err := f.lock(ctx, "export", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := openLaunch(f)
	if err != nil {
		return nil, err
	}
	if err := l.verify(ctx, o.Progress); err != nil {
		return nil, interrupted(ctx, err, "the export")
	}
	result, err := l.export(ctx, o)
	return result, interrupted(ctx, full(err, filepath.Dir(o.File)), "the export")
}

func (l *launch) export(ctx context.Context, o ExportOptions) (*ExportResult, error) {
	names := l.exported()
	var size int64
	for _, name := range names {
		info, err := os.Stat(l.folder.Path(name))
		if err != nil {
			return nil, wrap(err, CodeFailed, "read the launch")
		}
		size += info.Size()
	}
	if err := enough(cmp.Or(filepath.Dir(o.File), "."), o.FreeSpace, size+int64(len(names)+2)*1024); err != nil {
		return nil, err
	}
	t := o.Progress.transfer("export", len(names), size, nil)
	defer t.end()
	out := &splitter{file: o.File, split: o.Split}
	defer out.abandon()
	archive := tar.NewWriter(out)
	for _, name := range names {
		if err := l.addTo(ctx, archive, name, t); err != nil {
			return nil, err
		}
		t.done()
	}
	if err := archive.Close(); err != nil {
		return nil, wrap(err, CodeFailed, "write %s", o.File)
	}
	return out.finish()
}

// exported names the files of an export, in its order.
func (l *launch) exported() []string {
	names := []string{"launch.json", "launch.json.sig", "bundle/oci-layout"}
	if _, err := os.Stat(l.folder.Path("config.yaml")); err == nil {
		names = append(names, "config.yaml")
	}
	var blobs []string
	for digest := range l.digests() {
		blobs = append(blobs, "bundle/"+blobName(digest))
	}
	slices.Sort(blobs)
	return append(append(names, blobs...), "bundle/index.json")
}

func (l *launch) addTo(ctx context.Context, archive *tar.Writer, name string, t *transfer) error {
	file, err := os.Open(l.folder.Path(name))
	if err != nil {
		return wrap(err, CodeFailed, "read the launch")
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
		return wrap(err, CodeFailed, "export %s", name)
	}
	return nil
}

// pour copies until the end, and notes every piece.
func pour(ctx context.Context, to io.Writer, from io.Reader, t *transfer) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			if _, err := to.Write((*buffer)[:n]); err != nil {
				return err
			}
			t.add(int64(n))
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
		name, s.sum = partName(s.file, len(s.names)+1), sha256.New()
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

func (s *splitter) finish() (*ExportResult, error) {
	if s.part != nil {
		if err := s.end(); err != nil {
			return nil, wrap(err, CodeFailed, "write %s", s.file)
		}
	}
	if err := s.clear(); err != nil {
		return nil, wrap(err, CodeFailed, "replace an older export")
	}
	result := &ExportResult{Files: s.names, Bytes: s.total}
	for _, name := range s.names {
		if err := os.Rename(name+".unfinished", name); err != nil {
			return nil, wrap(err, CodeFailed, "write %s", s.file)
		}
	}
	if s.split > 0 {
		result.Sums = s.file + ".sha256"
		if err := writeFile(result.Sums, []byte(strings.Join(s.sums, "\n")+"\n")); err != nil {
			return nil, wrap(err, CodeFailed, "write the parts' hashes")
		}
	}
	s.names = nil
	return result, syncDir(filepath.Dir(s.file))
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

// ParseSize reads a size such as 700M, 4G or 4GiB.
func ParseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "kKMGTiB")
	n, err := strconv.ParseFloat(number, 64)
	factor, ok := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}[strings.Replace(strings.TrimSuffix(text[len(number):], "B"), "K", "k", 1)]
	if kibi, isKibi := map[string]float64{"ki": 1 << 10}[strings.Replace(strings.TrimSuffix(text[len(number):], "B"), "K", "k", 1)]; isKibi {
		factor, ok = kibi, true
	}
	if err != nil || !ok || n <= 0 || n*factor > 1<<60 {
		return 0, fmt.Errorf("a size is a number with a unit, such as 700M or 4G; not %q", text)
	}
	return int64(n * factor), nil
}
