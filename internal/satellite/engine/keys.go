package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// heldKey is one key in force. Its use and its limit outlive changes of the
// other keys.
type heldKey struct {
	config.Key
	*keyUse
}

// keyUse is what calls change of a key.
type keyUse struct {
	used  atomic.Bool   // since it was last asked
	limit *rate.Limiter // nil is none
	rate  constellation.KeyRate
}

// limited says whether calls with the key are counted, for its rate.
func (u *keyUse) limited() bool { return u.limit != nil }

// keyring is the keys in force by the hash of the key.
type keyring map[[sha256.Size]byte]heldKey

// find gives the key of an Authorization header: "Simple KEY", "Bearer KEY"
// or the bare key. Nothing is compared with the key itself, only hashes.
func (ring keyring) find(authorization []byte, now time.Time) (heldKey, *failure) {
	key := bytes.TrimSpace(authorization)
	scheme, rest, ok := bytes.Cut(key, []byte(" "))
	switch {
	case bytes.EqualFold(scheme, []byte("Simple")), bytes.EqualFold(scheme, []byte("Bearer")):
		key = bytes.TrimSpace(rest)
	case ok:
		return heldKey{}, refuse(http.StatusUnauthorized, "the Authorization header is 'Simple KEY', 'Bearer KEY' or the key alone")
	}
	if len(key) == 0 {
		return heldKey{}, refuse(http.StatusUnauthorized, "authorization required")
	}
	k, ok := ring[sha256.Sum256(key)]
	if !ok {
		return heldKey{}, refuse(http.StatusUnauthorized, "this API key is not known to this satellite")
	}
	if k.Expired(now) {
		return heldKey{}, refuse(http.StatusUnauthorized, "this API key expired on "+k.ExpiresAt.UTC().Format(time.DateOnly))
	}
	return k, k.take(now)
}

// take notes a call with the key, and refuses it beyond the key's rate.
func (u *keyUse) take(now time.Time) *failure {
	if !u.used.Load() { // a write by every call would bounce between cores
		u.used.Store(true)
	}
	if u.limit == nil {
		return nil
	}
	r := u.limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	r.CancelAt(now)
	f := refuse(http.StatusTooManyRequests, "this API key makes more calls than its limit allows; try again later")
	f.retryAfter = max(1, int(math.Ceil(wait.Seconds())))
	return f
}

// spent notes a call that another engine served with the key.
func (h *keyholder) spent(id string, now time.Time) {
	h.mu.Lock()
	use := h.uses[id]
	h.mu.Unlock()
	if use != nil && use.limited() {
		use.limit.ReserveN(now, 1)
	}
}

// keyholder knows which keys are in force: those of keys.json, or those that
// the mothership said since.
type keyholder struct {
	mu   sync.Mutex
	file *config.Keys
	live []apiv1.HeartbeatKey  // when liveAt is set
	at   time.Time             // of what is in force; zero: keys.json as it was at the start
	uses map[string]*keyUse    // by id
	rate constellation.KeyRate // of keys that have none of their own
	ring *atomic.Pointer[keyring]
}

// takeFile takes keys.json: at the start, or when it changed, which is then
// newer than what the mothership said before.
func (h *keyholder) takeFile(keys *config.Keys, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file != nil {
		h.at = now
	}
	h.file, h.live = keys, nil
	h.hold(keys.Keys)
}

// takeLive takes what the mothership said at a moment, unless something newer
// is in force; the satellite's own key stays. It says whether it was taken.
func (h *keyholder) takeLive(live []apiv1.HeartbeatKey, at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !at.After(h.at) {
		return false
	}
	keys := make([]config.Key, 0, len(live)+1)
	for _, k := range live {
		key := config.Key{ID: k.ID, Name: k.Name, SHA256: k.SHA256, Algorithms: k.Algorithms}
		if k.Rate != nil {
			key.Rate = constellation.KeyRate(*k.Rate)
		}
		if k.ExpiresAt != nil {
			key.ExpiresAt = *k.ExpiresAt
		}
		keys = append(keys, key)
	}
	if i := slices.IndexFunc(h.file.Keys, isInternal); i >= 0 {
		keys = append(keys, h.file.Keys[i])
	}
	h.live, h.at = live, at
	if h.live == nil {
		h.live = []apiv1.HeartbeatKey{}
	}
	h.hold(keys)
	return true
}

func isInternal(k config.Key) bool { return k.ID == config.InternalKeyID }

// hold puts keys in force; h.mu is held.
func (h *keyholder) hold(keys []config.Key) {
	ring, uses := make(keyring, len(keys)), make(map[string]*keyUse, len(keys))
	for _, k := range keys {
		limit := k.Rate
		if limit.PerSecond == 0 && !isInternal(k) {
			limit = h.rate
		}
		use := h.uses[k.ID]
		if use == nil || use.rate != limit {
			use = &keyUse{rate: limit}
			if limit.PerSecond > 0 {
				use.limit = rate.NewLimiter(rate.Limit(limit.PerSecond), limit.BurstOrDefault())
			}
		}
		uses[k.ID] = use
		var sum [sha256.Size]byte
		if _, err := hex.Decode(sum[:], []byte(k.SHA256)); err == nil {
			ring[sum] = heldKey{k, use}
		}
	}
	h.uses = uses
	h.ring.Store(&ring)
}

// report gives the keys in force without the satellite's own, since when, and
// which were used since the last report.
func (h *keyholder) report() (keys []apiv1.HeartbeatKey, at time.Time, used []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, use := range h.uses {
		if id != config.InternalKeyID && use.used.Swap(false) {
			used = append(used, id)
		}
	}
	slices.Sort(used)
	if h.live != nil {
		return h.live, h.at, used
	}
	for _, k := range h.file.Keys {
		if isInternal(k) {
			continue
		}
		key := apiv1.HeartbeatKey{ID: k.ID, Name: k.Name, SHA256: k.SHA256, Algorithms: k.Algorithms}
		if !k.ExpiresAt.IsZero() {
			key.ExpiresAt = &k.ExpiresAt
		}
		if k.Rate.PerSecond > 0 {
			key.Rate = new(apiv1.KeyRate(k.Rate))
		}
		keys = append(keys, key)
	}
	return keys, h.at, used
}
