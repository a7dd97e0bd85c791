package cron_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/cron"
)

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ expression, zone, want string }{
		{"", "UTC", "has 0 fields"},
		{"* * * *", "UTC", "has 4 fields: five are needed, minute, hour"},
		{"0 * * * * *", "UTC", "has 6 fields"},
		{"60 * * * *", "UTC", `the minute "60"`},
		{"* 24 * * *", "UTC", `the hour "24"`},
		{"* * 0 * *", "UTC", `the day of the month "0"`},
		{"* * * 13 *", "UTC", `the month "13"`},
		{"* * * * 8", "UTC", `the day of the week "8"`},
		{"*/0 * * * *", "UTC", `the minute "*/0"`},
		{"5- * * * *", "UTC", `the minute "5-"`},
		{", * * * *", "UTC", "a part between commas is empty"},
		{"1,,2 * * * *", "UTC", "a part between commas is empty"},
		{"H * * * *", "UTC", "the minute"},
		{"* * L * *", "UTC", "the day of the month"},
		{"* * * * MON#2", "UTC", "the day of the week"},
		{"0 0 30 2 *", "UTC", "never runs"},
		{"0 0 31 4,6,9,11 *", "UTC", "never runs"},
		{"@every 1s", "UTC", "is none of @yearly"},
		{"@reboot", "UTC", "is none of @yearly"},
		{"TZ=Europe/Berlin 0 0 * * *", "UTC", "give it as time_zone"},
		{"CRON_TZ=UTC 0 0 * * *", "UTC", "give it as time_zone"},
		{strings.Repeat("0,", 200) + " * * * *", "UTC", "at most 200"},
		{"@daily", "", "names no time zone"},
		{"@daily", "Local", "another on each machine"},
		{"@daily", "Europe/Atlantis", `no time zone "Europe/Atlantis"`},
		{"@daily", "../../etc/passwd", "no time zone"},
	} {
		if _, err := cron.Parse(c.expression, c.zone); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q, %q) = %v, want an error with %q", c.expression, c.zone, err, c.want)
		}
	}
}

