package cron

import "time"

// Zone returns the time zone that the schedule is read in.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next returns the first time after the given one, in the schedule's zone; the
// zero time when there is none.
func (s *Schedule) Next(after time.Time) time.Time {
	after = after.In(s.zone)
	if s.spec.Hour&allHours == allHours {
		return s.nextOfEveryHour(after)
	}
	for wall := clockOf(after); ; {
		if wall = s.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		if t := instant(wall, s.zone); t.After(after) {
			return t
		}
	}
}

// NextN returns the first n times after the given one.
func (s *Schedule) NextN(after time.Time, n int) []time.Time {
	var times []time.Time
	for t := s.Next(after); len(times) < n && !t.IsZero(); t = s.Next(t) {
		times = append(times, t)
	}
	return times
}

// Count returns how many times lie after the first and up to the last, and the
// latest of those that it counted. It counts no more than limit.
func (s *Schedule) Count(after, until time.Time, limit int) (n int, latest time.Time) {
	for t := s.Next(after); n < limit && !t.IsZero() && !t.After(until); t = s.Next(t) {
		n, latest = n+1, t
	}
	return n, latest
}

// Last returns the latest time after the first and up to the last; the zero time
// when there is none.
func (s *Schedule) Last(after, until time.Time) time.Time {
	// The stretch before until is doubled until it holds a time, so that a year
	// of minutes is not walked.
	for stretch := time.Hour; ; stretch *= 2 {
		from := until.Add(-stretch)
		if from.Before(after) {
			from = after
		}
		var last time.Time
		for t := s.Next(from); !t.IsZero() && !t.After(until); t = s.Next(t) {
			last = t
		}
		if !last.IsZero() || !from.After(after) {
			return last
		}
	}
}

// nextOfEveryHour goes by the hours that pass: within a stretch of one offset
// from UTC the wall clock neither skips nor repeats.
func (s *Schedule) nextOfEveryHour(after time.Time) time.Time {
	for {
		_, offset := after.Zone()
		wall := s.spec.Next(clockOf(after))
		if wall.IsZero() {
			return time.Time{}
		}
		t := wall.Add(-time.Duration(offset) * time.Second).In(s.zone)
		_, end := after.ZoneBounds()
		if end.IsZero() || t.Before(end) {
			return t
		}
		after = end.Add(-1)
		// The last nanosecond of the stretch, read on the next stretch's clock.
		_, offset = end.Zone()
		first := s.spec.Next(after.UTC().Add(time.Duration(offset) * time.Second))
		if first.IsZero() {
			return time.Time{}
		}
		if t := first.Add(-time.Duration(offset) * time.Second).In(s.zone); t.Equal(end) {
			return t
		}
		after = end
	}
}

// clockOf returns what the clock on the wall shows at t, as a time in UTC.
func clockOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant returns when the clock on the wall shows what wall shows in UTC: the
// first of two such instants, and the end of the gap when there is none.
func instant(wall time.Time, zone *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	start, end := t.ZoneBounds()
	switch shown := clockOf(t); {
	case shown.After(wall):
		return start
	case shown.Before(wall):
		return end
	}
	if start.IsZero() {
		return t
	}
	_, before := start.Add(-1).Zone()
	if earlier := wall.Add(-time.Duration(before) * time.Second); earlier.Before(start) {
		return earlier.In(zone)
	}
	return t
}
