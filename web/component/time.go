// Package component has the parts that the panel's pages share.
package component

import (
	"fmt"
	"time"
)

// Relative says how far t is from now in words, as "3 hours ago" or "in 2
// days".
func Relative(t, now time.Time) string {
	d := now.Sub(t)
	past := d >= 0
	if !past {
		d = -d
	}
	var words string
	switch {
	case d < 45*time.Second:
		return "just now"
	case d < 90*time.Minute:
		words = Count(max(1, int(d.Round(time.Minute).Minutes())), "minute")
	case d < 36*time.Hour:
		words = Count(int(d.Round(time.Hour).Hours()), "hour")
	case d < 60*24*time.Hour:
		words = Count(int((d+12*time.Hour).Hours()/24), "day")
	case d < 350*24*time.Hour:
		words = Count(int(d.Hours()/24/30.4+0.5), "month")
	default:
		words = Count(max(1, int(d.Hours()/24/365.25+0.1)), "year")
	}
	if past {
		return words + " ago"
	}
	return "in " + words
}

// Count is a number of things: "1 day", "3 days".
func Count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Exact is a time for people who have to be sure, in UTC.
func Exact(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
