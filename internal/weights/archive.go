package weights

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Bounds of what weights unpack to.
const (
	MaxFiles = 100_000 // files, folders and links
	maxDepth = 64
	maxName  = 255
	maxPath  = 1024
)

// Budget is what may still be unpacked; whoever reads an archive takes from it.
type Budget struct {
	Files int
	Bytes int64
}

// Budget errors: what an archive holds beyond its Budget.
var (
	ErrTooManyFiles = errors.New("the weights have more files than they may")
	ErrTooManyBytes = errors.New("the weights unpack to more bytes than they may")
)

// Take takes one file of size bytes.
func (b *Budget) Take(size int64) error {
	if b.Files--; b.Files < 0 {
		return ErrTooManyFiles
	}
	if size < 0 || size > b.Bytes {
		return ErrTooManyBytes
	}
	b.Bytes -= size
	return nil
}

// Entry is one file, folder or symbolic link of an archive. Path is below the
// folder that is unpacked into, in its cleaned form.
type Entry struct {
	Path       string
	Folder     bool
	Link       string // the target of a symbolic link
	Size       int64
	Executable bool
}

// Archive reads a layer that is an archive, compressed or not, and calls visit
// with each entry and its content. It is an error what weights may not hold, and
// what is beyond the budget. content is a seeker to skip over what is not read.
func Archive(content io.Reader, budget *Budget, visit func(Entry, io.Reader) error) error {
	plain, done, err := decompress(content)
	if err != nil {
		return err
	}
	defer done()
	links := map[string]bool{}
	archive := tar.NewReader(plain)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		entry, err := read(header, links)
		if err != nil {
			return err
		}
		if entry.Path == "." {
			continue
		}
		if err := budget.Take(entry.Size); err != nil {
			return fmt.Errorf("%s: %w", quote(entry.Path), err)
		}
		if err := visit(entry, archive); err != nil {
			return err
		}
	}
}

// decompress returns the archive in content, which says by its first bytes how
// it is compressed. One that is not can be read by seeking.
func decompress(content io.Reader) (io.Reader, func(), error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("read the archive: %w", err)
	}
	head = head[:n]
	whole := func() io.Reader { return bufio.NewReaderSize(io.MultiReader(bytes.NewReader(head), content), 1<<16) }
	none := func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(whole())
		if err != nil {
			return nil, nil, fmt.Errorf("read the archive: %w", err)
		}
		return r, none, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(whole(), zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, fmt.Errorf("read the archive: %w", err)
		}
		return r, r.Close, nil
	}
	if seeker, ok := content.(io.Seeker); ok {
		if _, err := seeker.Seek(-int64(n), io.SeekCurrent); err == nil {
			return content, none, nil
		}
	}
	return whole(), none, nil
}

// read holds an archive's header to what weights may hold. links are the
// symbolic links so far: nothing lies below one.
func read(header *tar.Header, links map[string]bool) (Entry, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "./"), "/")
	if name == "" || name == "." {
		return Entry{Path: ".", Folder: true}, nil
	}
	if err := checkPath(name); err != nil {
		return Entry{}, err
	}
	if strings.HasPrefix(path.Base(name), ".wh.") {
		return Entry{}, fmt.Errorf("%s removes a file of a layer below: weights have every file once", quote(name))
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if links[dir] {
			return Entry{}, fmt.Errorf("%s lies below %s, which is a symbolic link", quote(name), quote(dir))
		}
	}
	delete(links, name)
	entry := Entry{Path: name}
	switch header.Typeflag {
	case tar.TypeDir:
		entry.Folder = true
	case tar.TypeReg, tar.TypeGNUSparse:
		entry.Size, entry.Executable = header.Size, header.Mode&0o100 != 0
	case tar.TypeSymlink:
		if err := checkLink(name, header.Linkname); err != nil {
			return Entry{}, err
		}
		entry.Link, links[name] = header.Linkname, true
	case tar.TypeLink:
		return Entry{}, fmt.Errorf("%s is a hard link: weights have files, folders and symbolic links", quote(name))
	default:
		return Entry{}, fmt.Errorf("%s is a device, pipe or something else that is no file: weights have files, folders and symbolic links", quote(name))
	}
	return entry, nil
}

// checkPath refuses a path that is not of a file below a folder.
func checkPath(name string) error {
	segments := strings.Split(name, "/")
	switch {
	case len(name) > maxPath || len(segments) > maxDepth:
		return fmt.Errorf("the path %s has more than %d bytes or %d segments", quote(name), maxPath, maxDepth)
	case strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' || r == 0xfffd }):
		return fmt.Errorf("the path %s has characters that no path here has", quote(name))
	}
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || len(s) > maxName {
			return fmt.Errorf("the path %s leads elsewhere or is not in its shortest form", quote(name))
		}
	}
	return nil
}

// checkLink refuses a symbolic link that may lead out of the folder: a target
// goes up first, and not further than the folder, and only then down. Where a
// link follows a name, ".." after it would not be what it seems.
func checkLink(name, target string) error {
	if target == "" || len(target) > maxPath || strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\\x00") {
		return fmt.Errorf("%s is a symbolic link to %s, which is no path below the weights' own folder", quote(name), quote(target))
	}
	up, down := strings.Count(name, "/"), false
	for s := range strings.SplitSeq(target, "/") {
		switch {
		case s == "..":
			if up--; up < 0 || down {
				return fmt.Errorf("%s is a symbolic link to %s, which leads out of the weights' own folder", quote(name), quote(target))
			}
		case s != "" && s != ".":
			down = true
		}
	}
	return nil
}

// quote returns what others wrote, quoted and not too long.
func quote(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
