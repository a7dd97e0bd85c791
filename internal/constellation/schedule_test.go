package constellation

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func fieldsOf(err error) map[string]string {
	fields := map[string]string{}
	var e *Error
	if errors.As(err, &e) {
		for _, f := range e.Fields {
			fields[f.Field] = f.Message
		}
	}
	return fields
}

func TestScaleCheck(t *testing.T) {
	tests := []struct {
		scale Scale
		field string // that is refused, "" for none
		words string
	}{
		{Scale{2, nil, 0}, "", ""},
		{Scale{0, nil, 0}, "", ""},
		{Scale{2, new(0), 10}, "", ""},
		{Scale{0, new(0), 1}, "", ""},
		{Scale{1000, new(1000), 1000}, "", ""},
		{Scale{1, nil, 10}, "", ""},
		{Scale{-1, nil, 0}, "replicas", "0 to 1000"},
		{Scale{1001, nil, 0}, "replicas", "0 to 1000"},
		{Scale{1, new(-1), 2}, "min_replicas", "0 to 1000"},
		{Scale{1, new(1), 0}, "max_replicas", "give max_replicas"},
		{Scale{1, nil, -1}, "max_replicas", "1 to 1000"},
		{Scale{1, nil, 1001}, "max_replicas", "1 to 1000"},
		{Scale{3, new(3), 2}, "min_replicas", "above max_replicas"},
		{Scale{3, new(1), 2}, "replicas", "above max_replicas"},
		{Scale{1, new(2), 3}, "replicas", "below min_replicas"},
		{Scale{0, nil, 3}, "replicas", "1 where it is left out"},
	}
	for _, test := range tests {
		var v Validation
		test.scale.Check(&v, "algorithms[0].")
		fields := fieldsOf(v.Err())
		if test.field == "" {
			if len(fields) != 0 {
				t.Errorf("Check(%v) = %v, want nothing", test.scale, fields)
			}
			continue
		}
		if message := fields["algorithms[0]."+test.field]; len(fields) != 1 || !strings.Contains(message, test.words) {
			t.Errorf("Check(%v) = %v, want %s: …%s…", test.scale, fields, test.field, test.words)
		}
	}
}

func TestScaleString(t *testing.T) {
	for want, scale := range map[string]Scale{"2": {2, nil, 0}, "1..10": {2, nil, 10}, "0..3": {2, new(0), 3}} {
		if got := scale.String(); got != want {
			t.Errorf("%+v = %q, want %q", scale, got, want)
		}
	}
}

func TestCheckSchedules(t *testing.T) {
	good := Schedule{Name: "nightly", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: "foo/bar", Input: `{"a":1}`, ContentType: ContentJSON, Missed: MissedOnce}
	change := func(f func(*Schedule)) []Schedule {
		s := good
		f(&s)
		return []Schedule{s}
	}
	tests := []struct {
		name      string
		schedules []Schedule
		field     string
		words     string
	}{
		{"good", []Schedule{good}, "", ""},
		{"defaults", []Schedule{Schedule{Name: "x", Cron: "@daily", VanityURL: "foo/bar"}.WithDefaults()}, "", ""},
		{"text", change(func(s *Schedule) { s.ContentType, s.Input = ContentText, "" }), "", ""},
		{"bytes", change(func(s *Schedule) { s.ContentType, s.Input = ContentBinary, "AAEC" }), "", ""},
		{"no name", change(func(s *Schedule) { s.Name = "" }), "name", "1 to 63"},
		{"name of lines", change(func(s *Schedule) { s.Name = "a\nb" }), "name", "1 to 63"},
		{"name with a path", change(func(s *Schedule) { s.Name = "a/b" }), "name", "1 to 63"},
		{"long name", change(func(s *Schedule) { s.Name = strings.Repeat("x", 64) }), "name", "1 to 63"},
		{"no cron", change(func(s *Schedule) { s.Cron = " " }), "cron", "needs a cron"},
		{"cron of lines", change(func(s *Schedule) { s.Cron = "* * * * *\n" }), "cron", "one line"},
		{"long cron", change(func(s *Schedule) { s.Cron = strings.Repeat("*", 201) }), "cron", "at most 200"},
		{"no zone", change(func(s *Schedule) { s.TimeZone = "" }), "time_zone", "IANA"},
		{"local zone", change(func(s *Schedule) { s.TimeZone = "Local" }), "time_zone", "IANA"},
		{"made up zone", change(func(s *Schedule) { s.TimeZone = "Mars/Phobos" }), "time_zone", "no time zone"},
		{"zone that is a path", change(func(s *Schedule) { s.TimeZone = "../../etc/passwd" }), "time_zone", "no time zone"},
		{"other algorithm", change(func(s *Schedule) { s.VanityURL = "foo/other" }), "vanity_url", "of its own satellite version"},
		{"no JSON", change(func(s *Schedule) { s.Input = "hello" }), "input", "no JSON"},
		{"no base64", change(func(s *Schedule) { s.ContentType = ContentBinary }), "input", "base64"},
		{"NUL", change(func(s *Schedule) { s.ContentType, s.Input = ContentText, "a\x00" }), "input", "NUL"},
		{"no UTF-8", change(func(s *Schedule) { s.ContentType, s.Input = ContentText, "\xff" }), "input", "UTF-8"},
		{"large", change(func(s *Schedule) { s.ContentType, s.Input = ContentText, strings.Repeat("x", MaxScheduleInput+1) }), "input", "at most 256000"},
		{"other content", change(func(s *Schedule) { s.ContentType = "image/png" }), "content_type", "text/plain"},
		{"missed", change(func(s *Schedule) { s.Missed = "all" }), "missed", "skip"},
	}
	for _, test := range tests {
		var v Validation
		CheckSchedules(&v, "schedules", test.schedules, []string{"foo/bar"})
		fields := fieldsOf(v.Err())
		if test.field == "" {
			if len(fields) != 0 {
				t.Errorf("%s: CheckSchedules = %v, want nothing", test.name, fields)
			}
			continue
		}
		if message := fields["schedules[0]."+test.field]; len(fields) != 1 || !strings.Contains(message, test.words) {
			t.Errorf("%s: CheckSchedules = %v, want %s: …%s…", test.name, fields, test.field, test.words)
		}
	}
}

