package httpserve

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Bodies is the one budget of bytes for all request bodies that are held in
// memory at a time, whoever sends them and however slowly. It is safe for
// concurrent use.
type Bodies struct {
	total, share int64

	mu   sync.Mutex
	held int64
	by   map[string]int64 // by the client's address
}

// NewBodies makes a budget of total bytes, of which one address may have
// share.
func NewBodies(total, share int64) *Bodies {
	return &Bodies{total: total, share: share, by: map[string]int64{}}
}

// Limit counts what next reads of a body, until next returns.
func (b *Bodies) Limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer b.Attach(r)()
		next.ServeHTTP(w, r)
	})
}

// Attach counts what is read of the request's body from now on, until release
// is called. A read beyond the budget fails with KindUnavailable, one beyond
// the address's share with KindRateLimited.
func (b *Bodies) Attach(r *http.Request) (release func()) {
	if b == nil || r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	body := &countedBody{ReadCloser: r.Body, bodies: b, address: Address(r)}
	r.Body = body
	return body.release
}

func (b *Bodies) acquire(address string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.by[address]+n > b.share:
		return constellation.Errorf(constellation.KindRateLimited, "too much is being sent from this address at once; try again in a moment")
	case b.held+n > b.total:
		return constellation.Errorf(constellation.KindUnavailable, "too much is being sent to the server at once; try again in a moment")
	}
	b.held += n
	b.by[address] += n
	return nil
}

func (b *Bodies) release(address string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if b.by[address] -= n; b.by[address] == 0 {
		delete(b.by, address)
	}
}

type countedBody struct {
	io.ReadCloser
	bodies  *Bodies
	address string
	held    int64
}

// Read implements io.Reader.
func (h *countedBody) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if n > 0 {
		if full := h.bodies.acquire(h.address, int64(n)); full != nil {
			return 0, full
		}
		h.held += int64(n)
	}
	return n, err
}

func (h *countedBody) release() {
	h.bodies.release(h.address, h.held)
	h.held = 0
}

// How much of a body that nobody wants is still read, and for how long, so
// that a client which writes first and reads later sees the answer.
const (
	maxUnwanted  = 32 << 20
	unwantedTime = 5 * time.Second
	smallBody    = 256 << 10 // which net/http reads by itself
)

// Refuse answers with answer before the body has been read, and reads on for a
// moment without keeping anything.
func Refuse(w http.ResponseWriter, r *http.Request, answer func()) {
	BodyWithin(w, r, unwantedTime)
	if r.ContentLength >= 0 && r.ContentLength <= smallBody {
		answer()
		return
	}
	w.Header().Set("Connection", "close")
	answer()
	if r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(w).Flush()
		_, _ = io.CopyN(io.Discard, r.Body, maxUnwanted)
	}
}
