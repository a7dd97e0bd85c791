package engine

import (
	"time"
)

// warnBefore is how long before a satellite's expiry callers and operators
// hear of it.
const warnBefore = 30 * 24 * time.Hour

// expiryWarning is what the X-Constellation-Warning header says of the
// satellite's date; a satellite serves on when it is past.
type expiryWarning struct {
	at            time.Time
	soon, expired string
}

func newExpiryWarning(at time.Time) expiryWarning {
	day := at.UTC().Format(time.DateOnly)
	return expiryWarning{at: at, soon: "satellite expires on " + day, expired: "satellite expired on " + day}
}

// text is the warning at a moment, "" while there is none.
func (w *expiryWarning) text(now time.Time) string {
	switch {
	case w.at.IsZero() || now.Before(w.at.Add(-warnBefore)):
		return ""
	case now.Before(w.at):
		return w.soon
	}
	return w.expired
}

// warnExpiry logs once a day that the satellite is near its date or past it.
func (e *Engine) warnExpiry() {
	t, now := e.table.Load(), e.now()
	text := t.warning.text(now)
	if text == "" || now.Sub(e.warned) < 24*time.Hour {
		return
	}
	e.warned = now
	e.log.Warn(text+": it serves on; renew it on the mothership, which a connected satellite hears by itself, or deploy again",
		"satellite", t.satellite.ID, "expires_at", t.satellite.ExpiresAt)
}
