package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/minio/minio-go/v7"
)

// An upload that was closed before its end has two objects beside the path that
// it will have. No path has a '~' in it, so that they hide nothing.
const (
	// resumeSuffix is of what another process goes on from: which parts the store
	// has, and the bytes that are less than a part.
	resumeSuffix = "~upload"
	// partsSuffix is of the multipart upload's ID alone. It is there before there is an
	// upload, empty then, and goes when none is left, so that whoever removes the path
	// finds the parts, also those of a process that was killed at any moment.
	partsSuffix = "~parts"
)

// closeTimeout is how long an upload whose client is gone may take to be put
// down.
const closeTimeout = 30 * time.Second

var errClosed = errors.New("the upload is closed already")

// resume is the first line of an object with resumeSuffix; the bytes that no
// part has yet follow.
type resume struct {
	ID       string   `json:"id,omitempty"`
	PartSize int      `json:"part_size"`
	ETags    []string `json:"etags,omitempty"` // of the parts, in order
}

// writer is an upload. Small content is put as it is; more goes up in parts.
type writer struct {
	ctx    context.Context
	driver *Driver
	path   string
	state  resume
	buffer *bytes.Buffer // less than a part
	size   int64
	kept   bool // there is a resume object
	closed bool
	done   bool // committed or cancelled
}

// Writer implements driver.StorageDriver. Content is there once it is
// committed, whole or not at all.
func (d *Driver) Writer(ctx context.Context, path string, appendTo bool) (driver.FileWriter, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	w := &writer{ctx: ctx, driver: d, path: path, state: resume{PartSize: d.partSize}}
	w.buffer = d.buffers.Get().(*bytes.Buffer)
	w.buffer.Reset()
	if !appendTo {
		return w, nil
	}
	if err := w.restore(); err != nil {
		w.drop()
		return nil, err
	}
	return w, nil
}

// restore goes on from where an upload was closed.
func (w *writer) restore() error {
	data, err := w.driver.object(w.ctx, w.driver.key(w.path)+resumeSuffix)
	if isMissing(err) {
		return w.overwrite()
	}
	if err != nil {
		return fmt.Errorf("go on with the upload of %s: %w", w.path, err)
	}
	head, tail, _ := bytes.Cut(data, []byte("\n"))
	if err := json.Unmarshal(head, &w.state); err != nil || w.state.PartSize <= 0 {
		return fmt.Errorf("go on with the upload of %s: its state is damaged", w.path)
	}
	w.kept = true
	w.buffer.Write(tail)
	w.size = int64(len(w.state.ETags))*int64(w.state.PartSize) + int64(len(tail))
	return nil
}

// overwrite begins anew on content that is there, which must be empty.
func (w *writer) overwrite() error {
	info, err := w.driver.Stat(w.ctx, w.path)
	if err != nil {
		return err
	}
	if info.Size() > 0 || info.IsDir() {
		return fmt.Errorf("append to %s: it is complete", w.path)
	}
	return nil
}

