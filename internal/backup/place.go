package backup

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// Forms is how a target is written, for help and errors.
const Forms = "a folder, a file whose name ends in .tar, - for a tar on standard output, or s3://BUCKET[/PREFIX][?region=R&endpoint=E]"

// Target is where backups are, as somebody named it.
type Target struct {
	location storage.Location // of a folder or a bucket
	tar      string           // the path of a tar
	stream   bool             // a tar that is written to standard output
}

// ParseTarget reads a target. Its errors never repeat what might be a secret.
func ParseTarget(text string) (Target, error) {
	switch {
	case text == "":
		return Target{}, constellation.Errorf(constellation.KindInvalid, "the target of backups is empty: give %s", Forms)
	case text == "-":
		return Target{stream: true}, nil
	case strings.Contains(text, "://"):
		l, err := storage.ParseLocation(text)
		if err != nil {
			return Target{}, err
		}
		if strings.HasSuffix(l.Dir(), ".tar") {
			return Target{tar: l.Dir()}, nil
		}
		return Target{location: l}, nil
	}
	path, err := filepath.Abs(text)
	if err != nil {
		return Target{}, constellation.Wrap(err, constellation.KindInvalid, "the target of backups cannot be found from here; give its whole path")
	}
	if strings.HasSuffix(path, ".tar") {
		return Target{tar: path}, nil
	}
	return Target{location: storage.FileLocation(path)}, nil
}

// String is the target as it may be shown: it has no secrets.
func (t Target) String() string {
	switch {
	case t.stream:
		return "standard output"
	case t.tar != "":
		return t.tar
	case t.location.Dir() != "":
		return t.location.Dir()
	}
	return t.location.String()
}

// Single reports whether it holds one point, and is written anew for each.
func (t Target) Single() bool { return t.stream || t.tar != "" }

// Stream reports whether it goes to standard output.
func (t Target) Stream() bool { return t.stream }

// overlaps reports whether backups in the target would be among a registry's content.
func (t Target) overlaps(store storage.Location) bool {
	mine, other := t.location.Dir(), store.Dir()
	if t.tar != "" {
		mine = filepath.Dir(t.tar)
	}
	if t.stream || (mine == "") != (other == "") {
		return false
	}
	if mine == "" {
		return t.location == store
	}
	return within(mine, other) || t.tar == "" && within(other, mine)
}

func within(path, dir string) bool {
	rest, err := filepath.Rel(dir, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}

// source is what a backup is read from.
type source interface {
	// List returns the size of every file, by its name.
	List(ctx context.Context) (map[string]int64, error)
	// Open opens a file; KindNotFound if it is not there.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	Close() error
}

// place is what a backup is written to as well.
type place interface {
	source
	// Begin makes it ready and removes what others left half-written.
	Begin(ctx context.Context) error
	// Put stores a file, whole or not at all; an error of r is returned as it is.
	Put(ctx context.Context, name string, size int64, r io.Reader) error
	Remove(ctx context.Context, names []string) error
	// Finish is called once everything is there.
	Finish(ctx context.Context) error
}

// openSource opens a target to read it.
func openSource(ctx context.Context, t Target) (source, error) {
	switch {
	case t.stream:
		return nil, constellation.Errorf(constellation.KindInvalid, "a backup is read back and forth, so not from standard input: write it to a file first, whose name ends in .tar")
	case t.tar != "":
		return openTar(ctx, t.tar)
	case t.location.Dir() != "":
		if _, err := os.Stat(t.location.Dir()); err != nil {
			return nil, notThere(t.location.Dir(), err)
		}
		return openFolder(t.location.Dir())
	}
	return openBucket(t.location)
}

// openPlace opens a target to write to it. out is where a stream goes.
func openPlace(t Target, out io.Writer) (place, error) {
	switch {
	case t.Single():
		return newTar(t.tar, out)
	case t.location.Dir() != "":
		return newFolder(t.location.Dir())
	}
	return openBucket(t.location)
}

// namePattern is the name of a file of a backup.
var namePattern = regexp.MustCompile(`^(backup\.json|points/[0-9]{8}T[0-9]{6}\.[0-9]{3}Z/(manifest\.json|end\.json|secret\.key|tables/[a-z][a-z0-9_]{0,62}\.copy\.gz)|blobs/sha256/[0-9a-f]{2}/[0-9a-f]{64})$`)

const markName = "backup.json"

func blobName(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return "blobs/sha256/" + hex[:2] + "/" + hex
}

// blobOf returns the digest of a blob's file, "" for any other.
func blobOf(name string) string {
	if rest, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && len(rest) == 3+64 {
		return "sha256:" + rest[3:]
	}
	return ""
}

func pointName(point, file string) string { return "points/" + point + "/" + file }
