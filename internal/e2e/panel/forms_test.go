package panel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/admin"
	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// form is a form of the panel as a person finds it and sends it.
type form struct {
	route  string      // of the route table, which takes it by POST
	page   string      // where it is, with what the route table leaves open; "" is the route
	fill   [][2]string // fields and what is typed into them
	first  string      // a button before, whose answer has the form's
	button string
	sees   string // once it is done
	after  string // a link back to the page
	plain  bool   // its answer is the page, with a script too
	typing bool   // a script sends it while somebody types
	late   bool   // somebody else saves the satellite first
	told   bool   // the launch has just told of dead letters
}

// forms are those of the route table that somebody signed in sends, in an
// order in which all can be sent one after the other.
var forms = []form{
	{route: "/theme", page: "/", button: "Dark", sees: "Constellation", plain: true},
	{route: "/satellites/new/empty", page: "/satellites/new", fill: [][2]string{{"name", "Empty {run}"}}, first: "Create satellite", button: "Create it empty", sees: "Created the satellite Empty {run}"},
	{route: "/satellites/new/add", page: "/satellites/new", fill: [][2]string{{"name", "Sent {run}"}}, button: "Add an algorithm", sees: "How many copies run at once"},
	{route: "/satellites/new/algorithm/choices", page: "/satellites/new/algorithm?draft={draft}", fill: [][2]string{{"algorithm", "fr"}}, button: "fraud/", sees: "fraud/score/"},
	{route: "/satellites/new/algorithm", page: "/satellites/new/algorithm?draft={draft}", fill: [][2]string{{"algorithm", "{algorithm}"}, {"vanity_url", "foo/bar"}, {"replicas", "2"}}, button: "Add algorithm", sees: "foo/bar"},
	{route: "/satellites/new/lines/{index}/change", page: "/satellites/new?draft={draft}", button: "Change foo/bar", sees: "Change algorithm", after: "Cancel"},
	{route: "/satellites/new/lines/{index}/remove", page: "/satellites/new?draft={draft}", button: "Remove foo/bar", sees: "None yet."},
	{route: "/satellites/new/algorithm", fill: [][2]string{{"algorithm", "{algorithm}"}, {"vanity_url", "foo/bar"}, {"replicas", "2"}}, button: "Add algorithm", sees: "foo/bar"},
	{route: "/satellites/new/schedules/add", page: "/satellites/new?draft={draft}", button: "Add a schedule", sees: "When, as a cron expression"},
	{route: "/satellites/new/schedule/runs", page: "/satellites/new/schedule?draft={draft}", fill: [][2]string{{"cron", "@daily"}}, button: "Show the next runs", sees: "The next runs, in UTC", typing: true},
	{route: "/satellites/new/schedule", page: "/satellites/new/schedule?draft={draft}", fill: [][2]string{{"schedule", "each-night-{run}"}, {"cron", "@daily"}}, button: "Add schedule", sees: "each-night-{run}"},
	{route: "/satellites/new/schedules/{index}/change", page: "/satellites/new?draft={draft}", button: "Change each-night", sees: "Change schedule", after: "Cancel"},
	{route: "/satellites/new/schedules/{index}/remove", page: "/satellites/new?draft={draft}", button: "Remove each-night", sees: "None."},
	{route: "/satellites/new", page: "/satellites/new?draft={draft}", fill: [][2]string{{"name", "Sent {run}"}}, button: "Create satellite", sees: "Created the satellite Sent {run}"},
	{route: "/satellites/{satellite_id}/edit/add", page: "/satellites/{satellite_id}/edit", button: "Add an algorithm", sees: "How many copies run at once"},
	{route: "/satellites/{satellite_id}/edit/algorithm/choices", page: "/satellites/{satellite_id}/edit/algorithm?draft={draft}", fill: [][2]string{{"algorithm", "fr"}}, button: "fraud/", sees: "fraud/score/"},
	{route: "/satellites/{satellite_id}/edit/algorithm", page: "/satellites/{satellite_id}/edit/algorithm?draft={draft}", fill: [][2]string{{"algorithm", "{algorithm}"}, {"vanity_url", "foo/more"}, {"replicas", "1"}}, button: "Add algorithm", sees: "foo/more"},
	{route: "/satellites/{satellite_id}/edit/lines/{index}/settings", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Take revision 2", sees: "Saving takes revision 2"},
	{route: "/satellites/{satellite_id}/edit/lines/{index}/change", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Change fraud/score", sees: "Change algorithm", after: "Cancel"},
	{route: "/satellites/{satellite_id}/edit/lines/{index}/remove", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Remove fraud/score", sees: "1 algorithm added, 1 removed"},
	{route: "/satellites/{satellite_id}/edit/schedules/add", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Add a schedule", sees: "When, as a cron expression"},
	{route: "/satellites/{satellite_id}/edit/schedule/runs", page: "/satellites/{satellite_id}/edit/schedule?draft={draft}", fill: [][2]string{{"cron", "@daily"}}, button: "Show the next runs", sees: "The next runs, in UTC", typing: true},
	{route: "/satellites/{satellite_id}/edit/schedule", page: "/satellites/{satellite_id}/edit/schedule?draft={draft}", fill: [][2]string{{"schedule", "each-night-{run}"}, {"cron", "@daily"}}, button: "Add schedule", sees: "each-night-{run}"},
	{route: "/satellites/{satellite_id}/edit/schedules/{index}/change", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Change each-night", sees: "Change schedule", after: "Cancel"},
	{route: "/satellites/{satellite_id}/edit/schedules/{index}/remove", page: "/satellites/{satellite_id}/edit?draft={draft}", button: "Remove each-night", sees: "None."},
	{route: "/satellites/{satellite_id}/edit/preview", page: "/satellites/{satellite_id}/edit?draft={draft}", fill: [][2]string{{"name", "Renamed {run}"}}, button: "Show what saving does", sees: "Renames it from", typing: true},
	{route: "/satellites/{satellite_id}/edit", page: "/satellites/{satellite_id}/edit?draft={draft}", fill: [][2]string{{"name", "Renamed {run}"}}, button: "Save changes", sees: "Saved as version"},
	{route: "/satellites/{satellite_id}/edit/rebase", page: "/satellites/{satellite_id}/edit", fill: [][2]string{{"name", "Late {run}"}}, late: true, first: "Save changes", button: "Put my changes on version", sees: "Renames it from"},
	{route: "/satellites/{satellite_id}/edit/discard", page: "/satellites/{satellite_id}/edit", fill: [][2]string{{"name", "Later {run}"}}, late: true, first: "Save changes", button: "Discard my changes", sees: "Nothing: it is as it was."},
	{route: "/satellites/{satellite_id}/versions/{number}/again", button: "Make version", sees: "from version 1."},
	{route: "/satellites/{satellite_id}/keys/new", fill: [][2]string{{"name", "billing"}, {"rate.per_second", "2"}}, button: "Create key", sees: "shown this once"},
	{route: "/satellites/{satellite_id}/keys/{key_id}/revoke", button: "Revoke key", sees: "Revoked the key"},
	{route: "/satellites/{satellite_id}/renew", button: "Renew", sees: "Renewed: it expires"},
	{route: "/satellites/{satellite_id}/launches/new", fill: [][2]string{{"name", "Line 9"}, {"description", "by the paint shop"}, {"labels", "site=munich"}}, button: "Create launch instance", sees: "Created the launch instance Line 9"},
	{route: "/satellites/{satellite_id}/launches/{launch_id}/edit", fill: [][2]string{{"name", "Line 8"}, {"description", "moved"}, {"labels", "site=dingolfing"}}, button: "Save changes", sees: "Saved the launch instance Line 8"},
	{route: "/satellites/{satellite_id}/launches/{launch_id}/dead-letters/decide", page: "/satellites/{satellite_id}/launches/{launch_id}/dead-letters/decide?action=retry&id=req-1", button: "Retry", sees: "Asked to retry 1 call", told: true},
	{route: "/satellites/{satellite_id}/launches/{launch_id}/rollback", button: "Roll back to version 1", sees: "is to run version 1"},
	{route: "/satellites/{satellite_id}/launches/{launch_id}/promote", button: "Promote", sees: "is to run version"},
	{route: "/satellites/{satellite_id}/launches/{launch_id}/remove", button: "Remove launch instance", sees: "Removed the launch instance"},
	{route: "/satellites/{satellite_id}/versions/{number}/remove", button: "Remove version", sees: "Removed version"},
	{route: "/satellites/{satellite_id}/remove", button: "Remove satellite", sees: "Removed the satellite"},
	{route: "/algorithms/{owner}/{name}/{hash}/settings", fill: [][2]string{{"memory", "3Gi"}}, button: "Save as revision 3", sees: "Saved as revision 3"},
	{route: "/algorithms/{owner}/{name}/{hash}/remove", page: "/algorithms/{owner}/{name}/{unused_hash}/remove", button: "Remove version", sees: "Removed version"},
	{route: "/algorithms/import", fill: [][2]string{{"image", "registry.invalid/team/model:1"}, {"owner", "fraud"}, {"name", "imported-{run}"}, {"git_hash", "abcdefabcdefabcdefabcdefabcdefabcdefabcd"}}, button: "Import version", sees: "is being imported"},
	{route: ofVersion + "/import/cancel", page: "/algorithms/walked/copied-{run}/{importing_hash}", button: "Cancel import", sees: "The import is cancelled.", plain: true},
	{route: ofVersion + "/import/retry", page: "/algorithms/walked/copied-{run}/{failed_hash}", button: "Import again", sees: "The image is being imported again.", plain: true},
	{route: ofMirrors + "/new", fill: [][2]string{{"source", "registry.invalid/team/new-{run}"}, {"tags", "v* !*-rc*"}, {"keep", "5"}}, button: "Add mirror", sees: "Added the mirror of registry.invalid/team/new-{run}."},
	{route: ofMirrors + "/{mirror_id}/edit", fill: [][2]string{{"tags", "v1.*"}}, button: "Save mirror", sees: "Saved the mirror of registry.invalid/team/{run}."},
	{route: ofMirrors + "/{mirror_id}/poll", page: "/algorithms/{owner}/{name}", button: "Poll now registry.invalid/team/", sees: "is being polled.", plain: true},
	{route: ofMirrors + "/{mirror_id}/webhook", button: "Make another address", sees: "its secret is not shown again"},
	{route: ofMirrors + "/{mirror_id}/webhook/end", button: "End webhook", sees: "The webhook of registry.invalid/team/{run} has ended."},
	{route: ofMirrors + "/{mirror_id}/remove", button: "Remove mirror", sees: "Removed the mirror of registry.invalid/team/{run}."},
	{route: "/registries/new", fill: [][2]string{{"host", "new-{run}.registry.invalid"}, {"username", "robot"}, {"password", password}}, button: "Add registry", sees: "Added the registry new-{run}.registry.invalid."},
	{route: ofRegistry + "/edit", fill: [][2]string{{"username", "robot"}, {"password", password}}, button: "Save registry", sees: "Saved the registry {run}.registry.invalid."},
	{route: ofRegistry + "/test", page: "/registries?q={run}.registry", button: "Test", sees: "The test failed: ", plain: true},
	{route: ofRegistry + "/remove", button: "Remove registry", sees: "Removed the registry {run}.registry.invalid."},
	{route: "/account/keys/new", fill: [][2]string{{"name", "jump host"}}, button: "Create key", sees: "it is not shown again"},
	{route: "/account/keys/{own_key_id}/revoke", button: "Revoke key", sees: "The key is revoked."},
	{route: "/account/sessions/{session_id}/end", page: "/account", button: "Sign out Firefox on Linux", sees: "That browser is signed out.", plain: true},
	{route: "/notifications/destinations/new", fill: [][2]string{{"name", "Ops {run}"}, {"url", "https://hooks.example.com/in"}}, button: "Add destination", sees: "It is not shown again"},
	{route: "/notifications/destinations/{destination_id}/edit", fill: [][2]string{{"name", "Chat {run} at night"}}, button: "Save destination", sees: "Saved the destination Chat {run} at night"},
	{route: "/notifications/destinations/{destination_id}/test", page: "/notifications?q=chat+{run}", button: "Send a test", sees: "A test is being sent to Chat {run}", plain: true},
	{route: "/notifications/log/{delivery_id}/resend", page: "/notifications/log?q=tried+{run}", button: "Send again", sees: "The message is being sent again", plain: true},
	{route: "/notifications/rules/new", page: "/notifications/rules/new?destination={destination_id}", fill: [][2]string{{"name", "Rule {run}"}}, button: "Add rule", sees: "Saved the rule Rule {run}"},
	{route: "/notifications/rules/{rule_id}/edit", fill: [][2]string{{"name", "Told {run}"}}, button: "Save rule", sees: "Saved the rule Told {run}"},
	{route: "/notifications/rules/{rule_id}/remove", button: "Remove rule", sees: "Removed the rule"},
	{route: "/notifications/destinations/{destination_id}/remove", button: "Remove destination", sees: "Removed the destination"},
	{route: "/system/owners/quota", fill: [][2]string{{"owner", "quota-{run}"}, {"quota", "50GB"}}, button: "Save quota", sees: "The quota of quota-{run} is 50.00 GB now."},
	{route: "/system/owners/{owner}/quota", page: "/system/owners/walked-{run}/quota", fill: [][2]string{{"quota", "60GB"}}, button: "Save quota", sees: "The quota of walked-{run} is 60.00 GB now."},
	{route: "/system/owners/{owner}/quota/remove", page: "/system/owners/walked-{run}/quota/remove", button: "Remove quota", sees: "Removed the quota of walked-{run}."},
	{route: "/system/retention/new", fill: [][2]string{{"of", "kept-{run}"}}, button: "Save rule", sees: "Saved the rule of kept-{run}."},
	{route: "/system/retention/preview", page: "/system/retention/new", fill: [][2]string{{"of", "kept-{run}"}, {"keep_versions", "5"}}, button: "Show what goes", sees: "With this rule, the rules let go of"},
	{route: "/system/retention/edit", page: "/system/retention/edit?of=walked-{run}", fill: [][2]string{{"after_days", "900"}}, button: "Save rule", sees: "Saved the rule of walked-{run}."},
	{route: "/system/retention/remove", page: "/system/retention/remove?of=walked-{run}", button: "Remove rule", sees: "Removed the rule of walked-{run}."},
	{route: "/token-rules/new", fill: [][2]string{{"name", "New {run}"}, {"issuer", "https://ci.example.com"}, {"conditions", "sub=x"}}, button: "Save token rule", sees: "Saved the token rule New {run}."},
	{route: "/token-rules/try", fill: [][2]string{{"token_to_try", "e30.eyJpc3MiOiJodHRwczovL25vYm9keS5leGFtcGxlIn0.e30"}}, button: "Try token", sees: "No token rule is for its issuer"},
	{route: "/token-rules/{rule_id}/edit", page: "/token-rules/{token_rule_id}/edit", fill: [][2]string{{"name", "Edited {run}"}}, button: "Save token rule", sees: "Saved the token rule Edited {run}."},
	{route: "/token-rules/{rule_id}/remove", page: "/token-rules/{token_rule_id}/remove", button: "Remove token rule", sees: "Removed the token rule"},
	{route: "/system/free", button: "Free space", sees: "is being freed in the background"},
	{route: "/users/new", fill: [][2]string{{"username", "guest-{run}"}}, button: "Invite user", sees: "It works once"},
	{route: "/users/{username}/role", page: "/users/{username}", button: "Save role", sees: "The role is viewer now."},
	{route: "/users/{username}/password", button: "Make a link for", sees: "It works once"},
	{route: "/users/{username}/keys/new", fill: [][2]string{{"name", "CI of theirs"}}, button: "Create key", sees: "it is not shown again"},
	{route: "/users/{username}/keys/{key_id}/revoke", page: "/users/{username}/keys/{user_key_id}/revoke", button: "Revoke key", sees: "The key is revoked."},
	{route: "/users/{username}/sessions/{session_id}/end", page: "/users/{username}", button: "Sign out Firefox on Linux", sees: "That browser is signed out.", plain: true},
	{route: "/users/{username}/sign-out", button: "Sign out", sees: "signed out everywhere"},
	{route: "/users/{username}/disable", button: "Disable", sees: "signed out everywhere"},
	{route: "/users/{username}/enable", button: "Enable", sees: "may sign in again"},
	{route: "/account/password", fill: [][2]string{{"current_password", password}, {"new_password", "another good password"}}, button: "Change password", sees: "The password is changed"},
	{route: "/account/sign-out", button: "Sign out everywhere", sees: "Sign in"},
}

// keyless are the forms of somebody who has no API key.
var keyless = []form{
	{route: "/satellites/new/admin-key", page: "/satellites/new", fill: [][2]string{{"name", "Keyless {run}"}}, button: "Make an admin API key", sees: "shown this once"},
	{route: "/satellites/{satellite_id}/edit/admin-key", page: "/satellites/{satellite_id}/edit", button: "Make an admin API key", sees: "shown this once"},
}

// strangers are the routes whose forms somebody sends who is not signed in,
// and the way out.
var strangers = []string{"/setup", "/invitation", "/login", "/logout"}

// provided are the routes whose forms are there only where people sign in by a
// provider: see TestSingleSignOn.
var provided = []string{"/users/{username}/provider"}

// TestFormsAreThoseOfTheRouteTable has the walks below leave out no form.
func TestFormsAreThoseOfTheRouteTable(t *testing.T) {
	t.Parallel()
	walked := append(slices.Clone(strangers), provided...)
	for _, f := range append(keyless, forms...) {
		walked = append(walked, strings.ReplaceAll(f.route, "own_key_id", "key_id"))
	}
	var table []string
	for _, r := range admin.Routes() {
		if r.Method == "POST" {
			table = append(table, r.Pattern)
		}
	}
	slices.Sort(walked)
	walked = slices.Compact(walked) // one is sent twice
	slices.Sort(table)
	if !slices.Equal(walked, table) {
		t.Errorf("the walks send the forms\n%s\nthe route table takes\n%s", strings.Join(walked, "\n"), strings.Join(table, "\n"))
	}
}

// ground is what the forms of a walk act on.
type ground struct {
	fill     *strings.Replacer
	overtake func() // saves the satellite, as somebody else
	report   func() // has the launch report dead letters
}

// newGround makes an algorithm with two versions, one of which has corrected settings,
// a satellite with three versions that have the earlier ones, a launch of the second
// and a caller key, and an account with a key and a session; own is the account
// that walks.
func (w *world) newGround(t *testing.T, own, run string) ground {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	used, unused := hashOf("8"), hashOf("9")
	for _, hash := range []string{used, unused} {
		must(w.push("walked/"+run, hash, code))
	}
	must(w.correct(t.Context(), "walked/"+run+"/"+used, apiv1.RuntimeUpdate{Memory: new("2Gi")}))
	line := func(n int) []apiv1.SatelliteAlgorithm {
		return []apiv1.SatelliteAlgorithm{{Algorithm: "walked/" + run + "/" + used, VanityURL: "fraud/score", Replicas: n, RuntimeRevision: 1}}
	}
	satellite, err := w.api.CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "Walked " + run, Algorithms: line(1)})
	must(err)
	for n := range 2 {
		_, err = w.api.CreateSatelliteVersion(t.Context(), satellite.ID, "", line(n+2))
		must(err)
	}
	launch, err := w.api.CreateLaunch(t.Context(), satellite.ID, apiv1.LaunchCreate{SatelliteVersion: 2, Name: "Line 1"})
	must(err)
	key, err := w.api.CreateSatelliteKey(t.Context(), satellite.ID, apiv1.SatelliteKeyCreate{Name: "checkout"})
	must(err)
	subject := "subject-" + run
	_, err = w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: subject, Role: "viewer", Password: password})
	must(err)
	userKey, err := w.api.CreateKey(t.Context(), subject, apiv1.KeyCreate{Name: "laptop"})
	must(err)
	ownKey, err := w.api.CreateKey(t.Context(), own, apiv1.KeyCreate{Name: "old laptop"})
	must(err)
	for _, username := range []string{own, subject} { // another browser each
		_, err = w.signIn(t.Context(), username, password)
		must(err)
	}
	told := w.told(t, run)
	tokenRule := w.spaceRules(t, run)
	copied := w.elsewhere(t, run)
	overtake := func() {
		latest, _, err := w.api.GetSatellite(t.Context(), satellite.ID)
		must(err)
		_, err = w.api.CreateSatelliteVersion(t.Context(), satellite.ID, "", line(10+latest.LatestVersion.Number))
		must(err)
	}
	report := func() { must(w.beat(t.Context(), satellite.ID, launch.ID, 2, 2, "", reportWork)) }
	return ground{overtake: overtake, report: report, fill: strings.NewReplacer("{satellite_id}", satellite.ID, "{launch_id}", launch.ID, "{key_id}", key.ID, "{number}", "1",
		"{username}", subject, "{user_key_id}", userKey.ID, "{own_key_id}", ownKey.ID, "{algorithm}", w.score, "{run}", run, "{owner}", "walked", "{name}", run, "{hash}", used, "{unused_hash}", unused,
		"{destination_id}", told.destination, "{rule_id}", told.rule, "{delivery_id}", told.delivery, "{token_rule_id}", tokenRule,
		"{registry_id}", copied.registry, "{mirror_id}", copied.mirror, "{importing_hash}", copied.importing, "{failed_hash}", copied.failed)}
}

// spaceRules makes a quota, a retention rule and a token rule, whose id it returns.
func (w *world) spaceRules(t *testing.T, run string) string {
	t.Helper()
	call := func(method, path, body string, into any) {
		t.Helper()
		if _, err := (loadtest.Client{URL: w.mothership.URL, Key: w.key}).Call(t.Context(), method, path, body, into); err != nil {
			t.Fatal(err)
		}
	}
	call("PUT", "/v1/quotas/walked-"+run, `{"bytes":50000000000}`, new(any))
	call("PUT", "/v1/retention?scope=walked-"+run, `{"keep_versions":1000,"after_days":1000}`, new(any))
	call("POST", "/v1/service-accounts", `{"username":"robot-`+run+`","role":"admin"}`, new(any))
	var made struct{ ID string }
	call("POST", "/v1/token-rules", `{"name":"CI `+run+`","issuer":"https://ci.example.com","audience":"m","account":"robot-`+run+`","role":"viewer","conditions":[{"claim":"sub","value":"x"}]}`, &made)
	return made.ID
}

// told is a destination, a rule for it, and a message that failed.
type told struct{ destination, rule, delivery string }

// told makes them: a private address, which nothing is sent to.
func (w *world) told(t *testing.T, run string) told {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(name string) string {
		made, err := w.api.CreateNotificationDestination(t.Context(), apiv1.NotificationDestinationCreate{Name: name, Kind: "slack", URL: new("http://10.0.0.1/")})
		must(err)
		return made.ID
	}
	destination := add("Chat " + run)
	rule, err := w.api.CreateNotificationRule(t.Context(), apiv1.NotificationRulePut{Name: "All " + run, Destinations: []string{destination}, Disabled: true})
	must(err)
	test, err := w.api.TestNotificationDestination(t.Context(), add("Tried "+run))
	must(err)
	for deadline := time.Now().Add(waittest.Timeout); test.State == "pending" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		test, err = w.api.GetNotificationDelivery(t.Context(), test.ID)
		must(err)
	}
	if test.State != "failed" {
		t.Fatalf("a message to a private address is %+v", test)
	}
	return told{destination: destination, rule: rule.ID, delivery: test.ID}
}

