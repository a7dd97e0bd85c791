package admin

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

const unusedHash = "00000000000000000000000000000000000000aa"

// pushUnused makes a version of neo/hello that no satellite has.
func (w *world) pushUnused() {
	w.t.Helper()
	push := control.Push{
		Ref:     constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: unusedHash},
		Image:   constellation.Image{Repository: "neo/hello", Digest: bundle.Digest([]byte("unused")), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 1, Platforms: []string{"linux/amd64"}},
		Runtime: constellation.Runtime{}.WithDefaults(),
	}
	if _, _, err := w.control.PushAlgorithm(w.t.Context(), control.Shell(), push, func(context.Context) error { return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// choices are the selected options of a page's fields.
var choices = regexp.MustCompile(`(?s)<select\b[^>]*\bname="([^"]+)".*?<option value="([^"]*)" selected`)

// settingsFields returns the form Edit settings of a page.
func settingsFields(page string) url.Values {
	form := fields(page)
	for _, m := range choices.FindAllStringSubmatch(page, -1) {
		form.Set(m[1], m[2])
	}
	return form
}

// TestEditSettings corrects the settings of a version in the forms alone: what would
// change and whom it reaches is shown first, what is wrong is told at its field, and
// a second editor's correction is seen and not undone in silence.
func TestEditSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo, trinity, viewer := w.visitor("neo", constellation.RoleAdmin), w.visitor("trinity", constellation.RoleAdmin), w.visitor("morpheus", constellation.RoleViewer)
	s := w.satellite("Edge <Berlin>")
	version := "/algorithms/neo/hello/" + hash
	wantIn(t, w.page(version, neo, http.StatusOK), "Revision 1, from the image's labels", version+"/settings", version+"/remove")
	if seen := w.page(version, viewer, http.StatusOK); strings.Contains(seen, "/settings") || strings.Contains(seen, "/remove") {
		t.Error("a viewer is offered to edit or remove a version")
	}
	edit := w.raw(version+"/settings", neo)
	wantIn(t, edit, "Edit settings", "Save as revision 2", "Nothing is different from revision 1 yet.", "What stays as it is", `<bdi>Edge &lt;Berlin&gt;</bdi>`, "(revision 1)")
	form := settingsFields(edit)
	second := settingsFields(w.raw(version+"/settings", trinity))
	looked := w.page(version+"/settings?"+with(settingsFields(edit), "concurrency", "7").Encode(), neo, http.StatusOK)
	wantIn(t, looked, "From revision 1 to revision 2:", "constellation.concurrency", "<del>1</del>", "<ins>7</ins>", `value="7"`)
	for _, c := range []struct{ field, value, want string }{
		{"concurrency", "many", "a number from 1 to 10000"},
		{"concurrency", "0", "a number from 1 to 10000"},
		{"port", "70000", "from 1 to 65535"},
		{"path", "no/slash", "starts with '/'"},
		{"memory", "lots", "512Mi or 2Gi"},
		{"gpu", "-1", "from 0 to 64"},
		{"network", "some", "full or isolated"},
		{"protocol", "grpc", "langserver, pipe, http"},
	} {
		status, _, body := w.submit(version+"/settings", with(settingsFields(edit), c.field, c.value), neo)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s %q = %d, want 422", c.field, c.value, status)
		}
		wantIn(t, body, c.want, `id="`+c.field+`-error"`)
	}
	_, _, body := w.submit(version+"/settings", with(settingsFields(edit), "max_body", "1Mi"), neo)
	wantIn(t, body, "are for protocol http", `value="1Mi"`)

	for range 2 { // a double submit corrects once
		if status, target, body := w.submit(version+"/settings", with(form, "concurrency", "7", "memory", "2Gi"), neo); status != http.StatusSeeOther || target != version {
			t.Fatalf("saving = %d %s\n%s", status, target, body)
		}
	}
	page := w.page(version, neo, http.StatusOK)
	wantIn(t, page, "Revision 2", "corrected by <bdi>neo</bdi>", "What revision 2 changed", "<ins>2Gi</ins>", "Revision 1", "the newest is 2", "/satellites/"+s.ID+"/edit")
	if status, target, _ := w.submit(version+"/settings", settingsFields(w.raw(version+"/settings", neo)), neo); status != http.StatusSeeOther || target != version {
		t.Errorf("saving nothing = %d %s", status, target)
	}

	status, _, body := w.submit(version+"/settings", with(second, "concurrency", "3"), trinity)
	if status != http.StatusPreconditionFailed {
		t.Fatalf("the second editor's save = %d, want 412", status)
	}
	wantIn(t, body, "These settings were corrected by neo while you edited them: they are at revision 2 now", "<del>7</del>", "<ins>3</ins>", "<del>2Gi</del>", "<ins>not set</ins>", "Save as revision 3")
	got, err := w.control.GetAlgorithmVersion(t.Context(), control.Shell(), constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hash})
	if err != nil || got.RuntimeRevision != 2 || got.Runtime.Concurrency != 7 || got.Runtime.Memory != "2Gi" {
		t.Fatalf("after a conflict the version is %+v, %v; want revision 2 with what the first saved", got, err)
	}
	if status, _, body := w.submit(version+"/settings", settingsFields(body), trinity); status != http.StatusSeeOther {
		t.Fatalf("saving over it = %d\n%s", status, body)
	}
	wantIn(t, w.page("/audit?action=algorithm_version.update", neo, http.StatusOK), "corrected the settings of", "neo/hello/"+hash)
}

