package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestSchedulesAndScalingWithoutScript: a schedule is added, refused, changed,
// looked at and removed, and replicas are let follow the load, in the forms
// alone; what was saved is in the version and in the comparison.
func TestSchedulesAndScalingWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	editor := "/satellites/" + s.ID + "/edit"
	vanity := s.LatestVersion.Algorithms[0].VanityURL

	_, location, _ := w.submit(editor+"/schedules/add", fields(w.raw(editor, neo)), neo)
	if !strings.HasPrefix(location, editor+"/schedule?draft=") {
		t.Fatalf("Add a schedule goes to %s", location)
	}
	dialog := w.raw(location, neo)
	wantIn(t, dialog, "Add a schedule", `value="`+vanity+`"`, "The next five runs are shown here", `value="UTC"`, "Europe/Berlin")
	typed := func(pairs ...string) map[string][]string {
		form := with(fields(dialog), "schedule", "night", "vanity_url", vanity, "cron", "0 6 * * 1-5", "time_zone", "Europe/Berlin", "content_type", "application/json", "missed", "once", "input", `{"day": 1}`)
		return with(form, pairs...)
	}
	_, _, body := w.submit(editor+"/schedule/runs", typed(), neo)
	wantIn(t, body, "The next runs, in Europe/Berlin:", "06:00", `value="night"`)
	if n := strings.Count(body, "<time datetime="); n < 5 {
		t.Errorf("%d times are shown, want five runs", n)
	}
	for _, c := range []struct{ field, value, want string }{
		{"schedule", "", "What is it called?"},
		{"schedule", "a b", "1 to 63 letters"},
		{"cron", "", "needs a cron expression"},
		{"cron", "61 * * * *", "minute"},
		{"cron", "0 0 30 2 *", "never runs"},
		{"time_zone", "Mars/Phobos", "There is no time zone"},
		{"input", "{", "The input is no JSON"},
		{"missed", "all", "Missed is skip"},
	} {
		status, _, body := w.submit(location, typed(c.field, c.value), neo)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q: %d, want 422", c.field, c.value, status)
		}
		wantIn(t, body, c.want, `id="`+c.field+`-error"`)
	}
	status, location, _ := w.submit(location, typed(), neo)
	if status != http.StatusSeeOther {
		t.Fatalf("adding the schedule: %d", status)
	}
	page := w.raw(location, neo)
	wantIn(t, page, "night", "Europe/Berlin", "1 schedule added")
	_, again, _ := w.submit(editor+"/schedules/add", fields(page), neo)
	_, _, body = w.submit(again, with(fields(w.raw(again, neo)), "schedule", "NIGHT", "vanity_url", vanity, "cron", "@daily", "time_zone", "UTC", "content_type", "text/plain", "missed", "skip"), neo)
	wantIn(t, body, "is that of another schedule")

	form := with(fields(page), "replicas", "1")
	_, line, _ := w.submit(editor+"/lines/0/change", form, neo)
	dialog = w.raw(line, neo)
	_, _, body = w.submit(line, with(fields(dialog), "min_replicas", "3", "max_replicas", "2"), neo)
	wantIn(t, body, `id="min_replicas-error"`, "above max_replicas")
	_, location, _ = w.submit(line, with(fields(dialog), "min_replicas", "0", "max_replicas", "10"), neo)
	page = w.raw(location, neo)
	wantIn(t, page, "0 to 10 replicas with the load")

	stale := fields(page)
	status, location, body = w.submit(editor, fields(page), neo)
	if status != http.StatusSeeOther {
		t.Fatalf("saving: %d %s", status, body)
	}
	saved, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := constellation.Schedule{Name: "night", Cron: "0 6 * * 1-5", TimeZone: "Europe/Berlin", VanityURL: vanity, Input: `{"day": 1}`, ContentType: "application/json", Missed: "once"}
	if v := saved.LatestVersion; v.Number != 2 || len(v.Schedules) != 1 || v.Schedules[0] != want || v.Algorithms[0].Scale().String() != "0..10" {
		t.Errorf("version = %+v, want the schedule and the scale", v)
	}
	_, second, _ := w.submit(editor, stale, neo) // sent twice
	if second != location {
		t.Errorf("the same form again goes to %s, want %s", second, location)
	}
	wantIn(t, w.raw("/satellites/"+s.ID+"/algorithms", neo), "Schedules", "night", "0–10", "One run for all")
	wantIn(t, w.raw("/satellites/"+s.ID+"/versions/compare?from=1&to=2", neo), "Added the schedule", "0 to 10 replicas with the load")

	page = w.raw(editor, neo)
	_, location, _ = w.submit(editor+"/schedules/0/remove", fields(page), neo)
	page = w.raw(location, neo)
	wantIn(t, page, "1 schedule removed")
	// A tab that still shows the schedule does not save what it does not show.
	status, _, body = w.submit(editor, with(fields(page), "schedules_sum", fields(w.raw(editor, neo)).Get("schedules_sum"), "name", "Other"), neo)
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "were changed or discarded elsewhere") {
		t.Errorf("saving other schedules than are shown: %d, want 422 and why", status)
	}
	if status, _, _ = w.submit(editor, fields(page), neo); status != http.StatusSeeOther {
		t.Errorf("saving without the schedule: %d", status)
	}
	if saved, err = w.control.GetSatellite(t.Context(), control.Shell(), s.ID); err != nil || len(saved.LatestVersion.Schedules) != 0 {
		t.Errorf("version = %+v, %v, want no schedules", saved.LatestVersion, err)
	}
}

