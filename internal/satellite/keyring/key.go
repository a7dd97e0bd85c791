package keyring

import (
	"bytes"
	"crypto/sha256"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Key is one key in force.
type Key struct {
	config.Key
	*use
	may func(vanityURL string) bool // of an identity; nil of a key
}

// use is what calls change of a key.
type use struct {
	used  atomic.Bool   // since TakeUsed
	limit *rate.Limiter // nil is none
	rate  constellation.KeyRate
}

// Limited reports whether the key has a rate.
func (u *use) Limited() bool { return u.limit != nil }

// Refusal is why a call's key does not let it in. Its message is for the caller.
type Refusal struct {
	Message    string
	RetryAfter time.Duration // whole seconds until the key's rate allows a call; 0 is a key that does not work
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

// Credential returns what an Authorization header holds: "Simple KEY", "Bearer
// KEY" or the bare key. The error is a *Refusal.
func Credential(authorization []byte) ([]byte, error) {
	key := bytes.TrimSpace(authorization)
	scheme, rest, ok := bytes.Cut(key, []byte(" "))
	switch {
	case bytes.EqualFold(scheme, []byte("Simple")), bytes.EqualFold(scheme, []byte("Bearer")):
		key = bytes.TrimSpace(rest)
	case ok:
		return nil, &Refusal{Message: "the Authorization header is 'Simple KEY', 'Bearer KEY' or the key alone"}
	}
	if len(key) == 0 {
		return nil, &Refusal{Message: "authorization required"}
	}
	return key, nil
}

// Find returns the key of an Authorization header, as Credential reads it. Nothing
// is compared with the key itself, only hashes. The error is a *Refusal.
func (r *Ring) Find(authorization []byte, now time.Time) (Key, error) {
	key, err := Credential(authorization)
	if err != nil {
		return Key{}, err
	}
	k, ok := (*r.byHash.Load())[sha256.Sum256(key)]
	if !ok {
		return Key{}, &Refusal{Message: "this API key is not known to this satellite"}
	}
	if k.Expired(now) {
		return Key{}, &Refusal{Message: "this API key expired on " + k.ExpiresAt.UTC().Format(time.DateOnly)}
	}
	return k, nil
}

// Of returns the key with an ID, for calls that were accepted with it and run
// later. The error is a *Refusal: the key was revoked or expired meanwhile. Who
// called without a key is not asked for here.
func (r *Ring) Of(id string, now time.Time) (Key, error) {
	k, ok := (*r.byID.Load())[id]
	switch {
	case !ok:
		return Key{}, &Refusal{Message: "the API key that this was begun with does not work any more"}
	case k.Expired(now):
		return Key{}, &Refusal{Message: "the API key that this was begun with expired on " + k.ExpiresAt.UTC().Format(time.DateOnly)}
	}
	return k, nil
}

// Spend counts a call with the key, and refuses it beyond the key's rate. The
// error is a *Refusal.
func (u *use) Spend(now time.Time) error {
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
	return &Refusal{
		Message:    "this API key makes more calls than its limit allows; try again later",
		RetryAfter: time.Duration(max(1, math.Ceil(wait.Seconds()))) * time.Second,
	}
}
