package constellation

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same wherever a schedule is checked or run: images have no zoneinfo
	"unicode/utf8"
)

// What a satellite version has of schedules at most.
const (
	MaxSchedules      = 100
	MaxScheduleName   = 63
	MaxCron           = 200     // bytes of a cron expression
	MaxScheduleInput  = 256_000 // bytes of one input
	MaxScheduleInputs = 512_000 // bytes of all inputs as JSON: they are in one ConfigMap with the routes
)

// Schedule calls an algorithm of its satellite version again and again, by the
// satellite itself. The zero values of TimeZone, ContentType and Missed are not
// valid: WithDefaults makes them so.
type Schedule struct {
	Name      string `json:"name"`
	Cron      string `json:"cron"`
	TimeZone  string `json:"time_zone"` // an IANA name
	VanityURL string `json:"vanity_url"`
	// Input is the call's body; that of application/octet-stream is in base64.
	Input       string `json:"input"`
	ContentType string `json:"content_type"`
	Missed      string `json:"missed"` // MissedSkip or MissedOnce
}

// What becomes of the runs that were due while the satellite was away: none of
// them is made up for, or one run stands for all.
const (
	MissedSkip = "skip"
	MissedOnce = "once"
)

// The content types that a call has.
const (
	ContentJSON   = "application/json"
	ContentText   = "text/plain"
	ContentBinary = "application/octet-stream"
)

// DefaultTimeZone is the zone of a schedule that names none.
const DefaultTimeZone = "UTC"

var scheduleName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

// WithDefaults returns the schedule with a value for all that was left out: UTC,
// application/json, skip, and the input null of a call with JSON.
func (s Schedule) WithDefaults() Schedule {
	if s.TimeZone == "" {
		s.TimeZone = DefaultTimeZone
	}
	if s.ContentType == "" {
		s.ContentType = ContentJSON
	}
	if s.Input == "" && s.ContentType == ContentJSON {
		s.Input = "null"
	}
	if s.Missed == "" {
		s.Missed = MissedSkip
	}
	return s
}

// Body returns the bytes that a run calls with.
func (s Schedule) Body() ([]byte, error) {
	if s.ContentType != ContentBinary {
		return []byte(s.Input), nil
	}
	body, err := base64.StdEncoding.DecodeString(s.Input)
	if err != nil {
		return nil, Errorf(KindInvalid, "the input of schedule %q is %s, so it is written in base64; %v", s.Name, ContentBinary, err)
	}
	return body, nil
}

// Location returns the schedule's time zone.
func (s Schedule) Location() (*time.Location, error) {
	if s.TimeZone == "Local" || s.TimeZone == "" { // of whatever machine
		return nil, Errorf(KindInvalid, "a time zone is an IANA name such as Europe/Berlin, or UTC; not %q", s.TimeZone)
	}
	location, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, Wrap(err, KindInvalid, "there is no time zone %q; a time zone is an IANA name such as Europe/Berlin, or UTC", shorten(s.TimeZone))
	}
	return location, nil
}

// Check adds to v what is wrong with the schedule at field, but for its cron
// expression, of which it looks at the length alone: whoever runs or takes
// schedules reads it.
func (s Schedule) Check(v *Validation, field string) {
	if len(s.Name) > MaxScheduleName || !scheduleName.MatchString(s.Name) {
		v.Add(field+".name", "the name of a schedule has 1 to %d letters, digits, '_', '.' and '-', and starts and ends with a letter or digit; not %q", MaxScheduleName, shorten(s.Name))
	}
	s.CheckCron(v, field+".cron")
	if _, err := s.Location(); err != nil {
		v.Add(field+".time_zone", "%s", messageOf(err))
	}
	if s.Missed != MissedSkip && s.Missed != MissedOnce {
		v.Add(field+".missed", "missed is %s, or %s for one run that stands for all that were missed; not %q", MissedSkip, MissedOnce, shorten(s.Missed))
	}
	CheckVanityURL(v, field+".vanity_url", s.VanityURL)
	s.checkInput(v, field)
}

