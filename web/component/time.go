// Package component has the parts that the panel's pages share.
package component

import "time"

// Relative says how far t is from now in words, as "3 hours ago" or "in 2
// days".
func Relative(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d.Abs() < soon:
		return "just now"
	case d > 0:
		return span(d) + " ago"
	}
	return "in " + span(-d)
}

// Lasting says how long something has been as it is since t, to follow "for":
// "3 hours".
func Lasting(t, now time.Time) string {
	d := now.Sub(t)
	if d < soon {
		return "less than a minute"
	}
	return span(d)
}

// Left says how long something still takes, to stand alone: "about 3 hours left".
func Left(d time.Duration) string {
	if d < soon {
		return "less than a minute left"
	}
	return "about " + span(d) + " left"
}

// In says when something is that is still to come, "in 3 hours".
func In(t, now time.Time) string {
	if d := t.Sub(now); d >= soon {
		return "in " + span(d)
	}
	return "in less than a minute"
}

// soon is how near a time has to be to count as now.
const soon = 45 * time.Second

// span returns a length of time in its largest fitting unit.
func span(d time.Duration) string {
	switch {
	case d < 90*time.Minute:
		return Count(max(1, int(d.Round(time.Minute).Minutes())), "minute")
	case d < 36*time.Hour:
		return Count(int(d.Round(time.Hour).Hours()), "hour")
	case d < 60*24*time.Hour:
		return Count(int((d+12*time.Hour).Hours()/24), "day")
	case d < 350*24*time.Hour:
		return Count(int(d.Hours()/24/30.4+0.5), "month")
	}
	return Count(max(1, int(d.Hours()/24/365.25+0.1)), "year")
}

// Count is a number of things: "1 day", "3 days", "1 200 calls".
func Count[N int | int64](n N, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return Number(int64(n)) + " " + unit + "s"
}

func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Exact returns a time for people who have to be sure, in UTC.
func Exact(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
