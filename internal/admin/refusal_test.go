package admin

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// refuseWrites has the database refuse every change with the SQLSTATE in the
// table refusal, when there is one.
const refuseWrites = `
	CREATE TABLE refusal (code text);
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE state text := (SELECT code FROM refusal);
		BEGIN
			IF state IS NOT NULL THEN RAISE EXCEPTION 'refused by the test' USING ERRCODE = state; END IF;
			RETURN coalesce(NEW, OLD);
		END $$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse();
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON satellite_drafts FOR EACH ROW EXECUTE FUNCTION refuse();`

// refused is a world whose database refuses changes when it is told to.
type refused struct {
	*world
	refuse  func(code string)
	execute func(sql string, args ...any)
}

func newRefused(t *testing.T) refused {
	t.Helper()
	address := postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(refuseWrites)
	return refused{newWorldOn(t, "http://mothership.example.com", db), func(code string) {
		run("DELETE FROM refusal")
		if code != "" {
			run("INSERT INTO refusal VALUES ($1)", code)
		}
	}, run}
}

// shownReason is what a page says of a refusal: in its place of a page of ours
// for failures, above a form, or under a field of it.
var shownReason = regexp.MustCompile(`(?s)(?:data-refusal>\s*<p>|class="problem" role="alert">|class="error" id="[^"]*">)([^<]+)<`)

