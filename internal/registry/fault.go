package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// errDiskFull is what a push gets that does not fit.
var errDiskFull = ociErrorf(http.StatusInsufficientStorage, codeUnavailable,
	"the mothership's disk is full, so nothing was stored; free some space there and push again")

// fault returns what a failure of the storage is to the client. The failure
// itself, which names files of ours, is for the log.
func (g *Registry) fault(ctx context.Context, failure error) error {
	err := g.storage.Check(ctx)
	switch {
	case storage.Full(failure), storage.Full(err):
		return errDiskFull
	case err != nil:
		return g.storage.failed(errors.Join(failure, err))
	}
	return constellation.Wrap(failure, constellation.KindInternal, "the registry's storage failed")
}

// stallTimeout is how long a transfer may stand still. An image of many
// gigabytes takes as long as it takes, as long as it moves.
const stallTimeout = 2 * time.Minute

// moving replaces a request's deadlines by ones that move on with every read
// and write. The function is called when the request is done.
func moving(w http.ResponseWriter, r *http.Request, stall time.Duration) (http.ResponseWriter, func()) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // a writer without deadlines, as in tests, has none to set
	_ = c.SetWriteDeadline(time.Now().Add(stall))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &movingBody{r.Body, c, stall}
	}
	return &movingWriter{w, c, stall}, func() {
		_ = c.SetWriteDeadline(time.Now().Add(stall))
		if r.Body != nil && r.Body != http.NoBody { // net/http reads what is left of it
			_ = c.SetReadDeadline(time.Now().Add(stall))
		}
	}
}

type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
}

// Read implements io.Reader.
func (b *movingBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.stall))
	n, err := b.ReadCloser.Read(p)
	if err != nil { // the end: now net/http watches whether the client stays
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

type movingWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

// WriteHeader implements http.ResponseWriter.
func (w *movingWriter) WriteHeader(status int) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *movingWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
	return w.ResponseWriter.Write(p)
}

// movingPiece is how much goes out under one deadline when the kernel sends a
// file by itself: small enough for the slowest line.
const movingPiece = 1 << 20

// ReadFrom implements io.ReaderFrom, so that a blob goes from its file to the
// connection inside the kernel.
func (w *movingWriter) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	left, limited := r.(*io.LimitedReader) // as http.ServeContent copies
	for {
		piece := &io.LimitedReader{R: r, N: movingPiece}
		if limited {
			piece = &io.LimitedReader{R: left.R, N: min(left.N, movingPiece)}
		}
		want := piece.N
		_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
		n, err := io.Copy(w.ResponseWriter, piece)
		total += n
		if limited {
			left.N -= n
		}
		if err != nil || n < want || limited && left.N == 0 {
			return total, err
		}
	}
}

// Unwrap is for http.ResponseController.
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
