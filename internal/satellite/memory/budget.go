package memory

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

const (
	// counted is the size up to which a body is not counted.
	counted   = 32 << 10
	maxBudget = 256 << 20
)

// How reading a body can fail, besides its reader.
var (
	ErrNoRoom   = errors.New("no room for a large body")
	ErrTooLarge = errors.New("the body is too large")
)

// Budget is a budget of bytes that is shared by keys. One key may hold no more
// than what is free beside it, as in a switch's shared buffer with dynamic thresholds: half the
// budget when it is alone, a third each of two, and so on. Whoever fills their
// share leaves the others theirs.
type Budget struct {
	size    int64
	maxWait time.Duration

	mu      sync.Mutex
	used    int64
	held    map[string]int64 // by API key
	waiting []*waiter        // first come first served, but for keys that have their share
	refused uint64
}

type waiter struct {
	key   string
	n     int64
	ready chan struct{}
}

// DefaultSize returns a quarter of the memory that the process may use
// (GOMEMLIMIT), maxBudget at most.
func DefaultSize() int64 {
	size := int64(maxBudget)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		size = min(size, limit/4)
	}
	return size
}

// NewBudget returns a budget of size bytes. Who asks for more than is free waits
// for maxWait at most.
func NewBudget(size int64, maxWait time.Duration) *Budget {
	return &Budget{size: size, maxWait: maxWait, held: map[string]int64{}}
}

// Size returns the budget's size.
func (r *Budget) Size() int64 { return r.size }

// fits reports whether key may have n bytes more, with r.mu held.
func (r *Budget) fits(key string, n int64) bool {
	free, held := r.size-r.used, r.held[key]
	return n <= free && (held == 0 || held+n <= free)
}

func (r *Budget) add(key string, n int64) {
	r.used += n
	if r.held[key] += n; r.held[key] == 0 {
		delete(r.held, key)
	}
}

// tryReserve takes n bytes and reports whether they are there now.
func (r *Budget) tryReserve(key string, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fits(key, n) {
		r.refused++
		return false
	}
	r.add(key, n)
	return true
}

// reserve waits for n bytes until then, or until ctx ends.
func (r *Budget) reserve(ctx context.Context, key string, n int64, until time.Time) error {
	r.mu.Lock()
	w := &waiter{key: key, n: n, ready: make(chan struct{})}
	r.waiting = append(r.waiting, w)
	r.grant()
	r.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	default:
	}
	if longest := time.Now().Add(r.maxWait); until.After(longest) {
		until = longest
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.waiting, w); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
		r.refused++
		r.grant() // it may have been in others' way
		return ErrNoRoom
	}
	return nil
}

// grant grants what is free to those who wait, with r.mu held. One who waits
// for the others' part keeps those behind from taking it; one who has their own share
// already keeps nobody.
func (r *Budget) grant() {
	for i := 0; i < len(r.waiting) && r.waiting[i].n <= r.size-r.used; {
		w := r.waiting[i]
		if !r.fits(w.key, w.n) {
			i++
			continue
		}
		r.add(w.key, w.n)
		close(w.ready)
		r.waiting = slices.Delete(r.waiting, i, i+1)
	}
}

func (r *Budget) release(key string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(key, -n)
	r.grant()
}

// State returns how much of the budget is used, and how often it was not
// enough.
func (r *Budget) State() (used int64, refused uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used, r.refused
}

// Share returns a share of key's that is empty as yet. It waits until ctx
// ends or until is past, and is weighed by weigh.
func (r *Budget) Share(ctx context.Context, key string, until time.Time, weigh func(contentType string) float64) *Share {
	return &Share{of: r, key: key, ctx: ctx, until: until, weigh: weigh}
}

// TryShare returns a share of n bytes and reports whether they are there now.
func (r *Budget) TryShare(key string, n int) (*Share, bool) {
	if !r.tryReserve(key, int64(n)) {
		return nil, false
	}
	return &Share{of: r, key: key, n: int64(n)}, true
}

// Share is one call's part of a budget. A nil share is bounded by nothing.
type Share struct {
	of    *Budget
	key   string
	ctx   context.Context // the call's
	until time.Time       // its deadline
	// weigh returns the memory that a byte of an answer of this Content-Type
	// needs in the end, with the copies that are made of it. Nil is one.
	weigh  func(contentType string) float64
	weight float64
	n      int64
}

// Expect prepares the share for a body of this Content-Type.
func (s *Share) Expect(contentType string) {
	if s != nil && s.weigh != nil {
		s.weight = s.weigh(contentType)
	}
}

// Grow waits until the share is enough for a body of n bytes. The error is
// ErrNoRoom when it waited in vain.
func (s *Share) Grow(n int) error {
	if s == nil || n <= counted {
		return nil
	}
	more := min(int64(float64(n)*max(1, s.weight)), s.of.size) - s.n
	if more <= 0 {
		return nil
	}
	if err := s.of.reserve(s.ctx, s.key, more, s.until); err != nil {
		return err
	}
	s.n += more
	return nil
}

// Resize resizes the share to n bytes and reports whether it could without
// waiting.
func (s *Share) Resize(n int) bool {
	if s == nil {
		return true
	}
	want := min(int64(n), s.of.size)
	if n <= counted {
		want = 0
	}
	switch more := want - s.n; {
	case more > 0 && !s.of.tryReserve(s.key, more):
		return false
	case more < 0:
		s.of.release(s.key, -more)
	}
	s.n = want
	return true
}

// Held reports whether the share holds anything.
func (s *Share) Held() bool { return s != nil && s.n > 0 }

// Release returns what was taken.
func (s *Share) Release() {
	if s != nil && s.n > 0 {
		s.of.release(s.key, s.n)
		s.n = 0
	}
}
