package control

import (
	"context"
	"crypto/subtle"
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
	// Keys are all keys that work, when they differ from those the launch has;
	// else KeysDigest is "".
	KeysDigest string
	Keys       []constellation.SatelliteKey
}

// Reporter is a launch that has shown its token.
type Reporter struct{ pulse *pulse }

// pulse is what is remembered of a launch that reports, so that a heartbeat
// needs no query. It is dropped when anything of its satellite changes.
type pulse struct {
	postgres.Reporter
	keysDigest string
	seen       atomic.Bool // its first heartbeat is stored
	used       atomic.Int64
}

// heart is the state of taking heartbeats.
type heart struct {
	mu         sync.Mutex
	pulses     map[string]*pulse
	generation int64 // grows when pulses are dropped
	listening  bool  // for what changes; without it nothing is remembered
	pending    map[string]*beat
	running    bool

	wake     chan struct{} // somebody waits for a first heartbeat to be stored
	slowdown atomic.Int64  // by which the interval is stretched
	watching atomic.Int64  // since when silence counts, in Unix microseconds
}

// beat is a heartbeat on its way to the database.
type beat struct {
	pulse *pulse
	at    time.Time
	next  time.Duration // that it was told
	heartbeat
	stored *acknowledgement // nil when nobody waits
}

type heartbeat = *constellation.Heartbeat

// acknowledgement tells who waits how storing went.
type acknowledgement struct {
	done chan struct{}
	err  error // once done is closed
}

func newHeart() *heart {
	h := &heart{pulses: map[string]*pulse{}, pending: map[string]*beat{}, wake: make(chan struct{}, 1)}
	h.slowdown.Store(1)
	return h
}

// AuthenticateLaunch gives the launch whose token is presented.
// KindUnauthenticated says what is wrong with the token, KindNotFound that
// there is no such launch any more.
func (s *Service) AuthenticateLaunch(ctx context.Context, satelliteID, launchID, token string) (Reporter, error) {
	if err := auth.ParseLaunchToken(token); err != nil {
		return Reporter{}, err
	}
	p, err := s.pulse(ctx, launchID)
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

// pulse gives what is remembered of a launch, or reads it.
func (s *Service) pulse(ctx context.Context, launchID string) (*pulse, error) {
	h := s.memory.heart
	h.mu.Lock()
	p, generation := h.pulses[launchID], h.generation
	h.mu.Unlock()
	if p != nil {
		return p, nil
	}
	launchID, err := parseID("launch", launchID)
	if err != nil {
		return nil, err
	}
	row, err := s.db.Reporter(ctx, launchID)
	if err != nil {
		return nil, err
	}
	keys, err := s.db.WorkingSatelliteKeys(ctx, row.SatelliteID)
	if err != nil {
		return nil, err
	}
	p = &pulse{Reporter: *row, keysDigest: constellation.KeysDigest(keys)}
	p.seen.Store(row.Seen)
	h.mu.Lock()
	defer h.mu.Unlock()
	// Something changed while we read: right for this heartbeat, and perhaps
	// not for the next.
	if h.listening && h.generation == generation {
		h.pulses[launchID] = p
	}
	return p, nil
}

// forget drops what is remembered of a satellite's launches; "" is of all.
func (h *heart) forget(satelliteID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation++
	for id, p := range h.pulses {
		if satelliteID == "" || p.SatelliteID == satelliteID {
			delete(h.pulses, id)
		}
	}
}

// Heartbeat takes what a launch reports. The first of a launch is answered
// once it is stored; later ones are stored within a second, and since counts
// are sent whole each time, one that is lost on the way changes no total.
func (s *Service) Heartbeat(ctx context.Context, r Reporter, b *constellation.Heartbeat) (*HeartbeatAnswer, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	p, h := r.pulse, s.memory.heart
	answer := &HeartbeatAnswer{Next: s.interval(), SatelliteVersion: p.SatelliteVersion, ExpiresAt: p.ExpiresAt}
	now := s.now()
	p.used.Store(now.Unix())
	stored, err := h.put(&beat{pulse: p, at: now, next: answer.Next, heartbeat: b}, !p.seen.Load())
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
		return answer, nil
	}
	if answer.Keys, err = s.db.WorkingSatelliteKeys(ctx, p.SatelliteID); err != nil {
		return nil, err
	}
	if answer.KeysDigest = constellation.KeysDigest(answer.Keys); answer.KeysDigest == b.KeysDigest {
		answer.KeysDigest, answer.Keys = "", nil
	}
	return answer, nil
}

// interval is how often launches are told to report.
func (s *Service) interval() time.Duration {
	return s.options.HeartbeatInterval * time.Duration(s.memory.heart.slowdown.Load())
}

// put queues a heartbeat in place of an earlier one of its launch that is not
// stored yet.
func (h *heart) put(b *beat, wait bool) (*acknowledgement, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		return nil, constellation.Errorf(constellation.KindUnavailable, "the mothership is stopping or starting; try again in a moment")
	}
	id := b.pulse.LaunchID
	if earlier := h.pending[id]; earlier != nil {
		b.stored = earlier.stored
		if len(b.KeysUsed)+len(earlier.KeysUsed) <= maxKeysUsed { // more would pile up while there is no database
			b.KeysUsed = append(b.KeysUsed, earlier.KeysUsed...)
		}
	}
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

// take empties the queue.
func (h *heart) take() []*beat {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pending) == 0 {
		return nil
	}
	list := make([]*beat, 0, len(h.pending))
	for _, b := range h.pending {
		list = append(list, b)
	}
	h.pending = make(map[string]*beat, len(list))
	return list
}

// putBack queues again what could not be stored, unless something newer is
// there.
func (h *heart) putBack(beats []*beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range beats {
		if h.pending[b.pulse.LaunchID] == nil {
			b.stored = nil // who waited was told
			h.pending[b.pulse.LaunchID] = b
		}
	}
}

// Running says whether Run takes heartbeats.
func (s *Service) Running() bool {
	h := s.memory.heart
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}

// Listening says whether Changes are heard of.
func (s *Service) Listening() bool {
	h := s.memory.heart
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listening
}