// TestRemoveVersion removes a version that nothing uses in the forms alone, and says
// of one that is used by whom.
func TestRemoveVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge <Berlin>")
	w.pushUnused()
	used, unused := "/algorithms/neo/hello/"+hash, "/algorithms/neo/hello/"+unusedHash
	ask := w.raw(unused+"/remove", neo)
	wantIn(t, ask, "Remove version?", "What goes", "What stays", "No satellite of this mothership uses it", "The hash is free then")
	form := fields(ask)

	refused := w.raw(used+"/remove", neo)
	wantIn(t, refused, "This version cannot be removed", "1 satellite of this mothership uses it", `<bdi>Edge &lt;Berlin&gt;</bdi>`, "in its version 1", "/satellites/"+s.ID+"/versions")
	if strings.Contains(refused, `action="`+used+`/remove"`) {
		t.Error("a version that is used is offered to be removed")
	}
	token := with(fields(w.raw(unused+"/remove", neo)), "revision", "1") // of another form
	if status, _, body := w.submit(used+"/remove", token, neo); status != http.StatusConflict || !strings.Contains(body, "is in versions of satellites: Edge <Berlin>") {
		t.Errorf("removing a version that is used = %d\n%s", status, content(body))
	}

	ref := constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: unusedHash}
	if _, err := w.control.CorrectRuntime(t.Context(), control.Shell(), ref, nil, constellation.RuntimeChange{Concurrency: new(2)}); err != nil {
		t.Fatal(err)
	}
	status, _, body := w.submit(unused+"/remove", form, neo)
	if status != http.StatusPreconditionFailed {
		t.Fatalf("removing what was corrected meanwhile = %d, want 412", status)
	}
	wantIn(t, body, "were corrected while you looked at this")
	form = fields(w.raw(unused+"/remove", neo))
	for range 2 { // sent twice, removed once
		if status, target, body := w.submit(unused+"/remove", form, neo); status != http.StatusSeeOther || target != "/algorithms/neo/hello" {
			t.Fatalf("removing = %d %s\n%s", status, target, body)
		}
	}
	w.page(unused, neo, http.StatusNotFound)
	w.page(unused+"/remove", neo, http.StatusNotFound)
	wantIn(t, w.page("/audit?action=algorithm_version.delete", neo, http.StatusOK), "removed the version", "neo/hello/"+unusedHash)

	if err := w.control.DeleteSatellite(t.Context(), control.Shell(), s.ID, nil); err != nil {
		t.Fatal(err)
	}
	if status, _, body := w.submit(used+"/remove", fields(w.raw(used+"/remove", neo)), neo); status != http.StatusSeeOther {
		t.Fatalf("removing the last version = %d\n%s", status, body)
	}
	wantIn(t, w.page("/algorithms/neo/hello", neo, http.StatusOK), "No version is left")
}

