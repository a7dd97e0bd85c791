package control

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// maxKeysUsed is how many uses of keys one launch may have waiting.
const maxKeysUsed = 10_000

// HeartbeatAnswer is what a launch is told.
type HeartbeatAnswer struct {
	Next             time.Duration // until its next heartbeat
	SatelliteVersion int           // that it is to run
	ExpiresAt        time.Time     // of the satellite
	AccessVersion    int64         // of the keys and of ExpiresAt
	// Keys are all keys that work, when they differ from those the launch has;
	// else KeysDigest is "".
	KeysDigest string
	Keys       []constellation.SatelliteKey
	// Commands are what the launch is asked to do.
	Commands []constellation.QueueCommand
}

// Reporter is a launch that has shown its token.
type Reporter struct{ launch *cachedLaunch }

// cachedLaunch is what is remembered of a launch that reports, so that a heartbeat
// needs no query. It is dropped when anything of its satellite changes.
type cachedLaunch struct {
	postgres.Reporter
	keysDigest    string
	until         time.Time // a key of keysDigest expires then; zero is never
	accessVersion int64
	expiresAt     time.Time // of the satellite
	commands      []constellation.QueueCommand
	access        atomic.Pointer[constellation.Access] // what keysDigest is of, until the launch has it
	stored        atomic.Bool                          // its last heartbeat that reached the database; until one is, each is waited for
	used          atomic.Int64
}

// heartbeats is the state of taking heartbeats.
type heartbeats struct {
	mu        sync.Mutex
	launches  map[string]*cachedLaunch
	reads     launchReads
	listening bool // for what changes; without it nothing is remembered
	pending   map[string]*queuedHeartbeat
	refused   map[string]bool // launches whose last heartbeat could not be stored
	running   bool

	wake     chan struct{} // somebody waits for a first heartbeat to be stored
	slowdown atomic.Int64  // by which the interval is stretched
	watching atomic.Int64  // since when silence counts, in Unix microseconds
}

// queuedHeartbeat is a heartbeat on its way to the database.
type queuedHeartbeat struct {
	launch *cachedLaunch
	at     time.Time
	next   time.Duration // that it was told
	heartbeat
	stored *acknowledgement // nil when nobody waits
}

type heartbeat = *constellation.Heartbeat

// acknowledgement is how storing went, for those who wait.
type acknowledgement struct {
	done chan struct{}
	err  error // once done is closed
}

func newHeartbeats() *heartbeats {
	h := &heartbeats{launches: map[string]*cachedLaunch{}, reads: newLaunchReads(), pending: map[string]*queuedHeartbeat{}, refused: map[string]bool{}, wake: make(chan struct{}, 1)}
	h.slowdown.Store(1)
	return h
}

// AuthenticateLaunch returns the launch whose token is presented.
// KindUnauthenticated says what is wrong with the token, KindNotFound that
// there is no such launch any more.
func (s *Service) AuthenticateLaunch(ctx context.Context, satelliteID, launchID, token string) (Reporter, error) {
	if err := auth.ParseLaunchToken(token); err != nil {
		return Reporter{}, err
	}
	p, err := s.cachedLaunch(ctx, launchID)
	if err != nil {
		return Reporter{}, err
	}
	if subtle.ConstantTimeCompare([]byte(auth.HashKey(token)), []byte(p.TokenSHA256)) != 1 {
		return Reporter{}, constellation.Errorf(constellation.KindUnauthenticated, "the launch token is another launch's; deploy this launch's own bundle again")
	}
	if p.SatelliteID != satelliteID {
		return Reporter{}, constellation.Errorf(constellation.KindNotFound, "launch %s is of another satellite", p.LaunchID)
	}
	return Reporter{p}, nil
}

