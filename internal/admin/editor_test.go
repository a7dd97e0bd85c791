package admin

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

var (
	inputPattern = regexp.MustCompile(`<(?:input|button)\b[^>]*\bname="([^"]+)"[^>]*>`)
	valuePattern = regexp.MustCompile(`\bvalue="([^"]*)"`)
)

// fields returns a page's inputs as its form would send them; buttons, searches
// and the frame's own forms left out.
func fields(page string) url.Values {
	form := url.Values{}
	for _, m := range inputPattern.FindAllStringSubmatch(page, -1) {
		if strings.HasPrefix(m[0], "<button") || slices.Contains([]string{"back", "q", "theme"}, m[1]) || strings.Contains(m[0], `type="radio"`) && !strings.Contains(m[0], "checked") {
			continue
		}
		value := ""
		if v := valuePattern.FindStringSubmatch(m[0]); v != nil {
			value = html.UnescapeString(v[1])
		}
		form.Add(html.UnescapeString(m[1]), value)
	}
	return form
}

// raw gets a page as it is.
func (w *world) raw(target string, cookie *http.Cookie) string {
	w.t.Helper()
	return readAll(w.t, w.send("GET", target, nil, cookie))
}

// submit sends a form and returns the status, where it goes and what it shows.
func (w *world) submit(target string, form url.Values, cookie *http.Cookie) (status int, location, body string) {
	w.t.Helper()
	answer := w.send("POST", target, form, cookie)
	return answer.StatusCode, answer.Header.Get("Location"), html.UnescapeString(readAll(w.t, answer))
}

// adminKey gives the account the key that adding algorithms needs.
func (w *world) adminKey(username string) {
	w.t.Helper()
	if _, _, err := w.control.CreateKey(w.t.Context(), control.Shell(), username, control.NewKey{Name: "admin", Role: new(constellation.RoleAdmin)}); err != nil {
		w.t.Fatal(err)
	}
}

func with(form url.Values, pairs ...string) url.Values {
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

func TestNewSatelliteWithoutScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.satellite("Other")

	page := w.raw("/satellites/new", neo)
	wantIn(t, page, "You need an admin API key to add algorithms", "Make an admin API key")
	form := with(fields(page), "name", "Edge Berlin")
	status, _, body := w.submit("/satellites/new/admin-key", form, neo)
	if status != http.StatusOK {
		t.Fatalf("making the key: %d", status)
	}
	wantIn(t, body, "shown this once", "cst_", `value="Edge Berlin"`, "Add an algorithm", `name="back" value="/satellites/new"`)
	_, _, again := w.submit("/satellites/new/admin-key", form, neo) // sent twice
	if secret := regexp.MustCompile(`cst_\w{10,}`); secret.FindString(body) != secret.FindString(again) {
		t.Error("sending the form twice makes two keys")
	}

	status, location, _ := w.submit("/satellites/new/add", fields(body), neo)
	if status != http.StatusSeeOther || !strings.HasPrefix(location, "/satellites/new/algorithm?draft=") {
		t.Fatalf("Add an algorithm: %d %s", status, location)
	}
	dialog := w.raw(location, neo)
	wantIn(t, dialog, "Edge Berlin", "Add an algorithm", "neo/", "https://CLUSTER_DOMAIN/v1/algo/")
	_, _, body = w.submit("/satellites/new/algorithm/choices", with(fields(dialog), "pick", "neo/hello/"), neo)
	wantIn(t, body, `value="neo/hello/`+hash+`"`, hash[:12])
	for _, c := range []struct{ algorithm, vanity, replicas, want string }{
		{"neo/hello", "foo/bar", "1", "The version is missing"},
		{hash, "foo/bar", "1", "This is the version hash alone"},
		{"neo/hello/1.2.0", "foo/bar", "1", "A semantic version such as 1.2.0 can move"},
		{"neo/hello/" + strings.Repeat("f", 40), "foo/bar", "1", "its only version is " + hash},
		{"neo/hello/" + hash, "foo", "1", "two segments or more"},
		{"neo/hello/" + hash, "fo-o/bar", "1", "the official clients read no '-'"},
		{"neo/hello/" + hash, "foo/bar", "many", "a number from 0 to 1000"},
	} {
		status, _, body := w.submit(location, with(fields(dialog), "algorithm", c.algorithm, "vanity_url", c.vanity, "replicas", c.replicas), neo)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %d, want 422", c, status)
		}
		wantIn(t, body, c.want, `value="`+c.vanity+`"`, `aria-invalid="true"`)
	}
	pasted := " https://mothership.example.com/v1/algo/neo/hello/" + strings.ToUpper(hash) + " "
	status, location, _ = w.submit(location, with(fields(dialog), "algorithm", pasted, "vanity_url", "foo/bar", "replicas", "2"), neo)
	if status != http.StatusSeeOther {
		t.Fatalf("a pasted address: %d", status)
	}
	page = w.raw(location, neo)
	wantIn(t, page, `value="neo/hello/`+hash+`"`, `value="foo/bar"`, `value="Edge Berlin"`)
	_, taken, _ := w.submit("/satellites/new/add", fields(page), neo)
	_, _, body = w.submit(taken, with(fields(w.raw(taken, neo)), "algorithm", "neo/hello/"+hash, "vanity_url", "foo/bar"), neo)
	wantIn(t, body, "The vanity URL foo/bar is that of neo/hello/"+hash)

	_, _, body = w.submit("/satellites/new", with(fields(page), "name", "OTHER"), neo)
	wantIn(t, body, "A satellite with this name exists already", `value="OTHER"`, `value="foo/bar"`)
	save := fields(w.raw(location, neo))
	for range 2 { // a double submit makes one
		if status, target, body := w.submit("/satellites/new", save, neo); status != http.StatusSeeOther || target != "/" {
			t.Fatalf("Create satellite: %d %s\n%s", status, target, body)
		}
	}
	wantIn(t, w.page("/", neo, http.StatusOK), "Edge Berlin", "1 algorithm, 2 replicas")
	if answer := w.send("GET", location, nil, neo); answer.Header.Get("Location") != "/satellites/new" {
		t.Errorf("Back to a saved draft: %d %s", answer.StatusCode, answer.Header.Get("Location"))
	}
}

