package memory

import (
	"errors"
	"io"
	"sync"
)

// Buffer is a pooled byte slice. Bodies grow through a few sizes, as their
// bytes arrive and not as a header promises.
type Buffer struct {
	B        []byte
	borrowed bool // of someone else's memory: not for the pools
}

var (
	bufferSizes = [...]int{8 << 10, 32 << 10, 128 << 10, 512 << 10, 2 << 20, 4 << 20, 11 << 20, 16 << 20, 24 << 20}
	bufferPools [len(bufferSizes)]sync.Pool
)

// Borrow returns a buffer of bytes that are someone else's: releasing it does
// nothing.
func Borrow(b []byte) Buffer { return Buffer{B: b, borrowed: true} }

// NewBuffer returns an empty buffer with room for n bytes.
func NewBuffer(n int) *Buffer {
	for i, size := range bufferSizes {
		if n <= size {
			if b, ok := bufferPools[i].Get().(*Buffer); ok {
				return b
			}
			return &Buffer{B: make([]byte, 0, size)}
		}
	}
	return &Buffer{B: make([]byte, 0, n)}
}

// BufferSize returns the capacity of a buffer that is made for n bytes.
func BufferSize(n int) int {
	for _, size := range bufferSizes {
		if n <= size {
			return size
		}
	}
	return n
}

// Release puts the buffer back; its bytes must not be used after. A nil
// buffer is fine.
func (b *Buffer) Release() {
	if b == nil || b.borrowed {
		return
	}
	for i := len(bufferSizes) - 1; i >= 0; i-- {
		if cap(b.B) >= bufferSizes[i] {
			b.B = b.B[:0]
			bufferPools[i].Put(b)
			return
		}
	}
}

// Grow makes room for n bytes in all.
func (b *Buffer) Grow(n int) {
	if n <= cap(b.B) {
		return
	}
	larger := NewBuffer(n)
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	larger.Release()
}

// ReadAll reads r to its end into a buffer. The error is ErrTooLarge beyond
// limit bytes. expected is the length that a header announced, or -1. A large
// body has its memory from share, which the caller releases, also after an
// error.
func ReadAll(r io.Reader, expected int64, limit int, share *Share) (*Buffer, error) {
	if expected > int64(limit) {
		return nil, ErrTooLarge
	}
	const cautious = 8 << 10
	buf := NewBuffer(int(max(0, min(expected+1, cautious))))
	for {
		if len(buf.B) == cap(buf.B) {
			want := max(len(buf.B)+1, min(int(expected)+1, 8*len(buf.B)))
			if want > counted && expected >= 0 { // one waits once
				if err := share.Grow(BufferSize(int(expected) + 1)); err != nil {
					buf.Release()
					return nil, err
				}
			}
			if err := share.Grow(BufferSize(want)); err != nil {
				buf.Release()
				return nil, err
			}
			buf.Grow(want)
		}
		n, err := r.Read(buf.B[len(buf.B):min(cap(buf.B), limit+1)])
		buf.B = buf.B[:len(buf.B)+n]
		if len(buf.B) > limit {
			buf.Release()
			return nil, ErrTooLarge
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			buf.Release()
			return nil, err
		}
	}
}