// Heartbeat takes what a launch reports. The first of a launch is answered
// once it is stored; later ones are stored within a second, and since counts
// are sent whole each time, one that is lost on the way changes no total.
func (s *Service) Heartbeat(ctx context.Context, r Reporter, b *constellation.Heartbeat) (*HeartbeatAnswer, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	p, h := r.launch, s.memory.heartbeats
	answer := &HeartbeatAnswer{Next: s.interval(), SatelliteVersion: p.SatelliteVersion, ExpiresAt: p.expiresAt, AccessVersion: p.accessVersion}
	now := s.now()
	p.used.Store(now.Unix())
	answer.Commands = p.waiting(b, now)
	stored, err := h.put(&queuedHeartbeat{launch: p, at: now, next: answer.Next, heartbeat: b}, !p.stored.Load())
	if err != nil {
		return nil, err
	}
	if stored != nil {
		select {
		case <-stored.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if stored.err != nil {
			return nil, stored.err
		}
	}
	if b.KeysDigest == p.keysDigest {
		p.access.Store(nil)
		return answer, nil
	}
	access := p.access.Load()
	if access == nil {
		if access, err = s.db.Access(ctx, p.SatelliteID, now); err != nil {
			return nil, err
		}
	}
	answer.Keys, answer.ExpiresAt, answer.AccessVersion = access.Keys, access.ExpiresAt, access.Version
	if answer.KeysDigest = constellation.KeysDigest(answer.Keys); answer.KeysDigest == b.KeysDigest {
		answer.KeysDigest, answer.Keys = "", nil
	}
	return answer, nil
}

// waiting returns the commands that the launch is to be told, after a heartbeat
// that says what became of some.
func (p *cachedLaunch) waiting(b *constellation.Heartbeat, now time.Time) []constellation.QueueCommand {
	var waiting []constellation.QueueCommand
	for _, c := range p.commands {
		done := slices.ContainsFunc(b.CommandsDone, func(end constellation.CommandEnd) bool { return end.ID == c.ID })
		if !done && c.Waits(now) {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

// interval is how often launches are told to report.
func (s *Service) interval() time.Duration {
	return s.options.HeartbeatInterval * time.Duration(s.memory.heartbeats.slowdown.Load())
}

// put queues a heartbeat in place of an earlier one of its launch that is not
// stored yet.
func (h *heartbeats) put(b *queuedHeartbeat, wait bool) (*acknowledgement, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		return nil, constellation.Errorf(constellation.KindUnavailable, "the mothership is stopping or starting; try again in a moment")
	}
	id := b.launch.LaunchID
	if earlier := h.pending[id]; earlier != nil {
		b.stored = earlier.stored
		if len(b.KeysUsed)+len(earlier.KeysUsed) <= maxKeysUsed { // more would pile up while there is no database
			b.KeysUsed = append(b.KeysUsed, earlier.KeysUsed...)
		}
		if len(b.CommandsDone)+len(earlier.CommandsDone) <= keptCommands {
			b.CommandsDone = append(earlier.CommandsDone, b.CommandsDone...)
		}
	}
	wait = wait || h.refused[id]
	if wait && b.stored == nil {
		b.stored = &acknowledgement{done: make(chan struct{})}
	}
	h.pending[id] = b
	if !wait {
		return nil, nil
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return b.stored, nil
}

// drain takes a shard's heartbeats off the queue: those that somebody waits for, or
// the others. Those of a satellite, whose row is written once for all of a batch,
// are together.
func (h *heartbeats) drain(shard int, waited bool) []*queuedHeartbeat {
	h.mu.Lock()
	list := make([]*queuedHeartbeat, 0, len(h.pending))
	for id, b := range h.pending {
		if (b.stored != nil) == waited && shardOf(b.launch.SatelliteID) == shard {
			list = append(list, b)
			delete(h.pending, id)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(list, func(a, b *queuedHeartbeat) int { return strings.Compare(a.launch.SatelliteID, b.launch.SatelliteID) })
	return list
}

// markRefused notes that a launch's heartbeat cannot be stored, whatever else is
// remembered of the launch: its next one is waited for.
func (h *heartbeats) markRefused(launchID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused[launchID] = true
}

// clearRefused takes back what markRefused noted.
func (h *heartbeats) clearRefused(beats []*queuedHeartbeat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range beats {
		delete(h.refused, b.launch.LaunchID)
	}
}

// requeue queues again what could not be stored, unless something newer is
// there.
func (h *heartbeats) requeue(beats []*queuedHeartbeat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range beats {
		if h.pending[b.launch.LaunchID] == nil {
			b.stored = nil // who waited was told
			h.pending[b.launch.LaunchID] = b
		}
	}
}

// Running reports whether Run takes heartbeats.
func (s *Service) Running() bool {
	h := s.memory.heartbeats
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}

// Listening reports whether Changes are heard of.
func (s *Service) Listening() bool {
	h := s.memory.heartbeats
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listening
}
