package support

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// What a bundle is bounded by, before it is packed.
const (
	MaxSize  = 64 << 20         // bytes of all parts
	MaxPart  = 1 << 20          // bytes of one
	partTime = 30 * time.Second // in which a part has to come
)

// Archive is a bundle that is being written. Whatever it is given goes through its
// Redactor.
type Archive struct {
	*Redactor
	Most    int // bytes of all parts; Create makes it MaxSize
	file    *os.File
	gzip    *gzip.Writer
	tar     *tar.Writer
	options Options
	size    int
	Missing []string // what could not be had, and why
	Parts   int
}

// Options say what a bundle is.
type Options struct {
	File     string
	Redactor *Redactor
	About    string // what the bundle says of itself, before what is missing
	Now      time.Time
}

// Create begins a bundle beside its file, which Close makes it. KindInvalid is a file
// that cannot be one.
func Create(o Options) (*Archive, error) {
	if info, err := os.Stat(o.File); err == nil && info.IsDir() {
		return nil, constellation.Errorf(constellation.KindInvalid, "%s is a folder; name a file, such as support.tar.gz", o.File)
	}
	file, err := os.CreateTemp(filepath.Dir(o.File), ".support-*") // 0600: it is for one reader
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindForbidden, "%s cannot be written (%s); name another file", o.File, reason(err))
	}
	packed := gzip.NewWriter(file)
	return &Archive{Redactor: o.Redactor, Most: MaxSize, file: file, gzip: packed, tar: tar.NewWriter(packed), options: o}, nil
}

func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Abort removes what was written so far; after Close it does nothing.
func (a *Archive) Abort() {
	if a.file != nil {
		_ = a.file.Close()
		_ = os.Remove(a.file.Name())
		a.file = nil
	}
}

// Part adds what get returns under a name, or notes why it returned nothing. What
// is too long keeps its end, where the news is. The error is the disk's, or ctx's.
func (a *Archive) Part(ctx context.Context, name string, get func(context.Context) ([]byte, error)) error {
	return a.part(ctx, name, func(ctx context.Context) (string, error) {
		data, err := get(ctx)
		return a.Text(strings.ToValidUTF8(string(data), "�")), err
	})
}

// part adds a text that is without secrets.
func (a *Archive) part(ctx context.Context, name string, get func(context.Context) (string, error)) error {
	limited, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	text, err := get(limited)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.Note(name, err)
	}
	if text == "" {
		return nil
	}
	return a.add(name, []byte(constellation.Visible(text)))
}

// Note notes that a part is missing, and why.
func (a *Archive) Note(name string, err error) {
	a.Missing = append(a.Missing, a.Text(name+": "+strings.Join(strings.Fields(err.Error()), " ")))
}

var errFull = errors.New("left out: the bundle is as large as it may be")

func (a *Archive) add(name string, data []byte) error {
	if cut := len(data) - MaxPart; cut > 0 {
		data = append(fmt.Appendf(nil, "[the first %d bytes are left out]\n", cut), data[cut:]...)
	}
	if a.size+len(data) > a.Most {
		a.Note(name, errFull)
		return nil
	}
	a.size += len(data)
	a.Parts++
	header := &tar.Header{Name: "support/" + plainName(name), Mode: 0o600, Size: int64(len(data)), ModTime: a.options.Now, Format: tar.FormatPAX}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", a.options.File, err)
	}
	if _, err := a.tar.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", a.options.File, err)
	}
	return nil
}

// plainName returns a name that stays where it is unpacked: names of a cluster's
// objects come from others.
func plainName(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		part = strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return '_'
		}, part)
		if strings.Trim(part, ".") == "" {
			part = "_"
		}
		parts[i] = part[:min(len(part), 200)]
	}
	return strings.Join(parts, "/")
}

// JSON adds a value, as an object of a cluster is added: without secrets.
func (a *Archive) JSON(ctx context.Context, name string, get func(context.Context) (any, error)) error {
	return a.part(ctx, name, func(ctx context.Context) (string, error) {
		value, err := get(ctx)
		if value == nil {
			return "", err
		}
		data, encodeErr := json.Marshal(value)
		var decoded any
		if encodeErr == nil {
			encodeErr = json.Unmarshal(data, &decoded)
		}
		if encodeErr != nil {
			return "", encodeErr
		}
		if object, ok := decoded.(map[string]any); ok {
			decoded = a.Object(object)
		} else {
			decoded = a.value(decoded)
		}
		data, encodeErr = json.MarshalIndent(decoded, "", "  ")
		return string(data) + "\n", errors.Join(err, encodeErr)
	})
}

// Close adds what the bundle says of itself, and puts it in its place.
func (a *Archive) Close() error {
	text := a.options.About + "Nothing is missing.\n"
	if len(a.Missing) > 0 {
		text = a.options.About + "Missing:\n  " + strings.Join(a.Missing, "\n  ") + "\n"
	}
	a.size = 0 // there is room for this
	err := a.add("README.txt", []byte(text))
	if err == nil {
		err = errors.Join(a.tar.Close(), a.gzip.Close(), a.file.Sync(), a.file.Close())
	}
	if err == nil {
		err = os.Rename(a.file.Name(), a.options.File)
	}
	if err != nil {
		return constellation.Wrap(err, constellation.KindUnavailable, "%s cannot be written (%s); name a file on another disk", a.options.File, reason(err))
	}
	a.file = nil
	return nil
}
