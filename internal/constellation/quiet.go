package constellation

import (
	"slices"
	"time"
)

// QuietHours are when a rule tells nothing: what happens is kept, and told in one
// message afterwards. They are by the clock on the wall of their time zone, so that
// the hour which daylight saving skips or repeats is quiet like its neighbours.
type QuietHours struct {
	From     string       `json:"from"` // HH:MM
	To       string       `json:"to"`   // HH:MM, the next day's when it is not after From
	TimeZone string       `json:"time_zone"`
	Except   []NoticeKind `json:"except,omitempty"` // what is told at once all the same
}

func (q *QuietHours) check(v *Validation) {
	from, to := minuteOf(q.From), minuteOf(q.To)
	if from < 0 {
		v.Add("quiet.from", "quiet hours begin at HH:MM, such as 22:00")
	}
	if to < 0 {
		v.Add("quiet.to", "quiet hours end at HH:MM, such as 07:00")
	}
	if from >= 0 && from == to {
		v.Add("quiet.to", "quiet hours end at another time than they begin; to tell nothing at all, turn the rule off")
	}
	if _, err := time.LoadLocation(q.TimeZone); err != nil || q.TimeZone == "" || q.TimeZone == "Local" {
		v.Add("quiet.time_zone", "there is no time zone %q; give one such as Europe/Berlin, or UTC", shortText(q.TimeZone, 60))
	}
	checkKinds(v, "quiet.except", q.Except)
}

// Active reports whether it is quiet at a time. Nil never is.
func (q *QuietHours) Active(at time.Time) bool {
	if q == nil {
		return false
	}
	zone, err := time.LoadLocation(q.TimeZone)
	from, to := minuteOf(q.From), minuteOf(q.To)
	if err != nil || from < 0 || to < 0 {
		return false // told too early rather than never
	}
	wall := at.In(zone)
	now := wall.Hour()*60 + wall.Minute()
	if from < to {
		return from <= now && now < to
	}
	return now >= from || now < to
}

// Passes reports whether a kind is told in quiet hours too.
func (q *QuietHours) Passes(kind NoticeKind) bool { return q != nil && slices.Contains(q.Except, kind) }

// minuteOf returns the minute of the day of HH:MM, -1 when it is none.
func minuteOf(text string) int {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		return -1
	}
	return at.Hour()*60 + at.Minute()
}