// TestUnknownActionsChangeNothing sends a form to addresses that are no action's,
// and to lines that the draft has not.
func TestUnknownActionsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	l, err := w.control.CreateLaunch(t.Context(), control.Shell(), s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line 1"})
	if err != nil {
		t.Fatal(err)
	}
	edit := "/satellites/" + s.ID + "/edit"
	form := with(fields(w.raw(edit, neo)), "name", "Renamed", "do", "remove-0")
	for _, action := range []string{"/save", "/empty", "/lines/0/replace", "/lines/1/remove", "/lines/-1/remove", "/lines/x/change"} {
		if status, _, _ := w.submit(edit+action, form, neo); status != http.StatusNotFound {
			t.Errorf("POST …/edit%s = %d, want 404", action, status)
		}
	}
	promote := "/satellites/" + s.ID + "/launches/" + l.ID + "/promote"
	if status, _, body := w.submit(promote, with(fields(w.raw(promote, neo)), "to", "elsewhere"), neo); status != http.StatusNotFound || !strings.Contains(body, "promoted to a version") {
		t.Errorf("promoting elsewhere = %d, want 404", status)
	}
	if got, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID); err != nil || got.Name != "Edge" || got.Revision != s.Revision {
		t.Errorf("an unknown action changed something: %+v %v", got, err)
	}
}

func TestSecondEditorsSaveIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo, trinity := w.visitor("neo", constellation.RoleAdmin), w.visitor("trinity", constellation.RoleAdmin)
	w.adminKey("neo")
	s := w.satellite("Edge")
	edit := "/satellites/" + s.ID + "/edit"
	mine, theirs := fields(w.raw(edit, neo)), fields(w.raw(edit, trinity))

	status, target, _ := w.submit(edit, with(theirs, "replicas", "7"), trinity)
	if status != http.StatusSeeOther || target != "/satellites/"+s.ID+"/algorithms" {
		t.Fatalf("the first save: %d %s", status, target)
	}
	status, _, body := w.submit(edit, with(mine, "replicas", "5", "name", "Edge two"), neo)
	if status != http.StatusPreconditionFailed {
		t.Fatalf("the second save: %d, want 412", status)
	}
	wantIn(t, body, "<bdi>trinity</bdi> saved version 2 while you were editing version 1", "7 replicas", "5 replicas", "Both of you changed these", "Renamed to “<bdi>Edge two</bdi>”")
	if got, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID); err != nil || got.LatestVersion.Algorithms[0].Replicas != 7 || got.Name != "Edge" {
		t.Fatalf("the second save overwrote the first: %+v %v", got, err)
	}
	status, location, _ := w.submit(edit+"/rebase", with(fields(body), "side:first/try", "mine"), neo)
	if status != http.StatusSeeOther {
		t.Fatalf("putting mine on theirs: %d", status)
	}
	page := w.raw(location, neo)
	wantIn(t, page, "Makes version 3", `value="Edge two"`, `value="5"`)
	if status, _, body := w.submit(edit, fields(page), neo); status != http.StatusSeeOther {
		t.Fatalf("saving the merge: %d\n%s", status, body)
	}
	got, err := w.control.GetSatellite(t.Context(), control.Shell(), s.ID)
	if err != nil || got.LatestVersion.Number != 3 || got.LatestVersion.Algorithms[0].Replicas != 5 || got.Name != "Edge two" {
		t.Fatalf("after the merge: %+v %v", got, err)
	}
}

func TestFormSurvivesTheEndOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	form := with(fields(w.raw("/satellites/new", neo)), "name", `Edge "><script>`)
	w.send("POST", "/logout", nil, neo)
	status, _, body := w.submit("/satellites/new/empty", form, neo)
	if status != http.StatusUnauthorized {
		t.Fatalf("a form after the session ended: %d, want 401", status)
	}
	wantIn(t, body, "what you typed is kept")
	raw := readAll(t, w.send("POST", "/satellites/new/empty", form, neo))
	answer := w.send("POST", "/login", with(fields(raw), "username", "neo", "password", password), nil)
	body = readAll(t, answer)
	wantIn(t, body, "Signed in again", `action="/satellites/new/empty"`, "Edge &#34;&gt;&lt;script&gt;")
	status, location, _ := w.submit("/satellites/new/empty", fields(body), answer.Cookies()[0])
	if status != http.StatusSeeOther || location != "/" {
		t.Fatalf("going on: %d %s", status, location)
	}
	if found, err := w.control.ListSatellites(t.Context(), control.Shell(), control.ListQuery{}); err != nil || len(found.Items) != 1 || found.Items[0].Name != `Edge "><script>` {
		t.Fatalf("the satellite of the kept form: %+v %v", found.Items, err)
	}
}
