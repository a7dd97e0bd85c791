package constellation

import (
	"strconv"
	"time"
)

// maxAge bounds what ParseAge reads: times that far from now are in every calendar.
const maxAge = 200 * 366 * 24 * time.Hour

// ParseAge reads how long something is, as people say it: a number of minutes, hours,
// days or weeks, such as 30m, 12h, 7d or 2w.
func ParseAge(text string) (time.Duration, bool) {
	if text == "" {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !ok || err != nil || n > uint64(maxAge/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true //nolint:gosec // at most maxAge
}
