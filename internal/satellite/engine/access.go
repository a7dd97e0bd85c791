package engine

import (
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// Take puts the mothership's answer in force, unless what is in force is newer, and
// reports whether it did.
func (e *Engine) Take(access heartbeat.Access) bool {
	keys := access.Config()
	keys.Sift()
	for _, part := range keys.Refused {
		e.log.Error("a key that the mothership told of is refused; the others are in force", "key", part.Name, "error", part.Reason)
	}
	return e.setKeys(keys, "the mothership")
}

// setKeys is Take of keys that are valid; from is where they are from, for the log.
func (e *Engine) setKeys(keys config.Keys, from string) bool {
	if !e.keys.Set(keys) {
		return false
	}
	e.log.Info("newer keys are in force", "from", from, "version", keys.Version, "keys", len(keys.Keys))
	e.applyExpiry()
	return true
}

// keySetter lets the keeper put keys in force.
type keySetter struct{ e *Engine }

// SetKeys puts keys in force, and what comes with them.
func (s keySetter) SetKeys(keys config.Keys, from string) bool { return s.e.setKeys(keys, from) }

// applyExpiry puts in force when the satellite expires, as came with the keys.
func (e *Engine) applyExpiry() {
	e.applying.Lock()
	defer e.applying.Unlock()
	old := e.table.Load()
	if old == nil {
		return
	}
	at := e.keys.ExpiresAt(old.Satellite.ExpiresAt)
	if old.Satellite.ExpiresAt.Equal(at) {
		return
	}
	next := *old
	next.Satellite.ExpiresAt, next.Warning = at, routing.NewExpiryWarning(at)
	e.table.Store(&next)
	e.log.Info("the satellite's expiry changed", "expires_at", at)
}

// inForce returns what is in force, as heartbeats have it.
func (e *Engine) inForce(t *routing.Table) heartbeat.Access {
	return heartbeat.AccessOf(e.keys.InForce(), t.Satellite.ExpiresAt)
}

// warnExpiry logs once a day that the satellite is near its date or past it.
func (e *Engine) warnExpiry() {
	t, now := e.table.Load(), e.now()
	text := t.Warning.Text(now)
	if text == "" || now.Sub(e.warned) < 24*time.Hour {
		return
	}
	e.warned = now
	e.log.Warn(text+": it serves on; renew it on the mothership, which a connected satellite hears by itself, or deploy again",
		"satellite", t.Satellite.ID, "expires_at", t.Satellite.ExpiresAt)
}
