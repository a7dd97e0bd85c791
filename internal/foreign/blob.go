package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Blob opens a blob from a byte on; the caller closes it, and looks at its digest. Of
// a registry that gives blobs only whole, what comes before is read and dropped.
func (r *Registry) Blob(ctx context.Context, repository, digest string, offset int64) (io.ReadCloser, error) {
	what := "blob " + clip(digest) + " of " + clip(repository)
	header := http.Header{"Accept-Encoding": {"identity"}}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := r.get(ctx, repository, "/blobs/"+digest, what, header) //nolint:bodyclose // the blob has it
	if err != nil {
		return nil, err
	}
	body := &blob{registry: r, what: what, body: response.Body}
	switch response.StatusCode {
	case http.StatusPartialContent:
		if offset > 0 && strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
			return body, nil
		}
		_ = body.Close() // err tells what is wrong
		return nil, constellation.Errorf(constellation.KindInvalid, "%s answered with another part of %s than it was asked for", r.access.Host, what)
	case http.StatusOK:
		if _, err := io.CopyN(io.Discard, body, offset); err != nil {
			_ = body.Close() // err tells what is wrong
			return nil, err
		}
		return body, nil
	}
	err = r.refused(response, what)
	_ = body.Close() // err tells what is wrong
	return nil, err
}

// blob is a blob that is read; its errors are for users.
type blob struct {
	registry *Registry
	what     string
	body     io.ReadCloser
}

// Read is part of io.Reader.
func (b *blob) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.registry.failed(err, "read "+b.what, b.what)
	}
	return n, err
}

// Close is part of io.Closer.
func (b *blob) Close() error { return b.body.Close() }

// errStalled is the end of an answer of which nothing came for too long.
var errStalled = errors.New("it sends nothing any more")

// watched is a body that ends when nothing of it comes for a while.
type watched struct {
	io.ReadCloser
	ctx   context.Context
	stall time.Duration
	timer *time.Timer
	end   context.CancelCauseFunc
	once  sync.Once
}

func watch(ctx context.Context, body io.ReadCloser, stall time.Duration, end context.CancelCauseFunc) *watched {
	return &watched{ReadCloser: body, ctx: ctx, stall: stall, end: end, timer: time.AfterFunc(stall, func() { end(errStalled) })}
}

// Read is part of io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.stall)
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// Close is part of io.Closer.
func (w *watched) Close() error {
	w.once.Do(func() {
		w.timer.Stop()
		w.end(nil)
	})
	return w.ReadCloser.Close()
}
