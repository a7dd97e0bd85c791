package routing

import (
	"time"
)

// warnBefore is how long before a satellite's expiry callers and operators
// hear of it.
const warnBefore = 30 * 24 * time.Hour

// ExpiryWarning is what the X-Constellation-Warning header says of the
// satellite's date; a satellite serves on when it is past.
type ExpiryWarning struct {
	at            time.Time
	soon, expired string
}

// NewExpiryWarning returns the warning of a satellite that expires at a time.
func NewExpiryWarning(at time.Time) ExpiryWarning {
	day := at.UTC().Format(time.DateOnly)
	return ExpiryWarning{at: at, soon: "satellite expires on " + day, expired: "satellite expired on " + day}
}

// Text returns the warning at a moment, "" while there is none.
func (w *ExpiryWarning) Text(now time.Time) string {
	switch {
	case w.at.IsZero() || now.Before(w.at.Add(-warnBefore)):
		return ""
	case now.Before(w.at):
		return w.soon
	}
	return w.expired
}
