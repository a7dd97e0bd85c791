package heartbeat

import (
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// AccessOf returns keys, and when the satellite expires, as heartbeats have them.
func AccessOf(keys config.Keys, expiresAt time.Time) Access {
	a := Access{Version: keys.Version, ExpiresAt: expiresAt, Keys: make([]apiv1.HeartbeatKey, len(keys.Keys))}
	for i, k := range keys.Keys {
		a.Keys[i] = apiv1.HeartbeatKey{ID: k.ID, Name: k.Name, SHA256: k.SHA256, Algorithms: k.Algorithms, CallbackURL: k.CallbackURL}
		if !k.ExpiresAt.IsZero() {
			a.Keys[i].ExpiresAt = &k.ExpiresAt
		}
		if k.Rate.PerSecond > 0 {
			a.Keys[i].Rate = new(apiv1.KeyRate(k.Rate))
		}
	}
	return a
}

// Config returns the keys, and when the satellite expires, as files have them.
func (a Access) Config() config.Keys {
	keys := config.Keys{Version: a.Version, ExpiresAt: a.ExpiresAt}
	for _, k := range a.Keys {
		key := config.Key{ID: k.ID, Name: k.Name, SHA256: k.SHA256, Algorithms: k.Algorithms, CallbackURL: k.CallbackURL}
		if k.Rate != nil {
			key.Rate = constellation.KeyRate(*k.Rate)
		}
		if k.ExpiresAt != nil {
			key.ExpiresAt = *k.ExpiresAt
		}
		keys.Keys = append(keys.Keys, key)
	}
	return keys
}
