package unpack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/constellation-serving/constellation/internal/retry"
)

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// blob reads one blob from offset to its end, over connections that break: it
// asks for the rest. Whoever reads it to the end asks Verify then.
type blob struct {
	ctx    context.Context
	source *source
	digest string
	size   int64
	offset int64
	body   io.ReadCloser
	sum    hash.Hash // of all before offset
}

// open returns the blob from its beginning, or from after what already was read
// and hashed.
func (s *source) open(ctx context.Context, digest string, size, offset int64, sum hash.Hash) *blob {
	return &blob{ctx: ctx, source: s, digest: digest, size: size, offset: offset, sum: sum}
}

// Read reads on, with another request where a connection broke.
func (b *blob) Read(p []byte) (n int, err error) {
	if b.offset >= b.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.size-b.offset)]
	err = retry.Do(b.ctx, b.source.policy, func() error {
		if b.body == nil {
			if b.body, err = b.source.get(b.ctx, "/blobs/"+b.digest, b.offset, b.size); err != nil {
				return err
			}
		}
		n, err = b.body.Read(p)
		if n > 0 {
			return nil // what broke is seen with the next read
		}
		b.Close()
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	b.sum.Write(p[:n])
	b.offset += int64(n)
	if err != nil {
		err = fmt.Errorf("get %s from %s: %w", b.digest, b.source.repository, err)
	}
	return n, err
}

// Verify reads what is left, and reports whether all was what its digest says.
func (b *blob) Verify() error {
	if _, err := io.Copy(io.Discard, b); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(b.sum.Sum(nil)); got != b.digest {
		return fmt.Errorf("the registry answers with %s where %s of %s was asked for", got, b.digest, b.source.repository)
	}
	return nil
}

// Close ends the request under way.
func (b *blob) Close() {
	if b.body != nil {
		_ = b.body.Close() // nothing more to read
		b.body = nil
	}
}