// TestEveryRefusalIsShown sends every form that changes something, as an answer
// of 409, 422, 500 and 403 becomes of it: by the page and by a script, the
// reason is said.
func TestEveryRefusalIsShown(t *testing.T) {
	t.Parallel()
	w := newRefused(t)
	neo := w.visitor("neo", constellation.RoleAdmin)
	subject := w.visitor("subject", constellation.RoleViewer)
	w.adminKey("neo")
	s := w.satellite("Edge")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 { // the launch is to have the second, and runs the first; nothing needs the third
		_, _, err := w.control.CreateSatelliteVersion(t.Context(), control.Shell(), s.ID, nil, control.VersionSpec{Algorithms: []control.AlgorithmSpec{{Algorithm: "neo/hello/" + hash, VanityURL: "second/try", Replicas: n + 1}}})
		must(err)
	}
	l, err := w.control.CreateLaunch(t.Context(), control.Shell(), s.ID, control.NewLaunch{SatelliteVersion: 2, Name: "Line 1"})
	must(err)
	w.beat(s, l, constellation.WorkState{
		Queue:       &constellation.QueueState{State: constellation.QueueOK, Dead: 1},
		DeadLetters: []constellation.DeadLetter{{RequestID: "req-1", VanityURL: "second/try", Attempts: 1, At: time.Now()}},
	})
	_, callerKey, err := w.control.CreateSatelliteKey(t.Context(), control.Shell(), s.ID, control.NewSatelliteKey{Name: "checkout"})
	must(err)
	keyOf := func(username string) string {
		_, key, err := w.control.CreateKey(t.Context(), control.Shell(), username, control.NewKey{Name: "laptop"})
		must(err)
		return key.ID
	}
	sessionOf := func(username string) string {
		w.send("POST", "/login", url.Values{"username": {username}, "password": {password}}, nil)
		list, err := w.control.ListSessions(t.Context(), control.Shell(), username)
		must(err)
		return list[0].ID
	}
	w.pushUnused()
	hook := "https://hooks.example.com/constellation"
	destination, _, err := w.control.CreateDestination(t.Context(), control.Shell(), control.DestinationChange{Name: new("Chat"), Kind: constellation.DestinationWebhook, URL: &hook})
	must(err)
	rule, err := w.control.CreateNotificationRule(t.Context(), control.Shell(), constellation.NotificationRule{Name: "All", DestinationIDs: []string{destination.ID}})
	must(err)
	delivery, err := w.control.TestDestination(t.Context(), control.Shell(), destination.ID)
	must(err)
	w.execute("UPDATE notification_deliveries SET state = 'failed', finished_at = now()") // it can be sent again
	service := control.NewAccount{Username: "robot", Role: constellation.RoleAdmin, Kind: constellation.KindService}
	_, err = w.control.CreateAccount(t.Context(), control.Shell(), service)
	must(err)
	tokenRule, err := w.control.CreateTokenRule(t.Context(), control.Shell(), constellation.TokenRule{
		Name: "CI", Issuer: "https://ci.example.com", Audience: "m", Username: "robot", Role: constellation.RoleViewer, Conditions: []constellation.ClaimCondition{{Claim: "sub", Value: "x"}},
	})
	must(err)
	_, err = w.control.SetQuota(t.Context(), control.Shell(), "neo", 1e9)
	must(err)
	_, err = w.control.SetRetentionRule(t.Context(), control.Shell(), constellation.RetentionRule{Scope: "neo", Keep: 100, Days: 100})
	must(err)
	elsewhere := w.elsewhere()
	_, _, err = w.control.MakeMirrorWebhook(t.Context(), control.Shell(), elsewhere.mirror) // it can be ended
	must(err)
	common := []string{"{mirror_id}", elsewhere.mirror, "{registry_id}", elsewhere.registry, "{destination_id}", destination.ID, "{rule_id}", rule.ID, "{delivery_id}", delivery.ID, "{owner}", "neo", "{name}", "hello", "{hash}", unusedHash, "{satellite_id}", s.ID, "{launch_id}", l.ID, "{username}", "subject", "{number}", "3", "{index}", "0"}
	places := map[string]*strings.Replacer{
		"/account":     strings.NewReplacer(append(common, "{key_id}", keyOf("neo"), "{session_id}", sessionOf("neo"))...),
		"/users":       strings.NewReplacer(append(common, "{key_id}", keyOf("subject"), "{session_id}", sessionOf("subject"))...),
		"/token-rules": strings.NewReplacer("{rule_id}", tokenRule.ID),
		"/algorithms/{owner}/{name}/{hash}/import/cancel": strings.NewReplacer("{owner}", "neo", "{name}", "copied", "{hash}", elsewhere.importing),
		"/algorithms/{owner}/{name}/{hash}/import/retry":  strings.NewReplacer("{owner}", "neo", "{name}", "copied", "{hash}", elsewhere.failed),
		"": strings.NewReplacer(append(common, "{key_id}", callerKey.ID)...),
	}
	typed := url.Values{
		"name": {"Typed"}, "algorithm": {"neo/hello/" + hash}, "vanity_url": {"third/try"}, "replicas": {"3"}, "expires_at": {"2036-05-04"}, "username": {"trinity"}, "role": {"viewer"},
		"schedule": {"night"}, "cron": {"@daily"}, "time_zone": {"UTC"}, "lifetime": {"30"}, "current_password": {password}, "new_password": {"another good password"}, "satellite_version": {"2"}, "version": {"1"}, "port": {"8081"},
		"kind": {"webhook"}, "url": {hook}, "destinations": {destination.ID}, "quiet.from": {"22:00"}, "quiet.to": {"06:00"}, "quiet.time_zone": {"UTC"},
		"quota": {"50GB"}, "of": {"neo"}, "keep_versions": {"5"}, "after_days": {"7"},
		"issuer": {"https://ci.example.com"}, "audience": {"m"}, "conditions": {"sub=y"}, "account": {"robot"}, "token_to_try": {"x"},
		"host": {"elsewhere.example.com"}, "password": {password}, "source": {"registry.example.com/team/other"}, "tags": {"v*"}, "keep": {"5"}, "interval_seconds": {"3600"},
		"owner": {"neo"}, "git_hash": {strings.Repeat("5a", 20)}, "image": {"registry.example.com/team/model:1"},
	}
	edit := "/satellites/" + s.ID + "/edit"
	drafts := map[string]string{} // the pages of drafts with a line, by where they are edited
	for editor, kept := range map[string]string{newDraft: newDraft + "/algorithm", editDraft: edit + "/preview"} {
		from := strings.TrimSuffix(strings.TrimSuffix(kept, "/preview"), "/algorithm")
		status, location, body := w.submit(kept, with(fields(w.raw(strings.TrimSuffix(kept, "/preview"), neo)), "algorithm", "neo/hello/"+hash, "vanity_url", "third/try"), neo)
		if status != http.StatusSeeOther {
			t.Fatalf("keep a draft by %s: %d %s", kept, status, body)
		}
		_, dialog, _ := w.submit(from+"/schedules/add", fields(w.raw(location, neo)), neo)
		status, location, body = w.submit(dialog, with(fields(w.raw(dialog, neo)), "schedule", "night", "cron", "@daily", "vanity_url", "third/try"), neo)
		if status != http.StatusSeeOther {
			t.Fatalf("add a schedule by %s: %d %s", dialog, status, body)
		}
		drafts[editor] = location
	}
	for _, r := range Routes() {
		if r.Method != http.MethodPost || r.Role == anyone {
			continue
		}
		var fill *strings.Replacer
		for prefix, replacer := range places {
			if strings.HasPrefix(r.Pattern, prefix) && (prefix != "" || fill == nil) {
				fill = replacer
			}
		}
		target := fill.Replace(r.Pattern)
		page := target + "?version=1&id=req-1"
		switch { // the form is on the list's page
		case strings.HasSuffix(r.Pattern, "{destination_id}/test"):
			page = "/notifications"
		case strings.HasSuffix(r.Pattern, "{registry_id}/test"):
			page = "/registries"
		case strings.HasSuffix(r.Pattern, "{mirror_id}/poll"):
			page = "/algorithms/neo/hello"
		case strings.Contains(r.Pattern, "/{hash}/import/"):
			page = target[:strings.Index(target, "/import/")]
		case strings.HasSuffix(r.Pattern, "/resend"):
			page = "/notifications/log"
		case strings.HasPrefix(r.Pattern, "/system/retention/"):
			page = strings.Replace(target, "preview", "new", 1) + "?of=neo"
		}
		for editor, draft := range drafts { // an action's form is on the editor's page
			if action, ok := strings.CutPrefix(r.Pattern, editor+"/"); ok && action != "algorithm" && action != "schedule" {
				page = draft
			}
		}
		w.refusals(t, r, target, page, typed, neo, subject)
	}
}

