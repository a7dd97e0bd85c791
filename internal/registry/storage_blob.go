package registry

import (
	"context"
	"fmt"
	"io"
)

// blobReader is a blob of a store that keeps no files. It asks the store for
// nothing before it is read.
type blobReader struct {
	ctx     context.Context
	storage *Storage
	path    string
	size    int64
	offset  int64
	open    io.ReadCloser // at offset; nil before it is read
}

// Read implements io.Reader.
func (b *blobReader) Read(p []byte) (int, error) {
	if b.offset >= b.size {
		return 0, io.EOF
	}
	if b.open == nil {
		r, err := b.storage.driver.Reader(b.ctx, b.path, b.offset)
		if err != nil {
			return 0, b.storage.failed(fmt.Errorf("open %s: %w", b.path, err))
		}
		b.open = r
	}
	n, err := b.open.Read(p)
	b.offset += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (b *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.offset
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek in %s to %d", b.path, offset)
	}
	if offset != b.offset {
		_ = b.Close() // only read
		b.offset = offset
	}
	return offset, nil
}

// Close implements io.Closer.
func (b *blobReader) Close() error {
	if b.open == nil {
		return nil
	}
	err := b.open.Close()
	b.open = nil
	return err
}