// visit goes to a form and fills it in. A form of a draft is where the one
// before it has left the visitor.
func (v *visitor) visit(g ground, f form) {
	v.Helper()
	page := f.page
	if page == "" {
		page = f.route
	}
	if f.told {
		g.report()
	}
	if !strings.Contains(page, "{draft}") {
		v.open(g.fill.Replace(page))
	}
	for _, field := range f.fill {
		v.fill(field[0], g.fill.Replace(field[1]))
	}
	if f.late {
		g.overtake()
	}
	if f.first != "" {
		v.click(f.first)
		v.until(fmt.Sprintf("[...document.querySelectorAll('button')].some((b) => b.textContent.trim().startsWith(%q))", f.button))
		v.settles()
	}
}

// send sends a form that is filled in, and waits for what it does.
func (v *visitor) send(g ground, f form, scripted bool) {
	v.Helper()
	if !f.typing || !scripted {
		v.click(f.button)
	}
	v.sees(g.fill.Replace(f.sees))
	if f.after != "" {
		v.click(f.after)
		v.until("!document.querySelector('dialog[open]')")
	}
}

// TestEveryFormAtEveryAddress sets a mothership up and sends every form there
// is, where browsers say less of where a form comes from, and where they say
// all.
func TestEveryFormAtEveryAddress(t *testing.T) {
	need(t)
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *world{"http beyond loopback": beyondLoopback, "https": overHTTPS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			first := w.visitor(t, "")
			first.open(setupLink(t, w.mothership))
			first.fill("username", "neo")
			first.fill("password", password)
			first.click("Create account")
			first.sees("No satellites yet", "neo")
			w.administer(t, "neo")
			if err := w.push("fraud/score", hashOf("1"), code); err != nil {
				t.Fatal(err)
			}
			w.score = "fraud/score/" + hashOf("1")
			for run, options := range map[string][]option{"scripted": nil, "plain": {withoutScript}} {
				t.Run(run, func(t *testing.T) { w.sendEveryForm(t, run, options...) })
			}
		})
	}
}

