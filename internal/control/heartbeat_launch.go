package control

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// After a start or a failover every launch is read once, all of them within one
// interval. So launches are read many at a time: the first at once, and those
// that come meanwhile together, as soon as a reader is free.
const (
	launchReaders   = 2
	launchesPerRead = 100 // of whose satellites each has as many keys as a bundle holds
	launchReadTime  = 15 * time.Second
)

// launchRead is a launch that is read for those who wait for it.
type launchRead struct {
	done   chan struct{}
	launch *cachedLaunch // once done is closed, or err is set
	err    error
}

// launchReads are the launches to be read.
type launchReads struct {
	waiting map[string]*launchRead
	readers int
	batches map[*launchBatch]bool // being read
}

func newLaunchReads() launchReads {
	return launchReads{waiting: map[string]*launchRead{}, batches: map[*launchBatch]bool{}}
}

// launchBatch is read at once.
type launchBatch struct {
	reads map[string]*launchRead
	// What changed since the read began: what was read of it is right for the
	// heartbeats that wait for it, and perhaps not for the next.
	changed    map[string]bool // satellites
	allChanged bool
}

// cachedLaunch returns what is remembered of a launch, or reads it.
func (s *Service) cachedLaunch(ctx context.Context, launchID string) (*cachedLaunch, error) {
	h := s.memory.heartbeats
	h.mu.Lock()
	p := h.launches[launchID]
	h.mu.Unlock()
	now := s.now()
	if p != nil && (p.until.IsZero() || now.Before(p.until)) {
		return p, nil
	}
	launchID, err := parseID("launch", launchID)
	if err != nil {
		return nil, err
	}
	read, isReader := h.ask(launchID)
	if isReader {
		go s.readLaunches(context.WithoutCancel(ctx))
	}
	select {
	case <-read.done:
		return read.launch, read.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask has a launch read that nobody reads yet, and reports whether the caller is
// to start a reader for it.
func (h *heartbeats) ask(launchID string) (read *launchRead, isReader bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if read = h.reads.waiting[launchID]; read != nil {
		return read, false
	}
	read = &launchRead{done: make(chan struct{})}
	h.reads.waiting[launchID] = read
	if h.reads.readers == launchReaders {
		return read, false
	}
	h.reads.readers++
	return read, true
}

// takeBatch returns what a reader is to read next, or nil at its end.
func (h *heartbeats) takeBatch() *launchBatch {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.reads.waiting) == 0 {
		h.reads.readers--
		return nil
	}
	b := &launchBatch{reads: map[string]*launchRead{}, changed: map[string]bool{}}
	for id, read := range h.reads.waiting {
		if len(b.reads) == launchesPerRead {
			break
		}
		b.reads[id] = read
		delete(h.reads.waiting, id)
	}
	h.reads.batches[b] = true
	return b
}

// remember keeps what was read of launches that did not change meanwhile, and
// tells those who wait.
func (h *heartbeats) remember(b *launchBatch, launches map[string]*cachedLaunch, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.reads.batches, b)
	for id, read := range b.reads {
		switch p := launches[id]; {
		case err != nil:
			read.err = err
		case p == nil:
			read.err = constellation.Errorf(constellation.KindNotFound, "there is no launch %s", id)
		default:
			read.launch = p
			if h.listening && !b.allChanged && !b.changed[p.SatelliteID] {
				h.launches[id] = p
			}
		}
		close(read.done)
	}
}

// readLaunches reads launches until none waits. The context has no end of its own.
func (s *Service) readLaunches(ctx context.Context) {
	h := s.memory.heartbeats
	for b := h.takeBatch(); b != nil; b = h.takeBatch() {
		ctx, cancel := context.WithTimeout(ctx, launchReadTime)
		launches, err := s.readBatch(ctx, b)
		cancel()
		h.remember(b, launches, err)
	}
}

func (s *Service) readBatch(ctx context.Context, b *launchBatch) (map[string]*cachedLaunch, error) {
	now := s.now()
	ids := make([]string, 0, len(b.reads))
	for id := range b.reads {
		ids = append(ids, id)
	}
	rows, err := s.db.Reporters(ctx, ids)
	if err != nil {
		return nil, err
	}
	satellites := map[string]bool{}
	for _, row := range rows {
		satellites[row.SatelliteID] = true
	}
	access, err := s.db.Accesses(ctx, slices.Collect(maps.Keys(satellites)), now)
	if err != nil {
		return nil, err
	}
	commands, err := s.db.OpenCommands(ctx, ids, openSince(now))
	if err != nil {
		return nil, err
	}
	launches := make(map[string]*cachedLaunch, len(rows))
	for _, row := range rows {
		a := access[row.SatelliteID]
		if a == nil {
			continue // removed since
		}
		p := &cachedLaunch{
			Reporter: row, commands: commands[row.LaunchID], keysDigest: constellation.KeysDigest(a.Keys), until: firstExpiry(a.Keys),
			accessVersion: a.Version, expiresAt: a.ExpiresAt,
		}
		p.access.Store(a)
		p.stored.Store(row.Seen)
		launches[row.LaunchID] = p
	}
	return launches, nil
}

// firstExpiry is when the first of keys expires; zero is never.
func firstExpiry(keys []constellation.SatelliteKey) (first time.Time) {
	for _, k := range keys {
		if k.ExpiresAt != nil && (first.IsZero() || k.ExpiresAt.Before(first)) {
			first = *k.ExpiresAt
		}
	}
	return first
}

// evict drops what is remembered of a satellite's launches; "" is of all.
func (h *heartbeats) evict(satelliteID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := range h.reads.batches {
		b.allChanged = b.allChanged || satelliteID == ""
		b.changed[satelliteID] = true
	}
	for id, p := range h.launches {
		if satelliteID == "" || p.SatelliteID == satelliteID {
			delete(h.launches, id)
		}
	}
}
