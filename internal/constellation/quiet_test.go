package constellation

import (
	"testing"
	"time"
)

func TestQuietHours(t *testing.T) {
	t.Parallel()
	berlin := func(from, to string) *QuietHours { return &QuietHours{From: from, To: to, TimeZone: "Europe/Berlin"} }
	for _, test := range []struct {
		quiet *QuietHours
		at    string
		want  bool
	}{
		{nil, "2026-01-10T02:00:00Z", false},
		{berlin("22:00", "07:00"), "2026-01-10T20:59:59Z", false},
		{berlin("22:00", "07:00"), "2026-01-10T21:00:00Z", true},
		{berlin("22:00", "07:00"), "2026-01-10T23:30:00Z", true}, // past midnight
		{berlin("22:00", "07:00"), "2026-01-11T05:59:59Z", true},
		{berlin("22:00", "07:00"), "2026-01-11T06:00:00Z", false},
		{berlin("12:00", "13:00"), "2026-07-10T10:30:00Z", true}, // in summer
		{berlin("12:00", "13:00"), "2026-07-10T11:30:00Z", false},
		{berlin("01:30", "02:30"), "2026-03-29T00:45:00Z", true},  // 01:45, before the hour that is skipped
		{berlin("01:30", "02:30"), "2026-03-29T01:00:00Z", false}, // 03:00, right after it
		{berlin("02:30", "07:00"), "2026-03-29T01:00:00Z", true},  // it begins in the hour that is skipped
		{berlin("22:00", "02:30"), "2026-10-25T00:15:00Z", true},  // 02:15, for the first time
		{berlin("22:00", "02:30"), "2026-10-25T01:15:00Z", true},  // 02:15, for the second time
		{berlin("22:00", "02:30"), "2026-10-25T01:30:00Z", false},
		{&QuietHours{From: "22:00", To: "07:00", TimeZone: "Asia/Kathmandu"}, "2026-01-10T16:15:00Z", true}, // +05:45
		{&QuietHours{From: "22:00", To: "07:00", TimeZone: "Nowhere/At_All"}, "2026-01-10T23:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := test.quiet.Active(at); got != test.want {
			t.Errorf("%+v at %s: Active = %v, want %v", test.quiet, test.at, got, test.want)
		}
	}
}

func TestNotificationRuleIsChecked(t *testing.T) {
	t.Parallel()
	rule := NotificationRule{
		Kinds: []NoticeKind{"launch.lost"}, Selector: SatelliteSelector{Name: "a\x00"}, GroupSeconds: -1, RepeatSeconds: MaxRepeat + 1,
		Quiet: &QuietHours{From: "25:00", To: "7:00", TimeZone: "Mars/Base", Except: []NoticeKind{"x"}},
	}
	var v Validation
	CheckNotificationRule(&v, &rule)
	got := map[string]bool{}
	for _, f := range v.fields {
		got[f.Field] = true
	}
	for _, field := range []string{"name", "kinds", "satellites.name", "destinations", "group_seconds", "repeat_seconds", "quiet.from", "quiet.to", "quiet.time_zone", "quiet.except"} {
		if !got[field] {
			t.Errorf("nothing is said of %s: %v", field, v.fields)
		}
	}
	good := NotificationRule{Name: "ops", DestinationIDs: []string{"d"}, Quiet: &QuietHours{From: "22:00", To: "07:00", TimeZone: "UTC"}}
	var fine Validation
	if CheckNotificationRule(&fine, &good); fine.Err() != nil {
		t.Error(fine.Err())
	}
	id := "s"
	prod := &Notice{Kind: NoticeLaunchStale, SatelliteID: &id, SatelliteName: "Prod east"}
	for pattern, want := range map[string]bool{"": true, "prod*": true, "*EAST": true, "prod": false, "prod west": false} {
		if got := (SatelliteSelector{Name: pattern}).Matches(prod); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, prod.SatelliteName, got, want)
		}
	}
	if (SatelliteSelector{Name: "*"}).Matches(&Notice{Kind: NoticeStorageUnhealthy}) {
		t.Error("a rule of satellites is for the storage")
	}
}

func TestDestinationAddresses(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://hooks.example.com/in": "https://hooks.example.com/in", "https://hooks.example.com/in?token=s": "https://hooks.example.com/in?…",
		"ftp://x/": "", "https://u:p@x/": "", "": "", "https:///x": "", "https://x/#f": "",
	} {
		var v Validation
		if got := CheckTarget(&v, DestinationWebhook, target); got != want || (want == "") != (v.Err() != nil) {
			t.Errorf("CheckTarget(%q) = %q, %v, want %q", target, got, v.Err(), want)
		}
	}
	var v Validation
	if got := CheckTarget(&v, DestinationSlack, "https://hooks.slack.com/services/T0/B0/secret"); got != "https://hooks.slack.com/…" {
		t.Errorf("of a chat's address is shown %q", got)
	}
	if got := CheckRecipients(&v, []string{"ops@example.com", " ops@example.com", "a.b+c@example.com"}); got != "ops@example.com, a.b+c@example.com" || v.Err() != nil {
		t.Errorf("CheckRecipients = %q, %v", got, v.Err())
	}
	for _, bad := range []string{"", "ops", "Ops <ops@example.com>", "a@b\r\nBcc: c@d", "a@b,c@d", `"a b"@c`, "ä@example.com"} {
		var v Validation
		if CheckRecipients(&v, []string{bad}); v.Err() == nil {
			t.Errorf("mail goes to %q", bad)
		}
	}
}
