package registry

import (
	"io"
	"net/http"
	"sync"
)

// counter is told of the bytes of an upload.
type counter interface {
	// Add notes bytes that were sent.
	Add(n int64)
	// Skip corrects what was noted, without the rate.
	Skip(n int64)
}

// Body is a piece of a blob on its way to the registry. It can be sent
// again from its beginning, as after a token that had expired.
type Body struct {
	from  io.ReaderAt
	at    int64 // where the piece begins
	size  int64
	count counter // nil counts nothing

	moved   func() // after each read
	sent    func() // when all is read
	present *sending
}

// NewBody returns the bytes of from that begin at an offset; count, which
// may be nil, is told of them as they are sent.
func NewBody(from io.ReaderAt, at, size int64, count counter) *Body {
	return &Body{from: from, at: at, size: size, count: count}
}

// rewind returns the body from its beginning; an earlier sending ends, and what
// it counted is taken back.
func (b *Body) rewind() (io.ReadCloser, error) {
	b.discard()
	b.present = &sending{body: b, reader: io.NewSectionReader(b.from, b.at, b.size)}
	return b.present, nil
}

// discard ends the present sending and takes back what it counted.
func (b *Body) discard() {
	if b.present == nil {
		return
	}
	b.present.mu.Lock()
	defer b.present.mu.Unlock()
	b.present.ended = true
	if b.count != nil {
		b.count.Skip(-b.present.counted)
	}
	b.present.counted = 0
}

// sending is one reading of a piece. The connection's own goroutine may read
// on after the answer is there.
type sending struct {
	body   *Body
	reader *io.SectionReader

	mu      sync.Mutex
	counted int64
	ended   bool
}

// Read returns the next bytes of the piece.
func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := s.reader.Read(p)
	if s.body.count != nil {
		s.body.count.Add(int64(n))
	}
	s.counted += int64(n)
	if err != nil || s.counted >= s.body.size {
		s.body.sent()
	} else {
		s.body.moved()
	}
	return n, err
}

// Close has nothing to close: the blob stays open for the next piece.
func (s *sending) Close() error { return nil }
