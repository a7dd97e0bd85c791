package passthrough

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// Why a request's body cannot be passed on.
var (
	ErrTooLarge = errors.New("the body is larger than the algorithm takes")
	ErrCutOff   = errors.New("the body was cut off or is not what its headers say")
)

// body is a request's body on its way: it is read as the replica takes it.
type body struct {
	x    *Exchange
	from io.ReadCloser

	mu     sync.Mutex
	read   int64
	ended  bool // there is no more to read
	closed bool // nobody wants more
	err    error
}

// Read reads what there is.
func (b *body) Read(p []byte) (int, error) {
	if err := b.wanted(); err != nil {
		return 0, err
	}
	n, err := b.from.Read(p)
	b.x.watch.move()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read += int64(n)
	switch {
	case b.x.opts.MaxBody > 0 && b.read > b.x.opts.MaxBody:
		b.err = ErrTooLarge
		return 0, b.err
	case errors.Is(err, io.EOF):
		b.ended = true
		return n, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded) && !b.closed:
		b.err = upstream.ErrTimedOut
	case err != nil && !b.closed:
		b.err = fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	if b.err != nil {
		return n, b.err
	}
	return n, err
}

// wanted returns nil when more is to be read, by a new deadline. Once the body
// has ended the connection has none: net/http reads on, to hear the caller leave.
func (b *body) wanted() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return io.EOF
	case b.closed:
		return os.ErrClosed
	case b.err != nil:
		return b.err
	}
	b.x.reads.renew()
	return nil
}

// Close is called when the replica wants no more. The caller's connection is
// net/http's to close.
func (b *body) Close() error { return nil }

// failure returns why the body could not be read; nil when it could.
func (b *body) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// unread reports whether some of the body is still to come.
func (b *body) unread() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}

// abandon ends a read that waits for the caller, as net/http would with it.
func (b *body) abandon() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.ended {
		_ = b.x.rc.SetReadDeadline(time.Unix(1, 0))
	}
}
