package admin

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// checkRegistry is how registries elsewhere answer: one lets nobody in.
func checkRegistry(_ context.Context, host string) error {
	if strings.HasPrefix(host, "closed.") {
		return constellation.Errorf(constellation.KindInvalid, "%s does not let us in", host)
	}
	return nil
}

// elsewhere is a registry with a login, a mirror of neo/hello, and the hashes of versions
// of neo/copied, one that is being imported and one whose import failed.
type elsewhere struct{ registry, mirror, importing, failed string }

func (w *world) elsewhere() elsewhere {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	shell := control.Shell()
	registry, err := w.control.CreateForeignRegistry(w.t.Context(), shell, "registry.example.com", control.RegistryChange{Username: new("robot"), Password: new("a login's secret")})
	must(err)
	mirror, err := w.control.CreateMirror(w.t.Context(), shell, "neo/hello", "registry.example.com/team/model", control.MirrorChange{Tags: &[]string{"v*"}})
	must(err)
	made := elsewhere{registry: registry.ID, mirror: mirror.ID, importing: strings.Repeat("6b", 20), failed: strings.Repeat("7c", 20)}
	for _, hash := range []string{made.importing, made.failed} {
		_, _, err = w.control.ImportVersion(w.t.Context(), shell, control.ImportRequest{
			Ref: constellation.AlgorithmRef{Owner: "neo", Name: "copied", Hash: hash}, Image: "registry.example.com/team/model:v1",
		})
		must(err)
	}
	must(w.control.CancelImport(w.t.Context(), shell, constellation.AlgorithmRef{Owner: "neo", Name: "copied", Hash: made.failed}))
	return made
}

// TestRegistriesOnThePanel adds, changes, tests and removes a registry.
func TestRegistriesOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.shows(t, "/registries", neo, "No registries yet")
	if got := w.sent(t, "/registries/new", "/registries/new", neo, http.StatusUnprocessableEntity, "host", "https://x/", "username", "robot", "password", "a login's secret"); !strings.Contains(got, `value="robot"`) || strings.Contains(got, "secret") {
		t.Errorf("a registry that is none says %s", got)
	}
	w.sent(t, "/registries/new", "/registries/new", neo, http.StatusSeeOther, "host", "registry.example.com", "username", "robot", "password", "a login's secret")
	w.sent(t, "/registries/new", "/registries/new", neo, http.StatusSeeOther, "host", "closed.example.com:5000", "plain_http", "true")
	w.shows(t, "/registries", neo, "registry.example.com", "robot", "closed.example.com:5000", "No login", "Plain HTTP", "Never")
	w.shows(t, "/registries?q=closed", neo, "closed.example.com:5000")
	w.shows(t, "/registries?q=nobody", neo, "No registry matches")
	list, err := w.control.ListForeignRegistries(t.Context(), control.Shell(), control.ListQuery{})
	if err != nil || len(list.Items) != 2 {
		t.Fatalf("there are %+v, %v, want two registries", list.Items, err)
	}
	closed, open := "/registries/"+list.Items[0].ID, "/registries/"+list.Items[1].ID
	if page := w.raw(open+"/edit", neo); strings.Contains(page, "secret") || !strings.Contains(page, "Leave it empty to keep the one that is set") {
		t.Error("the page of a registry shows its password, or does not say that it has one")
	}
	if got := w.sent(t, open+"/edit", open+"/edit", neo, http.StatusUnprocessableEntity, "username", "another"); !strings.Contains(got, "ive the password again") || !strings.Contains(got, `value="another"`) {
		t.Errorf("another user name with the password of the one before says %s", got)
	}
	w.sent(t, open+"/edit", open+"/edit", neo, http.StatusSeeOther, "username", "another", "password", "another secret")
	w.shows(t, "/registries", neo, "another")
	for address, says := range map[string]string{open: "registry.example.com answers, and lets another in.", closed: "The test failed: closed.example.com:5000 does not let us in."} {
		role := map[string]string{open: `<div class="flash" role="status">`, closed: `<div class="flash bad" role="alert">`}[address]
		answer := w.send("POST", address+"/test", fields(w.raw("/registries", neo)), neo)
		page := w.with("/registries", append(answer.Cookies(), neo))
		if body := readAll(t, page); answer.StatusCode != http.StatusSeeOther || !strings.Contains(body, says) || !strings.Contains(body, role) {
			t.Errorf("POST %s/test = %d, and the page does not say %q in a %s", address, answer.StatusCode, says, role)
		}
	}
	w.shows(t, open+"/remove", neo, "Remove registry.example.com?", "What was imported stays")
	w.sent(t, open+"/remove", open+"/remove", neo, http.StatusSeeOther)
	w.page(open+"/edit", neo, http.StatusNotFound)
}