// TestScheduleOfARemovedAlgorithm: what it calls is gone, so saving says so at
// the schedule.
func TestScheduleOfARemovedAlgorithm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	vanity := s.LatestVersion.Algorithms[0].VanityURL
	if _, _, err := w.control.CreateSatelliteVersion(t.Context(), control.Shell(), s.ID, nil, control.VersionSpec{
		Algorithms: []control.AlgorithmSpec{{Algorithm: s.LatestVersion.Algorithms[0].Algorithm.String(), VanityURL: vanity, Replicas: 1}},
		Schedules:  []constellation.Schedule{{Name: "night", Cron: "@daily", VanityURL: vanity}},
	}); err != nil {
		t.Fatal(err)
	}
	editor := "/satellites/" + s.ID + "/edit"
	_, location, _ := w.submit(editor+"/lines/0/remove", fields(w.raw(editor, neo)), neo)
	status, _, body := w.submit(editor, fields(w.raw(location, neo)), neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("saving: %d, want 422", status)
	}
	wantIn(t, body, "The satellite has no algorithm at", `id="schedules[0].vanity_url-error"`)
}

// TestKeyHasACallback: it is typed with the key, refused at its field, and shown.
func TestKeyHasACallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	here := "/satellites/" + w.satellite("Edge").ID
	form := with(fields(w.raw(here+"/keys/new", neo)), "name", "billing", "lifetime", "365", "callback_url", "ftp://host.example")
	status, _, body := w.submit(here+"/keys/new", form, neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a callback by FTP: %d, want 422", status)
	}
	wantIn(t, body, `id="callback_url-error"`, `value="ftp://host.example"`)
	form.Set("token", fields(w.raw(here+"/keys/new", neo)).Get("token"))
	if status, _, _ = w.submit(here+"/keys/new", with(form, "callback_url", "https://host.example/results"), neo); status != http.StatusOK {
		t.Errorf("making the key: %d, want 200", status)
	}
	wantIn(t, w.raw(here+"/authentication", neo), "Results to https://host.example/results")
}

// TestNoScheduleOfHTTP2 refuses a schedule of what takes no call without a caller:
// in its dialog, and when the satellite is saved.
func TestNoScheduleOfHTTP2(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	edit := "/satellites/" + s.ID + "/edit"
	_, dialog, _ := w.submit(edit+"/schedules/add", fields(w.raw(edit, neo)), neo)
	schedule := with(fields(w.raw(dialog, neo)), "schedule", "night", "cron", "@daily", "vanity_url", "first/try", "time_zone", "UTC", "content_type", "application/json", "missed", "skip")
	_, location, _ := w.submit(dialog, schedule, neo)

	ref := constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hash}
	if _, err := w.control.CorrectRuntime(t.Context(), control.Shell(), ref, nil, constellation.RuntimeChange{Protocol: new("http"), HTTP2: new(true)}); err != nil {
		t.Fatal(err)
	}
	const want = `he schedule "night" calls first/try, which speaks HTTP/2 alone`
	_, location, _ = w.submit(edit+"/lines/0/settings", fields(w.raw(location, neo)), neo)
	page := w.raw(location, neo)
	status, _, body := w.submit(edit, fields(page), neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("saving a schedule of it = %d, want 422", status)
	}
	wantIn(t, body, want, `id="schedules[0].vanity_url-error"`)
	_, dialog, _ = w.submit(edit+"/schedules/0/change", fields(page), neo)
	schedule.Set("draft", fields(w.raw(dialog, neo)).Get("draft"))
	status, _, body = w.submit(dialog, with(schedule, "row", "0"), neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a schedule of it in the dialog = %d, want 422", status)
	}
	wantIn(t, body, want, `id="vanity_url-error"`)
}
