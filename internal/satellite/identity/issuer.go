package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// KeysGood is how long an issuer's keys count that could not be fetched again.
// Then it is not known any more whether they still are the issuer's.
const KeysGood = 7 * 24 * time.Hour

const (
	refreshEvery = 5 * time.Minute
	// refreshAtMost is how often tokens with unknown keys can have the keys fetched.
	refreshAtMost = 10 * time.Second
	retryFirst    = 2 * time.Second
	lookEvery     = time.Second // at a file
	keptEvery     = time.Hour   // the time of keys that stay the same is written
)

// issuer is an issuer's settings with its keys as they are now.
type issuer struct {
	settings config.JWT
	id       string // what its identities' IDs begin with
	dir      string
	now      func() time.Time
	log      *slog.Logger
	store    Store
	get      func(ctx context.Context) ([]byte, error) // nil where the keys come from a file

	keys    atomic.Pointer[keySet]
	wanted  chan struct{} // holds something when a token wants the keys fetched
	fetches atomic.Uint64
	failed  atomic.Uint64

	mu       sync.Mutex
	attempts int           // failures since the last success
	last     time.Time     // when the last attempt began
	busy     bool          // it goes on
	ended    chan struct{} // is closed when the next attempt ends
	kept     bool          // what is kept was read
	problem  string        // that was logged last; "" after a success

	saved       time.Time // when keys were fetched that the store has
	savedDigest [sha256.Size]byte
}

func newIssuer(settings config.JWT, o Options) (*issuer, error) {
	s := &issuer{
		settings: settings, id: issuerID(settings.Issuer), dir: o.Dir, now: o.Now, log: o.Log,
		wanted: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if settings.JWKSURL == "" {
		s.note(s.readFile())
		return s, nil
	}
	client, err := newClient(settings.CA)
	if err == nil {
		s.store, err = o.Store()
	}
	if err != nil {
		return nil, err
	}
	s.get = func(ctx context.Context) ([]byte, error) { return fetch(ctx, client, settings.JWKSURL) }
	return s, nil
}

// tooOld reports whether it is not known any more that keys are the issuer's.
func (s *issuer) tooOld(keys *keySet, now time.Time) bool {
	return !keys.fetched.IsZero() && now.Sub(keys.fetched) > KeysGood
}

// mayRefresh reports whether waiting for Refresh may bring keys that are not known
// yet.
func (s *issuer) mayRefresh(now time.Time) bool {
	if s.get == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy || s.last.IsZero() || now.Sub(s.last) >= refreshAtMost
}

// run keeps the keys current until ctx ends.
func (s *issuer) run(ctx context.Context) {
	for {
		timer := time.NewTimer(s.renew(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wanted:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// refresh waits until the keys were fetched, or could not be.
func (s *issuer) refresh(ctx context.Context) {
	s.mu.Lock()
	ended, busy := s.ended, s.busy
	s.mu.Unlock()
	if !busy {
		select {
		case s.wanted <- struct{}{}:
		default:
		}
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// renew makes one attempt to have current keys, and returns when the next is due.
func (s *issuer) renew(ctx context.Context) time.Duration {
	if s.get == nil {
		s.note(s.readFile())
		return lookEvery
	}
	select { // an attempt that begins now is what was wanted
	case <-s.wanted:
	default:
	}
	s.mu.Lock()
	s.last, s.busy = s.now(), true
	s.mu.Unlock()
	s.readKept(ctx)
	s.fetches.Add(1)
	err := s.update(ctx)
	s.note(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ended)
	s.ended, s.busy = make(chan struct{}), false
	if err != nil {
		s.failed.Add(1)
		s.attempts++
		return min(refreshEvery, retryFirst<<min(s.attempts-1, 10))
	}
	s.attempts = 0
	return refreshEvery
}

// note logs once what is wrong with the issuer's keys.
func (s *issuer) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled):
	case err == nil && s.problem != "":
		s.problem = ""
		s.log.Info("the issuer's keys are current again", "issuer", s.settings.Issuer)
	case err != nil && s.problem != err.Error():
		s.problem = err.Error()
		args := []any{"issuer", s.settings.Issuer, "error", err}
		if keys := s.keys.Load(); keys != nil {
			args = append(args, "fetched_at", keys.fetched, "good_until", keys.fetched.Add(KeysGood))
		}
		s.log.Warn("the issuer's keys cannot be read; those that are known go on to count", args...)
	}
}

// update puts the issuer's keys in force as they are now.
func (s *issuer) update(ctx context.Context) error {
	data, err := s.get(ctx)
	if err != nil {
		return err
	}
	keys, err := parseKeys(data, s.now())
	if err != nil {
		return fmt.Errorf("%s: %w", s.settings.JWKSURL, err)
	}
	s.put(keys)
	s.keep(ctx, keys)
	return nil
}

// readFile puts the keys of the file in force if it changed.
func (s *issuer) readFile() error {
	path := s.settings.JWKSFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxKeySet {
		return fmt.Errorf("%s has more than %d bytes", s.settings.JWKSFile, maxKeySet)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the issuer's keys: %w", err)
	}
	if before := s.keys.Load(); before != nil && before.digest == sha256.Sum256(data) {
		return nil
	}
	keys, err := parseKeys(data, time.Time{})
	if err != nil {
		return fmt.Errorf("%s: %w", s.settings.JWKSFile, err)
	}
	s.put(keys)
	return nil
}

// put puts keys in force. What was verified with the same keys before goes on to
// count.
func (s *issuer) put(keys *keySet) {
	before := s.keys.Load()
	if before != nil && before.digest == keys.digest {
		keys.verified = before.verified
	} else {
		s.log.Info("the issuer's keys are in force", "issuer", s.settings.Issuer, "keys", len(keys.keys), "not_usable", keys.skipped)
	}
	s.keys.Store(keys)
}

// readKept puts in force what is kept, at the first attempt that can read it.
func (s *issuer) readKept(ctx context.Context) {
	s.mu.Lock()
	read := s.kept
	s.mu.Unlock()
	if read {
		return
	}
	kept, err := s.store.Load(ctx)
	switch {
	case err != nil:
		s.log.Warn("the issuer's kept keys cannot be read", "error", err)
		return
	case kept.URL == s.settings.JWKSURL && kept.Issuer == s.settings.Issuer && s.keys.Load() == nil:
		if keys, err := parseKeys(kept.Keys, kept.FetchedAt); err != nil {
			s.log.Warn("the issuer's kept keys cannot be used", "error", err)
		} else {
			s.put(keys)
		}
	}
	s.mu.Lock()
	s.kept = true
	s.mu.Unlock()
}

// keep stores keys for the time when the issuer is away.
func (s *issuer) keep(ctx context.Context, keys *keySet) {
	s.mu.Lock()
	due := keys.digest != s.savedDigest || keys.fetched.Sub(s.saved) >= keptEvery
	s.mu.Unlock()
	if !due {
		return
	}
	err := s.store.Save(ctx, Kept{URL: s.settings.JWKSURL, Issuer: s.settings.Issuer, FetchedAt: keys.fetched, Keys: keys.raw})
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("the issuer's keys cannot be kept: an engine that starts while the issuer is away takes no tokens", "error", err)
		return
	}
	s.mu.Lock()
	s.saved, s.savedDigest = keys.fetched, keys.digest
	s.mu.Unlock()
}
