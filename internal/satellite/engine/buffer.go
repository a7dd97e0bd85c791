package engine

import (
	"errors"
	"io"
	"sync"
)

// buffer is a pooled byte slice. Bodies grow through a few sizes, as their
// bytes arrive and not as a header promises.
type buffer struct {
	b    []byte
	lent bool // of someone else's memory: not for the pools
}

var (
	bufferSizes = [...]int{8 << 10, 32 << 10, 128 << 10, 2 << 20, 11 << 20, 24 << 20}
	bufferPools [len(bufferSizes)]sync.Pool
)

// newBuffer gives an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	for i, size := range bufferSizes {
		if n <= size {
			if b, ok := bufferPools[i].Get().(*buffer); ok {
				return b
			}
			return &buffer{b: make([]byte, 0, size)}
		}
	}
	return &buffer{b: make([]byte, 0, n)}
}

// release gives the buffer back; its bytes must not be used after. A nil
// buffer is fine.
func (b *buffer) release() {
	if b == nil || b.lent {
		return
	}
	for i := len(bufferSizes) - 1; i >= 0; i-- {
		if cap(b.b) >= bufferSizes[i] {
			b.b = b.b[:0]
			bufferPools[i].Put(b)
			return
		}
	}
}

// grow makes room for n bytes in all.
func (b *buffer) grow(n int) {
	if n <= cap(b.b) {
		return
	}
	larger := newBuffer(n)
	larger.b = append(larger.b, b.b...)
	b.b, larger.b = larger.b, b.b
	larger.release()
}

// readAll reads r to its end into a buffer, errTooLarge beyond limit bytes.
// expected is the length a header announced, or -1. A large body has its room
// from share, which the caller gives back; nil bounds nothing.
func readAll(r io.Reader, expected int64, limit int, share *share) (*buffer, error) {
	if expected > int64(limit) {
		return nil, errTooLarge
	}
	const cautious = 8 << 10
	buf := newBuffer(int(max(0, min(expected+1, cautious))))
	for {
		if len(buf.b) == cap(buf.b) {
			want := max(len(buf.b)+1, min(int(expected)+1, 8*len(buf.b)))
			if share != nil && want >= largeBody {
				if want = limit + 1; expected >= 0 {
					want = int(expected) + 1
				}
				if err := share.take(want); err != nil {
					buf.release()
					return nil, err
				}
			}
			buf.grow(want)
		}
		n, err := r.Read(buf.b[len(buf.b):min(cap(buf.b), limit+1)])
		buf.b = buf.b[:len(buf.b)+n]
		if len(buf.b) > limit {
			buf.release()
			return nil, errTooLarge
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			buf.release()
			return nil, err
		}
	}
}
