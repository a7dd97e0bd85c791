package cron

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a system image has no zones of its own

	gocron "github.com/netresearch/go-cron"
)

// MaxExpression is the length that an expression may have.
const MaxExpression = 200

// searchYears is how far ahead a next time is looked for: the 29th of February
// is up to eight years away.
const searchYears = 9

var (
	parser = gocron.MustNewParser(gocron.Minute | gocron.Hour | gocron.Dom | gocron.Month | gocron.Dow | gocron.Descriptor | gocron.DowOrDom).
		WithMaxSearchYears(searchYears)
	descriptors = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
	fieldNames  = [5]string{"minute", "hour", "day of the month", "month", "day of the week"}
)

const allHours = 1<<24 - 1

// Schedule is when something runs, in a time zone. Make it with Parse.
type Schedule struct {
	spec *gocron.SpecSchedule // in UTC, which skips and repeats nothing
	zone *time.Location
}

// Parse returns the schedule of a cron expression in the named time zone, as
// "Europe/Berlin" or "UTC". Its errors are sentences for whoever wrote them.
func Parse(expression, timeZone string) (*Schedule, error) {
	zone, err := ParseTimeZone(timeZone)
	if err != nil {
		return nil, err
	}
	spec, err := parse(expression)
	if err != nil {
		return nil, err
	}
	return &Schedule{spec: spec, zone: zone}, nil
}

// ParseTimeZone returns the time zone of a name of the IANA database.
func ParseTimeZone(name string) (*time.Location, error) {
	switch name {
	case "":
		return nil, errors.New("the schedule names no time zone: give one, as Europe/Berlin or UTC")
	case "Local":
		return nil, errors.New(`the time zone "Local" is another on each machine: name one, as Europe/Berlin or UTC`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil || len(name) > 64 {
		return nil, fmt.Errorf("there is no time zone %.64q: give a name of the IANA database, as Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// Check returns what is wrong with a cron expression, in a sentence.
func Check(expression string) error {
	_, err := parse(expression)
	return err
}

func parse(expression string) (*gocron.SpecSchedule, error) {
	if len(expression) > MaxExpression {
		return nil, fmt.Errorf("the cron expression has %d characters: at most %d are taken", len(expression), MaxExpression)
	}
	// The parser takes names in either case, but a capital H, as in THU, for
	// something else.
	text := strings.ToLower(strings.TrimSpace(expression))
	if err := checkShape(expression, text); err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the cron expression %q cannot be read: %w", expression, err)
	}
	spec, ok := parsed.(*gocron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("the cron expression %q has no wall clock time: give five fields", expression)
	}
	spec.Location = time.UTC
	if spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("the cron expression %q never runs: no month has such a day", expression)
	}
	return spec, nil
}

// checkShape refuses what has not five fields, and names the field that is wrong.
func checkShape(expression, text string) error {
	if strings.HasPrefix(text, "@") {
		for _, d := range descriptors {
			if text == d {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s: give one of them, or five fields", expression, strings.Join(descriptors, ", "))
	}
	if strings.HasPrefix(text, "tz=") || strings.HasPrefix(text, "cron_tz=") {
		return errors.New("the time zone does not belong into the cron expression: give it as time_zone")
	}
	fields := strings.Fields(text)
	if len(fields) != len(fieldNames) {
		return fmt.Errorf("the cron expression %q has %d fields: five are needed, %s", expression, len(fields), strings.Join(fieldNames[:], ", "))
	}
	for i, field := range fields {
		alone := [5]string{"*", "*", "*", "*", "*"}
		alone[i] = field
		_, err := parser.Parse(strings.Join(alone[:], " "))
		if err == nil && hasEmptyPart(field) {
			err = errors.New("a part between commas is empty")
		}
		if err != nil {
			return fmt.Errorf("the %s %q of the cron expression cannot be read: %w", fieldNames[i], field, err)
		}
	}
	return nil
}

func hasEmptyPart(field string) bool {
	for part := range strings.SplitSeq(field, ",") {
		if part == "" {
			return true
		}
	}
	return false
}