// sendEveryForm signs somebody in who sends every form and is signed out by
// the last one.
func (w *world) sendEveryForm(t *testing.T, run string, options ...option) {
	t.Helper()
	own := "walker-" + run
	if _, err := w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: own, Role: "admin", Password: password}); err != nil {
		t.Fatal(err)
	}
	g := w.newGround(t, own, run) // with a key of its own, which adding algorithms needs
	kept := w.newGround(t, "neo", "kept-"+run)
	v := w.visitor(t, "", options...)
	v.open("/login")
	v.fill("username", own)
	v.fill("password", password)
	v.click("Sign in")
	v.at("/")
	if len(options) == 0 {
		v.copyEverywhere(g)
	}
	for _, f := range forms {
		v.visit(g, f)
		v.send(g, f, len(options) == 0)
		switch f.route {
		case "/theme":
			v.until("document.documentElement.dataset.theme === 'dark'")
		case "/users/new":
			v.acceptInvitation(options...)
		}
	}
	v.at("/login")

	for i, f := range keyless {
		own := fmt.Sprintf("keyless-%s-%d", run, i)
		if _, err := w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: own, Role: "admin", Password: password}); err != nil {
			t.Fatal(err)
		}
		v := w.visitor(t, own, options...)
		v.visit(kept, f)
		v.send(kept, f, len(options) == 0)
	}
}

// copyEverywhere copies what a side sheet has, on an address where the browser
// has a clipboard and on one where it has none, and where it copies nothing.
func (v *visitor) copyEverywhere(g ground) {
	v.Helper()
	id := g.fill.Replace("{launch_id}")
	v.open(g.fill.Replace("/satellites/{satellite_id}/launches/{launch_id}"))
	v.copies("Copy the launch ID", id)
	v.copies("Copy the command: Deploy", g.fill.Replace("algo-install satellite {satellite_id} {launch_id} deploy"))
	v.selects("Copy the command: Deploy", g.fill.Replace("algo-install satellite {satellite_id} {launch_id} deploy"))
	v.selects("Copy the launch ID", id)
}

// acceptInvitation opens the link that is shown as a guest, who chooses a
// password, is in, and leaves.
func (v *visitor) acceptInvitation(options ...option) {
	v.Helper()
	link := js[string](v, "document.getElementById('secret').textContent")
	guest := v.w.visitor(v.T, "", options...)
	guest.open(strings.TrimPrefix(link, v.w.url))
	guest.fill("password", password)
	guest.click("Choose password")
	guest.at("/")
	guest.click("Sign out")
	guest.at("/login")
}
