package cron

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	gocron "github.com/netresearch/go-cron"
)

const (
	starBit    = 1 << 63 // of a field that is *
	allMinutes = 1<<60 - 1
	allDays    = 1<<32 - 2
	allMonths  = 1<<13 - 2
	allWeek    = 1<<7 - 1
	maxTimes   = 6 // that are listed one by one
)

// Words returns in English when a cron expression runs: "at 02:30 on Monday to
// Friday".
func Words(expression string) (string, error) {
	spec, err := parse(expression)
	if err != nil {
		return "", err
	}
	return words(spec), nil
}

// Words returns in English when the schedule runs, without its time zone.
func (s *Schedule) Words() string { return words(s.spec) }

func words(s *gocron.SpecSchedule) string {
	times, daily := timesInWords(s.Minute&allMinutes, s.Hour&allHours)
	days := daysInWords(s)
	if days == "" && daily {
		days = "every day"
	}
	if days != "" {
		times += " " + days
	}
	if s.Month&allMonths != allMonths {
		times += " in " + list(s.Month&allMonths, func(n int) string { return time.Month(n).String() })
	}
	return times
}

// timesInWords says at which times of a day, and reports whether that wants a
// word on the days beside it.
func timesInWords(minutes, hours uint64) (text string, daily bool) {
	everyHour := hours == allHours
	step := stepOf(minutes, 60)
	switch {
	case !everyHour && bits.OnesCount64(minutes)*bits.OnesCount64(hours) <= maxTimes:
		return "at " + timesOfDay(minutes, hours), true
	case everyHour && minutes == 1:
		return "every hour, on the hour", false
	case everyHour && step == 0:
		return "every hour at " + counted("minute", minutes), false
	case step == 0:
		return "at " + counted("minute", minutes) + " of " + counted("hour", hours), true
	}
	text = "every minute"
	if step > 1 {
		text = fmt.Sprintf("every %d minutes", step)
	}
	switch first, last, whole := rangeOf(hours); {
	case everyHour:
		return text, false
	case whole:
		return fmt.Sprintf("%s from %02d:00 to %02d:59", text, first, last), true
	}
	return text + " in " + counted("hour", hours), true
}

func timesOfDay(minutes, hours uint64) string {
	var times []string
	for hour := range 24 {
		for minute := range 60 {
			if hours&(1<<hour) != 0 && minutes&(1<<minute) != 0 {
				times = append(times, fmt.Sprintf("%02d:%02d", hour, minute))
			}
		}
	}
	return join(times)
}

func daysInWords(s *gocron.SpecSchedule) string {
	month, week := s.Dom&allDays, s.Dow&allWeek
	dom, dow := month != allDays, week != allWeek
	onDays := "on " + counted("day", month) + " of the month"
	onWeekdays := "on " + list(week, func(n int) string { return time.Weekday(n).String() })
	switch {
	case dom && dow:
		return onDays + " or " + onWeekdays
	case (dom || dow) && (s.Dom|s.Dow)&starBit == 0:
		return "every day" // either of the two, and one of them is each day
	case dom:
		return onDays
	case dow:
		return onWeekdays
	}
	return ""
}

// counted returns "minute 5", or "minutes 5, 10 and 20 to 30".
func counted(noun string, set uint64) string {
	if bits.OnesCount64(set) > 1 {
		noun += "s"
	}
	return noun + " " + list(set, strconv.Itoa)
}

// list names what is in a set, runs of three and more as "a to b".
func list(set uint64, name func(int) string) string {
	var parts []string
	for i := 0; i < 64; i++ {
		if set&(1<<i) == 0 {
			continue
		}
		last := i
		for last < 63 && set&(1<<(last+1)) != 0 {
			last++
		}
		if last-i < 2 {
			parts = append(parts, name(i))
			continue
		}
		parts = append(parts, name(i)+" to "+name(last))
		i = last
	}
	return join(parts)
}

func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// stepOf returns n when a set is each n-th of 0 to size-1, from 0 on, and fills
// it evenly; else 0.
func stepOf(set uint64, size int) int {
	n := size / max(1, bits.OnesCount64(set))
	if n >= size || size%n != 0 {
		return 0
	}
	var even uint64
	for i := 0; i < size; i += n {
		even |= 1 << i
	}
	if even != set {
		return 0
	}
	return n
}

// rangeOf returns the first and last of a set, and whether all between is in it.
func rangeOf(set uint64) (first, last int, whole bool) {
	first, last = bits.TrailingZeros64(set), 63-bits.LeadingZeros64(set)
	return first, last, bits.OnesCount64(set) == last-first+1
}
