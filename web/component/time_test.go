package component

import (
	"testing"
	"time"
)

func TestRelative(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", -30 * time.Second: "just now",
		time.Minute: "1 minute ago", 59 * time.Minute: "59 minutes ago",
		3 * time.Hour: "3 hours ago", -26 * time.Hour: "in 26 hours",
		48 * time.Hour: "2 days ago", -45 * 24 * time.Hour: "in 45 days",
		-365 * 24 * time.Hour: "in 1 year", 200 * 24 * time.Hour: "7 months ago", 800 * 24 * time.Hour: "2 years ago",
	} {
		if got := Relative(now.Add(-d), now); got != want {
			t.Errorf("Relative(%v ago) = %q, want %q", d, got, want)
		}
	}
}
