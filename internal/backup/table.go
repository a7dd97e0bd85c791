package backup

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
)

// tableReader reads a table's rows, and says at the end when its file was not what
// the manifest says: it may have changed since it was looked at.
type tableReader struct {
	file io.ReadCloser
	raw  io.Reader
	zip  *gzip.Reader
	hash hash.Hash
	want string
	name string
	m    *meter
}

func openTable(ctx context.Context, s source, name, want string, m *meter) (*tableReader, error) {
	file, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	t := &tableReader{file: file, hash: sha256.New(), want: want, name: name, m: m}
	t.raw = io.TeeReader(file, t.hash)
	if t.zip, err = gzip.NewReader(t.raw); err != nil {
		return nil, errors.Join(unreadable(name, err), file.Close())
	}
	return t, nil
}

// Read implements io.Reader.
func (t *tableReader) Read(p []byte) (int, error) {
	n, err := t.zip.Read(p)
	t.m.add(n)
	if !errors.Is(err, io.EOF) {
		if err != nil {
			err = unreadable(t.name, err)
		}
		return n, err
	}
	if _, err := io.Copy(io.Discard, t.raw); err != nil {
		return n, unreadable(t.name, err)
	}
	if hex.EncodeToString(t.hash.Sum(nil)) != t.want {
		return n, damaged(t.name)
	}
	return n, io.EOF
}

// Close implements io.Closer.
func (t *tableReader) Close() error { return t.file.Close() }
