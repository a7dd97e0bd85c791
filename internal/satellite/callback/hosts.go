package callback

import (
	"math/rand/v2"
	"sync"
	"time"
)

// hosts holds each receiver to a few posts at once, and leaves one alone for a
// moment that took none, so that one that hangs takes nothing from the others.
type hosts struct {
	atOnce int
	now    func() time.Time

	mu  sync.Mutex
	all map[string]*hostState
}

type hostState struct {
	posts  int       // that go on
	failed int       // in a row
	until  time.Time // it is left alone
}

const (
	// busyRetry is when a result is tried again whose host has its share of posts.
	busyRetry = time.Second
	// maxHostBackoff is the longest pause between posts to a host that fails.
	maxHostBackoff = time.Minute
	maxHosts       = 10_000
)

// enter begins a post to a host, or returns how long to wait for one.
func (h *hosts) enter(host string) (wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.all[host]
	if s == nil {
		if len(h.all) >= maxHosts {
			h.tidy()
		}
		s = new(hostState)
		h.all[host] = s
	}
	if left := s.until.Sub(h.now()); left > 0 {
		return left + rand.N(left+busyRetry) //nolint:gosec // jitter
	}
	if s.posts >= h.atOnce {
		return busyRetry + rand.N(4*busyRetry) //nolint:gosec // jitter
	}
	s.posts++
	return 0
}

// leave ends a post, and notes whether the host took it.
func (h *hosts) leave(host string, took bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.all[host]
	s.posts--
	if took {
		s.failed, s.until = 0, time.Time{}
	} else {
		s.until = h.now().Add(min(time.Second<<min(s.failed, 10), maxHostBackoff))
		s.failed++
	}
	if s.posts == 0 && s.failed == 0 {
		delete(h.all, host)
	}
}

// tidy forgets the hosts of which nothing has to be known.
func (h *hosts) tidy() {
	for host, s := range h.all {
		if s.posts == 0 && s.until.Before(h.now()) {
			delete(h.all, host)
		}
	}
}
