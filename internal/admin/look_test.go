package admin

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// part asks as htmx does for a part of a page.
func (w *world) part(method, target, part string, form url.Values, cookie *http.Cookie) string {
	w.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode())).WithContext(w.t.Context())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("HX-Request", "true")
	r.Header.Set("HX-Target", part)
	r.AddCookie(cookie)
	answer := w.serve(r)
	if answer.StatusCode != http.StatusOK {
		w.t.Errorf("%s %s for %s = %d, want 200", method, target, part, answer.StatusCode)
	}
	return html.UnescapeString(readAll(w.t, answer))
}

func TestSavingIsShownBeforeItIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	edit := "/satellites/" + s.ID + "/edit"
	page := w.raw(edit, neo)
	wantIn(t, page, `aria-label="Change first/try">Change</button>`, "Nothing: it is as it was.")
	form := with(fields(page), "replicas", "5")
	shown := w.part("POST", edit+"/preview", "saving", form, neo)
	wantIn(t, shown, "Makes version 2: 1 algorithm changed.", "3 replicas", "5 replicas")
	if strings.Contains(shown, "<main") {
		t.Errorf("more than the part is sent: %s", shown)
	}
	status, location, _ := w.submit(edit+"/preview", form, neo) // without a script
	if status != http.StatusSeeOther {
		t.Fatalf("looking without a script = %d, want 303", status)
	}
	wantIn(t, w.page(location, neo, http.StatusOK), "Makes version 2: 1 algorithm changed.", `value="5"`)
	if now, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID); err != nil || now.LatestVersion.Number != 1 {
		t.Errorf("looking saved: %+v, %v", now, err)
	}
}

func TestEditedLaunchShowsTheDifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	l, err := w.control.CreateLaunch(t.Context(), control.Shell(), s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line 1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.control.CreateSatelliteVersion(t.Context(), control.Shell(), s.ID, nil, control.VersionSpec{Algorithms: []control.AlgorithmSpec{}}); err != nil {
		t.Fatal(err)
	}
	edit := "/satellites/" + s.ID + "/launches/" + l.ID + "/edit"
	if page := w.page(edit, neo, http.StatusOK); strings.Contains(page, "From version") {
		t.Error("a difference is shown though no other version is chosen")
	}
	shown := w.part("GET", edit+"?satellite_version=2", "difference", nil, neo)
	wantIn(t, shown, "From version 1 to version 2:", "Removed", "first/try")
	if strings.Contains(shown, "<main") {
		t.Errorf("more than the part is sent: %s", shown)
	}
	form := with(fields(w.raw(edit, neo)), "satellite_version", "2", "name", "Line 9")
	form.Del("selector")                                                                                            // of the list's search, which is another form of the page
	wantIn(t, w.page(edit+"?"+form.Encode(), neo, http.StatusOK), "From version 1 to version 2:", `value="Line 9"`) // without a script
	for _, wrong := range []string{"0", "3", "x", ""} {
		w.page(edit+"?satellite_version="+wrong, neo, http.StatusOK)
	}
}