// What is right alone can be too much together.
func TestCheckSchedulesTogether(t *testing.T) {
	schedule := func(i int, input string) Schedule {
		return Schedule{Name: fmt.Sprintf("s%d", i), Cron: "@daily", VanityURL: "foo/bar", Input: input, ContentType: ContentText}.WithDefaults()
	}
	list := func(n int, input string) (all []Schedule) {
		for i := range n {
			all = append(all, schedule(i, input))
		}
		return all
	}
	twice := append(list(1, ""), list(1, "")...)
	twice[1].Name = "S0"
	for want, schedules := range map[string][]Schedule{
		"":                         list(MaxSchedules, "x"),
		"at most 100 schedules":    list(MaxSchedules+1, ""),
		"take":                     list(3, strings.Repeat("x", 200_000)),
		"is that of schedules[0]":  twice,
		"there is room for":        list(2, strings.Repeat("\"", 200_000)), // each is two bytes as JSON
		"has no algorithm at \"\"": {{Name: "x", Cron: "@daily", TimeZone: "UTC", ContentType: ContentText, Missed: MissedSkip}},
	} {
		var v Validation
		CheckSchedules(&v, "schedules", schedules, []string{"foo/bar"})
		err := v.Err()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("CheckSchedules = %v, want …%s…", err, want)
		}
	}
}

func TestScheduleBody(t *testing.T) {
	for _, test := range []struct{ content, input, want string }{
		{ContentJSON, `{"a":1}`, `{"a":1}`}, {ContentText, "hello", "hello"}, {ContentBinary, "AAEC", "\x00\x01\x02"},
	} {
		got, err := Schedule{ContentType: test.content, Input: test.input}.Body()
		if err != nil || string(got) != test.want {
			t.Errorf("Body of %s %q = %q, %v, want %q", test.content, test.input, got, err, test.want)
		}
	}
}

func TestCheckCallbackURL(t *testing.T) {
	for s, words := range map[string]string{
		"https://host.example/results?x=1":  "",
		"http://10.0.0.1:8080":              "",
		"https://[2001:db8::1]/x":           "",
		"":                                  "written whole",
		"host.example/results":              "written whole",
		"ftp://host.example/":               "written whole",
		"https:///results":                  "written whole",
		"https:host.example":                "written whole",
		"https://host.example/a b":          "written whole",
		"https://host.example/\r\nX: y":     "written whole",
		"https://höst.example/":             "written whole",
		"https://user:secret@host.example/": "no password",
		"https://host.example/#part":        "after '#'",
		"https://host.example/" + strings.Repeat("x", MaxCallbackURL): "at most 2048",
	} {
		var v Validation
		CheckCallbackURL(&v, "callback_url", s)
		err := v.Err()
		if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
			t.Errorf("CheckCallbackURL(%q) = %v, want …%s…", s, err, words)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("CheckCallbackURL(%q) repeats the password: %v", s, err)
		}
	}
}