// TestNext has both nights on which the clocks change, and zones that change
// them oddly: by half an hour, at midnight, by a whole day.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, expression, zone, after string
		want                          []string
	}{
		{"plain", "30 2 * * *", "Europe/Berlin", "2026-06-01T02:30:00+02:00", []string{"2026-06-02T02:30:00+02:00", "2026-06-03T02:30:00+02:00"}},
		{"in a second's middle", "* * * * *", "UTC", "2026-06-01T02:30:59.5Z", []string{"2026-06-01T02:31:00Z", "2026-06-01T02:32:00Z"}},
		{"spring: skipped, after the gap", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"spring: several skipped, once", "*/10 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"spring: the gap's end itself, once", "0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"spring: from within", "30 2 * * *", "Europe/Berlin", "2026-03-29T03:00:00+02:00", []string{"2026-03-30T02:30:00+02:00"}},
		{"spring: each quarter of an hour", "*/15 * * * *", "Europe/Berlin", "2026-03-29T01:40:00+01:00", []string{"2026-03-29T01:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00"}},
		{"spring: each half hour, none made up", "30 * * * *", "Europe/Berlin", "2026-03-29T01:00:00+01:00", []string{"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
		{"autumn: twice there, once run", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00", []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"autumn: from the repeated hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"autumn: each half hour goes on", "30 * * * *", "Europe/Berlin", "2026-10-25T01:45:00+02:00", []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"}},
		{"autumn: each minute goes on", "* * * * *", "Europe/Berlin", "2026-10-25T02:59:00+02:00", []string{"2026-10-25T02:00:00+01:00", "2026-10-25T02:01:00+01:00"}},
		{"New York, spring", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"New York, autumn", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"half an hour, spring", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", []string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"half an hour, autumn", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"midnight is skipped", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00-03:00", []string{"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		{"midnight is skipped, each hour of that day", "0 * 4 11 *", "America/Sao_Paulo", "2018-11-01T12:00:00-03:00", []string{"2018-11-04T01:00:00-02:00", "2018-11-04T02:00:00-02:00"}},
		{"a day is skipped", "0 9 * * *", "Pacific/Apia", "2011-12-29T10:00:00-10:00", []string{"2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00"}},
		{"a leap day", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"a day of the month or of the week", "0 0 13 * FRI", "UTC", "2026-11-10T00:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"THU, which has an H", "0 0 * * THU", "UTC", "2026-11-10T00:00:00Z", []string{"2026-11-12T00:00:00Z"}},
		{"Sunday is 7 too", "0 0 * MAR 7", "UTC", "2026-11-10T00:00:00Z", []string{"2027-03-07T00:00:00Z"}},
		{"@weekly", "@weekly", "Asia/Kolkata", "2026-11-10T00:00:00Z", []string{"2026-11-15T00:00:00+05:30"}},
	} {
		s, err := cron.Parse(c.expression, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, at := range s.NextN(at(t, c.after), len(c.want)) {
			got = append(got, at.Format(time.RFC3339Nano))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %q in %s (-want +got):\n%s", c.name, c.expression, c.zone, diff)
		}
	}
}

// TestDaysHaveOne walks ten years: a schedule of one time a day runs once each
// day, whatever the clocks do.
func TestDaysHaveOne(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Tehran"} {
		for _, expression := range []string{"30 2 * * *", "0 0 * * *", "15 1 * * *", "59 23 * * *"} {
			s, err := cron.Parse(expression, zone)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Date(2015, 1, 1, 23, 59, 59, 0, s.Zone())
			day := start
			for n := 0; n < 3650; n++ {
				next := s.Next(day)
				if want := start.AddDate(0, 0, n+1); next.YearDay() != want.YearDay() {
					t.Fatalf("%q in %s: after %v comes %v, want one on %v", expression, zone, day, next, want)
				}
				day = next
			}
		}
	}
}

func TestCountAndLast(t *testing.T) {
	s, err := cron.Parse("* * * * *", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := at(t, "2026-11-29T01:00:30Z")
	n, latest := s.Count(from, from.Add(3*time.Hour), 1000)
	if want := at(t, "2026-11-29T04:00:00Z"); n != 180 || !latest.Equal(want) {
		t.Errorf("Count over three hours = %d, %v, want 180, %v", n, latest, want)
	}
	if n, _ := s.Count(from, from.Add(3*time.Hour), 7); n != 7 {
		t.Errorf("Count with a limit of 7 = %d", n)
	}
	if got, want := s.Last(from, from.AddDate(3, 0, 0)), at(t, "2029-11-29T01:00:00Z"); !got.Equal(want) {
		t.Errorf("Last over three years = %v, want %v", got, want)
	}
	if got := s.Last(from, from.Add(10*time.Second)); !got.IsZero() {
		t.Errorf("Last over ten seconds = %v, want none", got)
	}
}

func TestWords(t *testing.T) {
	for expression, want := range map[string]string{
		"* * * * *":             "every minute",
		"*/15 * * * *":          "every 15 minutes",
		"*/7 * * * *":           "every hour at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56",
		"0 * * * *":             "every hour, on the hour",
		"5 * * * *":             "every hour at minute 5",
		"30 2 * * *":            "at 02:30 every day",
		"0 6,18 * * *":          "at 06:00 and 18:00 every day",
		"0 */2 * * *":           "at minute 0 of hours 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 22 every day",
		"*/10 8-17 * * MON-FRI": "every 10 minutes from 08:00 to 17:59 on Monday to Friday",
		"* 3 * * *":             "every minute from 03:00 to 03:59 every day",
		"*/30 1,3,5,7 * * *":    "every 30 minutes in hours 1, 3, 5 and 7 every day",
		"0 0 1,15 * *":          "at 00:00 on days 1 and 15 of the month",
		"0 0 13 * 5":            "at 00:00 on day 13 of the month or on Friday",
		"0 12 1-31 * 1":         "at 12:00 every day",
		"0 0 29 2 *":            "at 00:00 on day 29 of the month in February",
		"@daily":                "at 00:00 every day",
		"@weekly":               "at 00:00 on Sunday",
		"@yearly":               "at 00:00 on day 1 of the month in January",
		"@hourly":               "every hour, on the hour",
		"0 9 * JUN-AUG SAT,SUN": "at 09:00 on Sunday and Saturday in June to August",
	} {
		if got, err := cron.Words(expression); err != nil || got != want {
			t.Errorf("Words(%q) = %q, %v, want %q", expression, got, err, want)
		}
	}
	if _, err := cron.Words("never"); err == nil {
		t.Error("Words of no expression says something")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 0 29 2 *", "*/5 1-3,22-2 1-31/7 JAN-MAR 1,5", "@daily", "0 0 30 2 *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := cron.Parse(expression, "Europe/Berlin")
		if err != nil {
			return
		}
		after := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
		for _, next := range s.NextN(after, 50) {
			if !next.After(after) {
				t.Fatalf("%q: %v does not come after %v", expression, next, after)
			}
			after = next
		}
		if s.Words() == "" {
			t.Fatalf("%q has no words", expression)
		}
	})
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
