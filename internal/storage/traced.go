package storage

import (
	"context"
	"io"
	"os"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/tracing"
)

// traced makes a span of what is asked of a store below one, with how many bytes
// moved. It tells no addresses: those of a bucket may be signed.
type traced struct {
	driver.StorageDriver
	system string
}

func (d *traced) begin(ctx context.Context, op string) (context.Context, tracing.Span) {
	ctx, span := tracing.Start(ctx, op, tracing.Client)
	span.Set("constellation.storage", d.system)
	return ctx, span
}

const spanBytes = "constellation.storage.bytes"

// GetContent implements driver.StorageDriver.
func (d *traced) GetContent(ctx context.Context, path string) ([]byte, error) {
	ctx, span := d.begin(ctx, "storage get")
	data, err := d.StorageDriver.GetContent(ctx, path)
	span.SetInt(spanBytes, int64(len(data)))
	endStorage(span, err)
	return data, err
}

// PutContent implements driver.StorageDriver.
func (d *traced) PutContent(ctx context.Context, path string, content []byte) error {
	ctx, span := d.begin(ctx, "storage put")
	span.SetInt(spanBytes, int64(len(content)))
	err := d.StorageDriver.PutContent(ctx, path, content)
	endStorage(span, err)
	return err
}

// Reader implements driver.StorageDriver. A file stays one, so that the kernel sends
// it; its span is of opening it, with all that can be read.
func (d *traced) Reader(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	within, span := d.begin(ctx, "storage read")
	r, err := d.StorageDriver.Reader(within, path, offset)
	if !span.On() {
		return r, err
	}
	if file, ok := r.(*os.File); ok && err == nil {
		if info, statErr := file.Stat(); statErr == nil {
			span.SetInt(spanBytes, info.Size()-offset)
		}
	}
	if _, ok := r.(*os.File); ok || err != nil {
		endStorage(span, err)
		return r, err
	}
	return &tracedReader{ReadCloser: r, span: span}, nil
}

// tracedReader ends its span when it is closed.
type tracedReader struct {
	io.ReadCloser
	span tracing.Span
	n    int64
	err  error
}

// Read implements io.Reader.
func (r *tracedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.n += int64(n); err != nil && err != io.EOF { //nolint:errorlint // as io.Reader has it
		r.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (r *tracedReader) Close() error {
	err := r.ReadCloser.Close()
	r.span.SetInt(spanBytes, r.n)
	endStorage(r.span, r.err)
	r.span = tracing.Span{}
	return err
}

// Writer implements driver.StorageDriver.
func (d *traced) Writer(ctx context.Context, path string, appended bool) (driver.FileWriter, error) {
	within, span := d.begin(ctx, "storage write")
	w, err := d.StorageDriver.Writer(within, path, appended)
	if !span.On() {
		return w, err
	}
	if err != nil {
		endStorage(span, err)
		return w, err
	}
	return &tracedWriter{FileWriter: w, span: span}, nil
}

// tracedWriter ends its span when it is closed.
type tracedWriter struct {
	driver.FileWriter
	span tracing.Span
	n    int64
	err  error
}

func (w *tracedWriter) noted(err error) error {
	if err != nil {
		w.err = err
	}
	return err
}

// Write implements io.Writer.
func (w *tracedWriter) Write(p []byte) (int, error) {
	n, err := w.FileWriter.Write(p)
	w.n += int64(n)
	return n, w.noted(err)
}

// Commit implements driver.FileWriter.
func (w *tracedWriter) Commit(ctx context.Context) error {
	return w.noted(w.FileWriter.Commit(w.span.In(ctx)))
}

// Cancel implements driver.FileWriter.
func (w *tracedWriter) Cancel(ctx context.Context) error {
	err := w.noted(w.FileWriter.Cancel(w.span.In(ctx)))
	w.end()
	return err
}

// Close implements driver.FileWriter.
func (w *tracedWriter) Close() error {
	err := w.noted(w.FileWriter.Close())
	w.end()
	return err
}

func (w *tracedWriter) end() {
	w.span.SetInt(spanBytes, w.n)
	endStorage(w.span, w.err)
	w.span = tracing.Span{}
}

// Stat implements driver.StorageDriver.
func (d *traced) Stat(ctx context.Context, path string) (driver.FileInfo, error) {
	ctx, span := d.begin(ctx, "storage stat")
	info, err := d.StorageDriver.Stat(ctx, path)
	endStorage(span, err)
	return info, err
}

// List implements driver.StorageDriver.
func (d *traced) List(ctx context.Context, path string) ([]string, error) {
	ctx, span := d.begin(ctx, "storage list")
	list, err := d.StorageDriver.List(ctx, path)
	endStorage(span, err)
	return list, err
}

// Move implements driver.StorageDriver.
func (d *traced) Move(ctx context.Context, from, to string) error {
	ctx, span := d.begin(ctx, "storage move")
	err := d.StorageDriver.Move(ctx, from, to)
	endStorage(span, err)
	return err
}

// Delete implements driver.StorageDriver.
func (d *traced) Delete(ctx context.Context, path string) error {
	ctx, span := d.begin(ctx, "storage delete")
	err := d.StorageDriver.Delete(ctx, path)
	endStorage(span, err)
	return err
}

// Walk implements driver.StorageDriver.
func (d *traced) Walk(ctx context.Context, path string, f driver.WalkFn, options ...func(*driver.WalkOptions)) error {
	ctx, span := d.begin(ctx, "storage walk")
	err := d.StorageDriver.Walk(ctx, path, f, options...)
	endStorage(span, err)
	return err
}

// endStorage ends a span; that a path is not there is an answer.
func endStorage(span tracing.Span, err error) {
	if isMissing(err) {
		span.Set("constellation.storage.found", "no")
		err = nil
	}
	span.End(err)
}