// TestRemoveSatelliteVersion removes a version that no launch has in the forms alone,
// and says of one that is used by whom.
func TestRemoveSatelliteVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge <Berlin>")
	for n := range 3 {
		if _, _, err := w.control.CreateSatelliteVersion(t.Context(), control.Shell(), s.ID, nil, control.VersionSpec{Algorithms: []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hash, VanityURL: "foo/bar", Replicas: n + 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.control.CreateLaunch(t.Context(), control.Shell(), s.ID, control.NewLaunch{SatelliteVersion: 2, Name: "Line <1>"}); err != nil {
		t.Fatal(err)
	}
	versions := "/satellites/" + s.ID + "/versions"
	remove := func(n string) string { return versions + "/" + n + "/remove" }
	wantIn(t, w.raw(remove("2"), neo), "This version cannot be removed", "1 launch instance uses it", "<bdi>Line &lt;1&gt;</bdi>")
	wantIn(t, w.raw(remove("4"), neo), "This version cannot be removed", "It is the latest version")
	ask := w.raw(remove("3"), neo)
	wantIn(t, ask, "Remove version 3?", "What goes", "What stays", "cannot be undone", "<bdi>Edge &lt;Berlin&gt;</bdi>")
	form := fields(ask)
	if status, _, body := w.submit(remove("2"), fields(w.raw(remove("3"), neo)), neo); status != http.StatusConflict || !strings.Contains(body, "is that of launches: Line <1>") {
		t.Errorf("removing a version that a launch has = %d\n%s", status, content(body))
	}
	for range 2 { // sent twice, removed once
		if status, target, body := w.submit(remove("3"), form, neo); status != http.StatusSeeOther || target != versions {
			t.Fatalf("removing = %d %s\n%s", status, target, body)
		}
	}
	w.page(remove("3"), neo, http.StatusNotFound)
	list := w.page(versions, neo, http.StatusOK)
	wantIn(t, list, "Version 4", "Version 2", "versions/compare?from=2&to=4")
	if strings.Contains(list, "Version 3") {
		t.Error("the removed version is listed")
	}
	wantIn(t, w.page("/audit?action=satellite_version.delete", neo, http.StatusOK), "removed a version of", "Edge <Berlin>")
	if status, _, body := w.submit(remove("1"), fields(w.raw(remove("1"), neo)), neo); status != http.StatusSeeOther {
		t.Fatalf("removing the first = %d\n%s", status, body)
	}
	wantIn(t, w.page(versions, neo, http.StatusOK), "The first: ")
}

// TestTakeNewerSettings edits a satellite whose algorithm's settings were corrected:
// it is told so with the difference, keeps what it has until it takes them, and a
// save that changes nothing else makes a version with them.
func TestTakeNewerSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	edit := "/satellites/" + s.ID + "/edit"
	if page := w.raw(edit, neo); strings.Contains(page, "newer revision") {
		t.Error("a satellite with the newest settings is told of newer ones")
	}
	ref := constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hash}
	correct := func(n int) {
		t.Helper()
		if _, err := w.control.CorrectRuntime(t.Context(), control.Shell(), ref, nil, constellation.RuntimeChange{Concurrency: &n}); err != nil {
			t.Fatal(err)
		}
	}
	correct(7)
	correct(8)
	saved := func() []int {
		t.Helper()
		got, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return []int{got.LatestVersion.Number, got.LatestVersion.Algorithms[0].Replicas, got.LatestVersion.Algorithms[0].RuntimeRevision}
	}
	page := w.raw(edit, neo)
	wantIn(t, page, "A newer revision of the runtime settings exists", "It has revision 1", "constellation.concurrency", "<del>1</del>", "<ins>8</ins>", "Take revision 3", "Nothing: it is as it was.")
	wantIn(t, w.raw("/satellites/"+s.ID+"/algorithms", neo), "settings revision 1; the newest is 3")

	// Another change takes them not.
	if status, _, body := w.submit(edit, with(fields(page), "replicas", "5"), neo); status != http.StatusSeeOther {
		t.Fatalf("saving another change = %d\n%s", status, body)
	}
	if diff := cmp.Diff([]int{2, 5, 1}, saved()); diff != "" {
		t.Fatalf("number, replicas and settings after another change (-want +got):\n%s", diff)
	}
	_, location, _ := w.submit(edit+"/lines/0/settings?revision=3", fields(w.raw(edit, neo)), neo)
	page = w.raw(location, neo)
	wantIn(t, page, "Saving takes revision 3 of the runtime settings, in place of revision 1", "<ins>8</ins>", "Keep revision 1", "Makes version 3", "revision 3")
	_, location, _ = w.submit(edit+"/lines/0/settings?revision=1", fields(page), neo)
	page = w.raw(location, neo)
	wantIn(t, page, "A newer revision of the runtime settings exists", "Nothing: it is as it was.")
	_, location, _ = w.submit(edit+"/lines/0/settings?revision=3", fields(page), neo)

	// The dialog of the line keeps what was taken.
	_, line, _ := w.submit(edit+"/lines/0/change", fields(w.raw(location, neo)), neo)
	_, location, _ = w.submit(line, with(fields(w.raw(line, neo)), "replicas", "6"), neo)
	if status, _, body := w.submit(edit, fields(w.raw(location, neo)), neo); status != http.StatusSeeOther {
		t.Fatalf("saving = %d\n%s", status, body)
	}
	if diff := cmp.Diff([]int{3, 6, 3}, saved()); diff != "" {
		t.Errorf("number, replicas and settings after they were taken (-want +got):\n%s", diff)
	}
	if page := w.raw(edit, neo); strings.Contains(page, "newer revision") {
		t.Error("a satellite that took the newest settings is told of newer ones")
	}
	wantIn(t, w.raw("/satellites/"+s.ID+"/versions/compare?from=2&to=3", neo), "runtime settings: ", "revision 3")
	status, _, body := w.submit(edit, with(fields(w.raw(edit, neo)), "runtime_revision", "9"), neo)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a revision that never was = %d, want 422", status)
	}
	wantIn(t, body, "have the revisions 1 to 3")
}