// CheckCron adds to v what is wrong with the cron expression, which is at field,
// as far as its text goes.
func (s Schedule) CheckCron(v *Validation, field string) {
	switch {
	case strings.TrimSpace(s.Cron) == "":
		v.Add(field, "a schedule needs a cron expression, such as 0 6 * * 1-5 for 6:00 from Monday to Friday")
	case len(s.Cron) > MaxCron || strings.ContainsFunc(s.Cron, IsInvisible):
		v.Add(field, "a cron expression is one line of at most %d characters", MaxCron)
	}
}

func (s Schedule) checkInput(v *Validation, field string) {
	if len(s.Input) > MaxScheduleInput {
		v.Add(field+".input", "the input of a schedule has at most %d bytes; this one has %d", MaxScheduleInput, len(s.Input))
		return
	}
	if !utf8.ValidString(s.Input) || strings.ContainsRune(s.Input, 0) {
		v.Add(field+".input", "the input of a schedule is text in UTF-8 without NUL; write other bytes in base64, with the content_type %s", ContentBinary)
		return
	}
	switch s.ContentType {
	case ContentJSON:
		if !json.Valid([]byte(s.Input)) {
			v.Add(field+".input", "the input is no JSON, which its content_type %s says; text has quotes around it there, or the content_type %s", ContentJSON, ContentText)
		}
	case ContentText:
	case ContentBinary:
		if _, err := s.Body(); err != nil {
			v.Add(field+".input", "the input of %s is written in base64, and this is none", ContentBinary)
		}
	default:
		v.Add(field+".content_type", "content_type is %s, %s or %s; not %q", ContentJSON, ContentText, ContentBinary, shorten(s.ContentType))
	}
}

func messageOf(err error) string {
	if e, ok := err.(*Error); ok { //nolint:errorlint // our own, made just now
		return e.Message
	}
	return err.Error()
}

// CheckSchedules adds to v what is wrong with the schedules of a version whose
// algorithms have vanityURLs. Their cron expressions are checked as
// Schedule.Check does.
func CheckSchedules(v *Validation, field string, schedules []Schedule, vanityURLs []string) {
	if len(schedules) > MaxSchedules {
		v.Add(field, "a satellite has at most %d schedules; these are %d", MaxSchedules, len(schedules))
		return
	}
	first, inputs := map[string]int{}, 0
	for i, s := range schedules {
		at := fmt.Sprintf("%s[%d]", field, i)
		s.Check(v, at)
		name := Fold(s.Name)
		if earlier, ok := first[name]; ok {
			v.Add(at+".name", "the name %q is that of %s[%d] already; give another", shorten(s.Name), field, earlier)
		} else {
			first[name] = i
		}
		if !slices.Contains(vanityURLs, s.VanityURL) {
			v.Add(at+".vanity_url", "the satellite has no algorithm at %q; a schedule calls an algorithm of its own satellite version", shorten(s.VanityURL))
		}
		if input, err := json.Marshal(s.Input); err == nil {
			inputs += len(input)
		}
	}
	if inputs > MaxScheduleInputs {
		v.Add(field, "the inputs of all schedules take %d bytes as JSON, and there is room for %d; let algorithms read what is large from elsewhere", inputs, MaxScheduleInputs)
	}
}

// CheckScheduled adds to v that a schedule cannot run, which calls an algorithm
// with these runtime settings: its runs are calls that outlive their caller, and
// those go over HTTP/1.1.
func CheckScheduled(v *Validation, field string, s Schedule, r Runtime) {
	if r.HTTP2 {
		v.Add(field, "the schedule %q calls %s, which speaks HTTP/2 alone (constellation.http2=true) and can only be called directly: let it call another algorithm, or leave it out", shorten(s.Name), shorten(s.VanityURL))
	}
}
