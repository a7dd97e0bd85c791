package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestLabelsWithoutScript types labels into the forms of a satellite and of a launch
// instance, good ones and bad ones, and finds both by them.
func TestLabelsWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s, other := w.satellite("Edge"), w.satellite("Other")
	edit := "/satellites/" + s.ID + "/edit"
	for typed, want := range map[string]string{
		"region":                        "write key=value",
		"a=<script>alert(1)":            "the value of a label",
		"a b=c":                         "the name of a label",
		strings.Repeat("k", 300):        "write key=value",
		"a=" + strings.Repeat("x", 300): "at most 63 characters",
	} {
		status, _, body := w.submit(edit, with(fields(w.raw(edit, neo)), "labels", typed), neo)
		if status != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
			t.Errorf("labels %q: %d, want 422 with %q", typed, status, want)
		}
	}
	if status, location, body := w.submit(edit, with(fields(w.raw(edit, neo)), "labels", "region=eu\r\ntier=prod"), neo); status != http.StatusSeeOther {
		t.Fatalf("save labels: %d %s %s", status, location, body)
	}
	now, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
	if err != nil || now.Labels.Text() != "region=eu\ntier=prod" || now.LatestVersion.Number != s.LatestVersion.Number {
		t.Fatalf("the satellite has labels %v and version %d, %v", now.Labels, now.LatestVersion.Number, err)
	}
	wantIn(t, w.page("/satellites/"+s.ID, neo, http.StatusOK), `href="/?selector=region%3Deu"`)
	create := "/satellites/" + s.ID + "/launches/new"
	if status, _, body := w.submit(create, with(fields(w.raw(create, neo)), "satellite_version", "1", "name", "Line 1", "labels", "site"), neo); status != http.StatusUnprocessableEntity || !strings.Contains(body, "write key=value") {
		t.Errorf("a launch with a bad label: %d", status)
	}
	if status, _, _ := w.submit(create, with(fields(w.raw(create, neo)), "satellite_version", "1", "name", "Line 1", "labels", "site=berlin"), neo); status != http.StatusSeeOther {
		t.Errorf("a launch with a label: %d", status)
	}
	found, err := w.control.ListLaunches(t.Context(), control.Shell(), s.ID, control.ListQuery{Selector: "site=berlin"})
	if err != nil || len(found.Items) != 1 {
		t.Fatalf("launches of site=berlin: %v, %v", found.Items, err)
	}
	launch := "/satellites/" + s.ID + "/launches/" + found.Items[0].ID
	wantIn(t, w.raw(launch+"/edit", neo), ">site=berlin</textarea>")
	if status, _, _ := w.submit(launch+"/edit", with(fields(w.raw(launch+"/edit", neo)), "satellite_version", "1", "labels", ""), neo); status != http.StatusSeeOther {
		t.Errorf("a launch's labels are removed: %d", status)
	}
	if l, err := w.control.GetLaunch(t.Context(), control.Shell(), s.ID, found.Items[0].ID); err != nil || len(l.Labels) != 0 {
		t.Errorf("the launch has %v, %v", l.Labels, err)
	}
	list := w.page("/?selector="+url.QueryEscape("region in (eu,us),!zone"), neo, http.StatusOK)
	if !strings.Contains(list, s.ID) || strings.Contains(list, "row-"+other.ID) {
		t.Error("the list is not narrowed to what has the labels")
	}
	wantIn(t, w.page("/?selector=nothing", neo, http.StatusOK), "No satellite matches")
	for sent, short := range map[string]string{"/?q=edge&selector=": "/?q=edge", "/?q=&selector=+&sort=name": "/?sort=name", "/satellites/" + s.ID + "?q=&selector=": "/satellites/" + s.ID} {
		if got := w.with(sent, []*http.Cookie{neo}); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != short {
			t.Errorf("GET %s = %d to %q, want it sent on to %s", sent, got.StatusCode, got.Header.Get("Location"), short)
		}
	}
	for _, bad := range []string{"region in eu", "a=<script>", strings.Repeat("a", 1100)} {
		for _, path := range []string{"/", "/satellites/" + s.ID} {
			wantIn(t, w.page(path+"?selector="+url.QueryEscape(bad), neo, http.StatusBadRequest), "These labels cannot be read", `role="alert"`)
		}
	}
	wantIn(t, w.page("/satellites/"+s.ID+"/activity", neo, http.StatusOK), "region=eu, tier=prod")
	// A draft that says nothing of labels keeps those that another admin gave meanwhile.
	form := with(fields(w.raw(edit, neo)), "labels", "region=eu\ntier=prod")
	if _, err := w.control.UpdateSatellite(t.Context(), control.Shell(), s.ID, nil, control.SatelliteChange{Labels: constellation.Labels{"region": "us"}}); err != nil {
		t.Fatal(err)
	}
	status, _, body := w.submit(edit, with(form, "name", "Edge 2"), neo)
	if status != http.StatusPreconditionFailed {
		t.Fatalf("saving over another's labels: %d", status)
	}
	wantIn(t, body, "Labels changed: region=us")
	_, location, _ := w.submit(edit+"/rebase", with(fields(body), "name", "Edge 2"), neo)
	again := w.raw(location, neo)
	wantIn(t, again, ">region=us</textarea>")
	if status, _, body := w.submit(edit, with(fields(again), "labels", "region=us"), neo); status != http.StatusSeeOther {
		t.Fatalf("saving what was put on it: %d %s", status, body)
	}
	if now, err = w.control.GetSatellite(t.Context(), control.Shell(), s.ID); err != nil || now.Name != "Edge 2" || now.Labels.Text() != "region=us" {
		t.Errorf("afterwards it is %q with %v, %v", now.Name, now.Labels, err)
	}
}