// refusals sends one form of a page in vain, as neo, who may, and as subject, who
// may not.
func (w refused) refusals(t *testing.T, r Route, target, from string, typed url.Values, neo, subject *http.Cookie) {
	t.Helper()
	for _, c := range []struct {
		code   string
		who    *http.Cookie
		typed  url.Values
		status int
		says   string
	}{
		{"23505", neo, typed, http.StatusConflict, "Somebody else made the same just now"},
		{"P0001", neo, typed, http.StatusInternalServerError, "The server could not answer"},
		{"", neo, url.Values{}, http.StatusUnprocessableEntity, ""},
		{"", subject, typed, http.StatusForbidden, "This page needs the role"},
	} {
		if c.status == http.StatusForbidden && r.Role == constellation.RoleViewer || c.status == http.StatusUnprocessableEntity && !takesText[r.Pattern] {
			continue // everybody may; there is nothing to get wrong
		}
		if c.code != "" && (strings.HasSuffix(r.Pattern, "/algorithm/choices") || strings.HasSuffix(r.Pattern, "/schedule/runs") || r.Pattern == "/token-rules/try" || r.Pattern == "/system/retention/preview") {
			continue // changes nothing
		}
		for _, part := range []string{"", "layer"} {
			if part != "" && ofPage[r.Pattern] {
				continue
			}
			page := w.raw(from, neo) // made before anything is refused
			form := fields(page)
			for name := range typed {
				if strings.Contains(page, `name="`+name+`"`) {
					form.Set(name, c.typed.Get(name))
				}
			}
			if form.Del("satellite_id"); strings.HasSuffix(target, "/role") && c.typed.Has("role") {
				form.Set("role", "operator") // the form is on the user's page
			}
			action := target
			if _, query, ok := strings.Cut(page, `action="`+target+"?revision="); ok {
				action += "?revision=" + query[:strings.Index(query, `"`)]
			}
			w.refuse(c.code)
			request := httptest.NewRequest(r.Method, action, strings.NewReader(form.Encode())).WithContext(t.Context())
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			request.AddCookie(c.who)
			if part != "" {
				request.Header.Set("HX-Request", "true")
				request.Header.Set("HX-Target", part)
			}
			answer := w.serve(request)
			w.refuse("")
			reasons := shownReason.FindStringSubmatch(html.UnescapeString(readAll(t, answer)))
			conflict := c.status == http.StatusConflict && answer.StatusCode == http.StatusUnprocessableEntity // at a field
			if answer.StatusCode != c.status && !conflict || len(reasons) == 0 || !strings.Contains(reasons[1], c.says) {
				t.Errorf("POST %s (%q) refused with %q = %d and says %q, want %d and %q", r.Pattern, part, c.code, answer.StatusCode, reasons, c.status, c.says)
			}
		}
	}
}

// ofPage are the forms that are a whole page's, and no dialog's.
var ofPage = map[string]bool{"/algorithms/import": true,
	newDraft: true, newDraft + "/empty": true, newDraft + "/lines/{index}/change": true, newDraft + "/lines/{index}/remove": true, newDraft + "/admin-key": true,
	editDraft: true, editDraft + "/preview": true, editDraft + "/rebase": true, editDraft + "/discard": true, editDraft + "/lines/{index}/change": true,
	editDraft + "/lines/{index}/remove": true, editDraft + "/lines/{index}/settings": true, editDraft + "/admin-key": true, "/users/{username}/role": true, "/users/{username}/provider": true,
}

// takesText are the forms that can be filled in wrongly.
var takesText = map[string]bool{
	"/system/owners/quota": true, "/system/owners/{owner}/quota": true, "/system/retention/new": true, "/system/retention/edit": true, "/system/retention/preview": true,
	"/token-rules/new": true, "/token-rules/{rule_id}/edit": true, "/token-rules/try": true,
	"/algorithms/import": true,
	"/registries/new":    true, "/algorithms/{owner}/{name}/mirrors/new": true, "/algorithms/{owner}/{name}/mirrors/{mirror_id}/edit": true,
	"/notifications/destinations/new": true, "/notifications/destinations/{destination_id}/edit": true, "/notifications/rules/new": true, "/notifications/rules/{rule_id}/edit": true,
	"/satellites/new": true, "/satellites/new/algorithm": true, "/satellites/{satellite_id}/edit": true, "/satellites/{satellite_id}/edit/algorithm": true,
	"/satellites/new/schedule": true, "/satellites/{satellite_id}/edit/schedule": true,
	"/satellites/{satellite_id}/keys/new": true, "/satellites/{satellite_id}/renew": true, "/satellites/{satellite_id}/launches/new": true,
	"/satellites/{satellite_id}/launches/{launch_id}/edit": true, "/account/keys/new": true, "/account/password": true, "/users/new": true,
	"/users/{username}/role": true, "/users/{username}/keys/new": true,
}
