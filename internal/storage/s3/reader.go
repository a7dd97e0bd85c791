package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/minio/minio-go/v7"
)

// mostBreaks is how often in a row a read may break off without a byte.
const mostBreaks = 3

// errStalled is why a read was begun again on which nothing moved.
var errStalled = errors.New("the object store sent nothing for too long")

// Reader implements driver.StorageDriver. What it returns survives connections
// that break off and stand still.
func (d *Driver) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, driver.InvalidOffsetError{Path: path, Offset: offset, DriverName: driverName}
	}
	r := &reader{ctx: ctx, driver: d, path: path, offset: offset, end: -1}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// reader is the content of an object from an offset on.
type reader struct {
	ctx    context.Context
	driver *Driver
	path   string
	offset int64
	end    int64 // the object's size; -1 before it is known
	etag   string

	body   io.ReadCloser
	cancel context.CancelCauseFunc
	timer  *time.Timer
	breaks int
}

// open asks for what is left.
func (r *reader) open() error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	var options minio.GetObjectOptions
	if r.offset > 0 {
		if err := options.SetRange(r.offset, 0); err != nil {
			cancel(nil)
			return fmt.Errorf("read %s from %d: %w", r.path, r.offset, err)
		}
	}
	if r.etag != "" {
		if err := options.SetMatchETag(r.etag); err != nil {
			cancel(nil)
			return fmt.Errorf("read %s again: %w", r.path, err)
		}
	}
	body, info, _, err := r.driver.store.GetObject(ctx, r.driver.bucket, r.driver.key(r.path), options)
	var response minio.ErrorResponse
	if errors.As(err, &response) && response.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		body, info, err = io.NopCloser(bytes.NewReader(nil)), minio.ObjectInfo{}, nil // nothing is left
	}
	if err != nil {
		cancel(nil)
		return failed(r.path, err)
	}
	r.body, r.cancel, r.etag, r.end = body, cancel, info.ETag, r.offset+info.Size
	r.timer = time.AfterFunc(r.driver.stall, func() { cancel(errStalled) })
	r.timer.Stop()
	return nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for {
		r.timer.Reset(r.driver.stall)
		n, err := r.body.Read(p)
		r.timer.Stop()
		r.offset += int64(n)
		if n > 0 {
			r.breaks = 0
			return n, nil
		}
		if err == nil {
			return 0, nil
		}
		if err == io.EOF && r.offset >= r.end {
			return 0, io.EOF
		}
		if r.breaks++; r.breaks > mostBreaks || r.ctx.Err() != nil {
			return 0, fmt.Errorf("read %s at %d of %d bytes: %w", r.path, r.offset, r.end, unexpected(err))
		}
		r.release()
		if err := r.open(); err != nil {
			r.body, r.cancel = io.NopCloser(bytes.NewReader(nil)), func(error) {}
			return 0, fmt.Errorf("read %s again at %d of %d bytes: %w", r.path, r.offset, r.end, err)
		}
	}
}

// unexpected keeps an end that came too early from looking like the end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) release() {
	_ = r.body.Close() // only read
	r.timer.Stop()
	r.cancel(nil)
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.release()
	return nil
}
