package keyring

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Ring is the keys in force.
type Ring struct {
	byHash  atomic.Pointer[map[[sha256.Size]byte]Key]
	byID    atomic.Pointer[map[string]Key]
	rate    constellation.KeyRate // of keys that have none of their own
	changed chan struct{}

	identities *lru.Cache[string, *use] // by ID

	mu      sync.Mutex
	held    config.Keys     // without the satellite's own key
	own     []config.Key    // which is keys.json's alone, as is
	revoked []string        // IDs of keys that work no more
	uses    map[string]*use // by ID
}

// New returns a ring without keys. Keys that have no rate of their own have
// standard.
func New(standard constellation.KeyRate) *Ring {
	r := &Ring{rate: standard, changed: make(chan struct{}, 1), identities: newUses()}
	r.byHash.Store(&map[[sha256.Size]byte]Key{})
	r.byID.Store(&map[string]Key{})
	return r
}

// Changed returns a channel that has something once another version is in force.
func (r *Ring) Changed() <-chan struct{} { return r.changed }

// SetFile puts keys.json in force, unless it is older than what is, and reports
// whether it did. Of the same version the file counts: a person changed it.
func (r *Ring) SetFile(file *config.Keys) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := *file
	r.own, r.revoked, keys.Keys, keys.Revoked = nil, file.Revoked, nil, nil
	for _, k := range file.Keys {
		if IsOwn(k) {
			r.own = append(r.own, k)
		} else {
			keys.Keys = append(keys.Keys, k)
		}
	}
	if file.Version < r.held.Version {
		r.put(r.held)
		return false
	}
	r.put(keys)
	return true
}

// Set puts in force what somebody else has in force, unless it is older than what
// is, and reports whether it did. Of the same version, keys leave when they
// expire.
func (r *Ring) Set(keys config.Keys) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if keys.Version < r.held.Version {
		return false
	}
	r.put(keys)
	return true
}

// put puts keys in force beside the satellite's own; r.mu is held.
func (r *Ring) put(keys config.Keys) {
	if keys.Version != r.held.Version {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
	keys.Keys = slices.DeleteFunc(slices.Clone(keys.Keys), func(k config.Key) bool { return slices.Contains(r.revoked, k.ID) })
	r.held = keys
	r.publish(slices.Concat(keys.Keys, r.own))
}

// publish makes keys those that calls are looked up in; r.mu is held.
func (r *Ring) publish(keys []config.Key) {
	byHash, byID, uses := make(map[[sha256.Size]byte]Key, len(keys)), make(map[string]Key, len(keys)), make(map[string]*use, len(keys))
	for _, k := range keys {
		limit := k.Rate
		switch {
		case limit.PerSecond > 0:
		case IsOwn(k):
			limit = config.InternalRate
		default:
			limit = r.rate
		}
		u := r.uses[k.ID]
		if u == nil || u.rate != limit {
			u = &use{rate: limit}
			if limit.PerSecond > 0 {
				u.limit = rate.NewLimiter(rate.Limit(limit.PerSecond), limit.BurstOrDefault())
			}
		}
		uses[k.ID] = u
		var sum [sha256.Size]byte
		if _, err := hex.Decode(sum[:], []byte(k.SHA256)); err == nil {
			key := Key{Key: k, use: u}
			byHash[sum], byID[k.ID] = key, key
		}
	}
	r.uses = uses
	r.byHash.Store(&byHash)
	r.byID.Store(&byID)
}

// InForce returns the keys in force, without the satellite's own.
func (r *Ring) InForce() config.Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// ExpiresAt returns when the satellite expires: as came with the keys, else as
// its routes have it.
func (r *Ring) ExpiresAt(routes time.Time) time.Time {
	if at := r.InForce().ExpiresAt; !at.IsZero() {
		return at
	}
	return routes
}

// TakeUsed returns which keys were used since it was last called, without the
// satellite's own.
func (r *Ring) TakeUsed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var used []string
	for id, u := range r.uses {
		if id != config.InternalKeyID && u.used.Swap(false) {
			used = append(used, id)
		}
	}
	slices.Sort(used)
	return used
}

// Rate returns the rate of a key in force, and how many calls it has left at this
// moment; the zero rate is none.
func (r *Ring) Rate(id string) (limit constellation.KeyRate, left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.uses[id]
	if u == nil || !u.Limited() {
		return constellation.KeyRate{}, 0
	}
	return u.rate, int(u.limit.Tokens())
}

// OnSpent counts a call that another engine served with the key.
func (r *Ring) OnSpent(id string, now time.Time) {
	r.mu.Lock()
	u := r.uses[id]
	r.mu.Unlock()
	if u == nil && IsIdentity(id) {
		u = r.useOf(id)
	}
	if u != nil && u.Limited() {
		u.limit.ReserveN(now, 1)
	}
}

// IsOwn reports whether k is the satellite's own key.
func IsOwn(k config.Key) bool { return k.ID == config.InternalKeyID }