// TestMirrorsOnThePanel adds, changes, polls, turns off and removes a mirror of an
// algorithm, which only admins see.
func TestMirrorsOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo, viewer := w.visitor("neo", constellation.RoleAdmin), w.visitor("morpheus", constellation.RoleViewer)
	w.satellite("One") // which has an algorithm
	const page, add = "/algorithms/neo/hello", "/algorithms/neo/hello/mirrors/new"
	w.shows(t, page, neo, "Mirrors", "New mirror")
	if strings.Contains(w.page(page, viewer, http.StatusOK), "Mirrors") {
		t.Error("a viewer is shown an algorithm's mirrors")
	}
	if got := w.sent(t, add, add, neo, http.StatusUnprocessableEntity, "source", "registry.example.com/team/model", "tags", "v*", "keep", "many"); !strings.Contains(got, `value="many"`) || !strings.Contains(got, "1 to 200") {
		t.Errorf("a mirror of many tags says %s", got)
	}
	w.sent(t, add, add, neo, http.StatusSeeOther, "source", "registry.example.com/team/model", "tags", "v*, !*-rc*", "keep", "5", "interval_seconds", "3600")
	w.shows(t, page, neo, "registry.example.com/team/model", "v* !*-rc*", "the newest 5", "Waits for its first poll", "Poll now")
	list, err := w.control.ListMirrors(t.Context(), control.Shell(), "neo/hello", control.ListQuery{})
	if err != nil || len(list.Items) != 1 || list.Items[0].IntervalSeconds != 3600 {
		t.Fatalf("there are %+v, %v, want a mirror each hour", list.Items, err)
	}
	mirror := page + "/mirrors/" + list.Items[0].ID
	w.page("/algorithms/neo/other/mirrors/"+list.Items[0].ID+"/edit", neo, http.StatusNotFound)
	w.sent(t, page, mirror+"/poll", neo, http.StatusSeeOther)
	w.sent(t, mirror+"/edit", mirror+"/edit", neo, http.StatusSeeOther, "tags", "*", "keep", "7", "interval_seconds", "60", "disabled", "true")
	if got := w.page(page, neo, http.StatusOK); !strings.Contains(got, "Off") || strings.Contains(got, "Poll now") {
		t.Error("a mirror that is off does not say so, or can be polled")
	}
	w.sent(t, mirror+"/remove", mirror+"/remove", neo, http.StatusSeeOther)
	w.page(mirror+"/edit", neo, http.StatusNotFound)
}

// TestMirrorWebhookOnThePanel makes the secret address of a mirror, which is shown once,
// makes another, and ends it; and shows what became of its tags.
func TestMirrorWebhookOnThePanel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	id := w.elsewhere().mirror
	const page = "/algorithms/neo/hello"
	mirror := page + "/mirrors/" + id
	w.shows(t, mirror+"/webhook", neo, "Webhook of registry.example.com/team/model", "has the mirror polled at once", "Make address", "Harbor", "registry.example.com/team/model:TAG")
	address := regexp.MustCompile(`http://mothership\.example\.com/v1/mirrors/` + id + `/notify\?secret=([A-Za-z0-9_-]{32})`)
	var secrets []string
	for range 2 { // the second in place of the first
		got := address.FindStringSubmatch(w.sent(t, mirror+"/webhook", mirror+"/webhook", neo, http.StatusOK))
		if got == nil {
			t.Fatal("the page does not show the secret address")
		}
		secrets = append(secrets, got[1])
		if address.MatchString(w.raw(mirror+"/webhook", neo)) {
			t.Error("the secret address is shown again")
		}
		w.shows(t, mirror+"/webhook", neo, "Make another address", "Another address ends that one", "End webhook")
	}
	told := func(secret string) constellation.Kind {
		_, err := w.control.ToldOfPush(t.Context(), id, secret, nil)
		return constellation.KindOf(err)
	}
	if first, second := told(secrets[0]), told(secrets[1]); first != constellation.KindUnauthenticated || second != "" {
		t.Errorf("the first secret is taken with %q, the second with %q; want the second alone", first, second)
	}
	w.shows(t, mirror+"/webhook/end", neo, "End the webhook of registry.example.com/team/model?", "polled on by the clock")
	w.sent(t, mirror+"/webhook/end", mirror+"/webhook/end", neo, http.StatusSeeOther)
	if got := told(secrets[1]); got != constellation.KindUnauthenticated {
		t.Errorf("the secret of a webhook that has ended is taken with %q", got)
	}
	w.shows(t, mirror+"/webhook", neo, "Make address")

	w.shows(t, mirror+"/tags", neo, "No tag fits yet")
	if err := w.db.NoteMirrorTags(t.Context(), id, []string{"v1", "v2"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := w.db.SetMirrorTag(t.Context(), id, "v2", "sha256:"+strings.Repeat("a", 64), "", "it is for windows/amd64 alone"); err != nil {
		t.Fatal(err)
	}
	w.shows(t, mirror+"/tags", neo, "Tags of registry.example.com/team/model", "v1", "Not followed", "v2", "Failed", "It is for windows/amd64 alone")
	w.shows(t, page, neo, mirror+"/tags")
}

// TestImportButtons cancels an import, and imports again.
func TestImportButtons(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo, viewer := w.visitor("neo", constellation.RoleAdmin), w.visitor("morpheus", constellation.RoleViewer)
	version := "/algorithms/neo/copied/" + w.elsewhere().importing
	w.shows(t, version, neo, "Cancel import")
	if strings.Contains(w.page(version, viewer, http.StatusOK), "Cancel import") {
		t.Error("a viewer is offered to cancel an import")
	}
	w.sent(t, version, version+"/import/cancel", neo, http.StatusSeeOther)
	w.shows(t, version, neo, "Import again", "t was cancelled by neo")
	w.sent(t, version, version+"/import/retry", neo, http.StatusSeeOther)
	w.shows(t, version, neo, "Cancel import")
}
