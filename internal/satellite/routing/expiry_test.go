package routing

import (
	"testing"
	"time"
)

func TestExpiryWarning(t *testing.T) {
	at := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	w := NewExpiryWarning(at)
	for now, want := range map[time.Time]string{
		at.AddDate(0, 0, -31): "",
		at.AddDate(0, 0, -29): "satellite expires on 2027-01-31",
		at.Add(-time.Second):  "satellite expires on 2027-01-31",
		at:                    "satellite expired on 2027-01-31",
		at.AddDate(1, 0, 0):   "satellite expired on 2027-01-31",
	} {
		if got := w.Text(now); got != want {
			t.Errorf("warning at %v = %q, want %q", now, got, want)
		}
	}
	never := NewExpiryWarning(time.Time{})
	if got := never.Text(at); got != "" {
		t.Errorf("warning of a satellite that never expires = %q", got)
	}
}