// object reads a small object whole.
func (d *Driver) object(ctx context.Context, key string) ([]byte, error) {
	body, _, _, err := d.store.GetObject(ctx, d.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.closed || w.done {
		return 0, errClosed
	}
	written := 0
	for len(p) > 0 {
		n := min(len(p), w.state.PartSize-w.buffer.Len())
		w.buffer.Write(p[:n])
		p, written, w.size = p[n:], written+n, w.size+int64(n)
		if w.buffer.Len() == w.state.PartSize {
			if err := w.sendPart(w.ctx); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// sendPart sends what is in the buffer as the next part.
func (w *writer) sendPart(ctx context.Context) error {
	d, key := w.driver, w.driver.key(w.path)
	if w.state.ID == "" {
		if err := d.putObject(ctx, key+partsSuffix, nil); err != nil {
			return fmt.Errorf("note the upload of %s: %w", w.path, err)
		}
		id, err := d.store.NewMultipartUpload(ctx, d.bucket, key, d.put)
		if err != nil {
			return fmt.Errorf("begin the upload of %s: %w", w.path, err)
		}
		w.state.ID = id
		if err := d.putObject(ctx, key+partsSuffix, []byte(id)); err != nil {
			return fmt.Errorf("note the upload of %s: %w", w.path, err)
		}
	}
	number := len(w.state.ETags) + 1
	etag, err := d.putPart(ctx, key, w.state.ID, number, w.buffer.Bytes())
	if err != nil {
		return fmt.Errorf("upload part %d of %s: %w", number, w.path, err)
	}
	w.state.ETags = append(w.state.ETags, etag)
	w.buffer.Reset()
	return nil
}

func (d *Driver) putPart(ctx context.Context, key, id string, number int, content []byte) (string, error) {
	part, err := d.store.PutObjectPart(ctx, d.bucket, key, id, number, bytes.NewReader(content), int64(len(content)),
		minio.PutObjectPartOptions{Sha256Hex: hash(content), DisableContentSha256: true})
	return part.ETag, err
}

// Size implements driver.FileWriter.
func (w *writer) Size() int64 { return w.size }

// Close implements io.Closer. What is not committed is kept to go on with, also
// when the client is gone.
func (w *writer) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	defer w.drop()
	if w.done {
		return nil
	}
	head, err := json.Marshal(w.state)
	if err != nil {
		return fmt.Errorf("keep the upload of %s: %w", w.path, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), closeTimeout)
	defer cancel()
	if err := w.driver.putObject(ctx, w.driver.key(w.path)+resumeSuffix, append(append(head, '\n'), w.buffer.Bytes()...)); err != nil {
		return fmt.Errorf("keep the upload of %s: %w", w.path, err)
	}
	return nil
}

func (w *writer) drop() {
	w.driver.buffers.Put(w.buffer)
	w.buffer = nil // nobody writes to it after Close
}

// Cancel implements driver.FileWriter.
func (w *writer) Cancel(ctx context.Context) error {
	if w.closed || w.done {
		return errClosed
	}
	w.done = true
	noted := w.state.ID != ""
	if noted {
		key := w.driver.key(w.path)
		if err := w.driver.abort(ctx, key, w.state.ID); err != nil {
			return fmt.Errorf("drop the upload of %s: %w", w.path, err)
		}
		others, err := w.driver.uploads(ctx, key)
		noted = err == nil && len(others) == 0 // else the note is of those
	}
	return w.forget(ctx, noted)
}

// Commit implements driver.FileWriter.
func (w *writer) Commit(ctx context.Context) error {
	if w.closed || w.done {
		return errClosed
	}
	if err := w.finish(ctx); err != nil {
		return fmt.Errorf("complete the upload of %s: %w", w.path, err)
	}
	w.done = true
	noted := w.state.ID != ""
	if noted { // uploads of processes that were killed, or are slower, are of no use any more
		noted = w.driver.dropOthers(ctx, w.driver.key(w.path)) == nil // else the note stays for who looks later
	}
	return w.forget(ctx, noted)
}

func (w *writer) finish(ctx context.Context) error {
	d, key := w.driver, w.driver.key(w.path)
	if w.state.ID == "" {
		return d.putObject(ctx, key, w.buffer.Bytes())
	}
	if w.buffer.Len() > 0 {
		if err := w.sendPart(ctx); err != nil {
			return err
		}
	}
	parts := make([]minio.CompletePart, len(w.state.ETags))
	for i, etag := range w.state.ETags {
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: etag}
	}
	_, err := d.store.CompleteMultipartUpload(ctx, d.bucket, key, w.state.ID, parts, minio.PutObjectOptions{})
	return err
}

// forget removes the objects beside the path; that of the parts if there is one and it
// is of no more use.
func (w *writer) forget(ctx context.Context, noted bool) error {
	suffixes := map[string]bool{resumeSuffix: w.kept, partsSuffix: noted}
	for suffix, there := range suffixes {
		if !there {
			continue
		}
		if err := w.driver.remove(ctx, w.driver.key(w.path)+suffix); err != nil {
			return fmt.Errorf("forget the upload of %s: %w", w.path, err)
		}
	}
	return nil
}

func (d *Driver) remove(ctx context.Context, key string) error {
	return d.store.RemoveObject(ctx, d.bucket, key, minio.RemoveObjectOptions{})
}

// abort drops the parts of an upload; one that has ended has none.
func (d *Driver) abort(ctx context.Context, key, id string) error {
	err := d.store.AbortMultipartUpload(ctx, d.bucket, key, id)
	var response minio.ErrorResponse
	if errors.As(err, &response) && response.Code == minio.NoSuchUpload {
		return nil
	}
	return err
}
