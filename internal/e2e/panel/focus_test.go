package panel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/constellation-serving/constellation/internal/admin"
	"github.com/constellation-serving/constellation/internal/apiv1"
)

// focusedName is how what has the focus is called.
const focusedName = accessibleName + `(document.activeElement)`

// has waits until what is called so has the focus.
func (v *visitor) has(name string) {
	v.Helper()
	v.settles()
	v.until(fmt.Sprintf("%s === %q", focusedName, name))
}

// layers are the dialogs and side sheets of a page, by what opens them.
type layers struct {
	page  string
	in    []string // what opens the side sheets that they are in
	tick  string   // what is chosen before
	opens []opener
}

// opener is a link or button and the route of the layer that it opens.
type opener struct{ name, route string }

const (
	ofSatellite = "/satellites/{satellite_id}"
	ofLaunch    = ofSatellite + "/launches/{launch_id}"
	ofUser      = "/users/{username}"
	ofVersion   = "/algorithms/{owner}/{name}/{hash}"
	ofMirrors   = "/algorithms/{owner}/{name}/mirrors"
	ofRegistry  = "/registries/{registry_id}"
)

var walkedLayers = []layers{
	{page: ofSatellite, opens: []opener{{"New launch instance", ofSatellite + "/launches/new"}, {"Renew", ofSatellite + "/renew"}, {"Line 1", ofLaunch}}},
	{page: ofSatellite, in: []string{"Line 1"}, opens: []opener{{"Edit launch instance", ofLaunch + "/edit"}, {"Promote", ofLaunch + "/promote"}, {"Roll back", ofLaunch + "/rollback"}, {"Remove launch instance", ofLaunch + "/remove"}, {"240", ofLaunch + "/dead-letters"}}},
	{page: ofSatellite, in: []string{"Line 1", "240"}, tick: "req-1", opens: []opener{{"Retry the chosen calls", ofLaunch + "/dead-letters/decide"}, {"Drop the chosen calls", ofLaunch + "/dead-letters/decide"}}},
	{page: ofSatellite + "/versions", opens: []opener{{"Make new version from it", ofSatellite + "/versions/{number}/again"}, {"Remove version 1", ofSatellite + "/versions/{number}/remove"}}},
	{page: ofSatellite + "/authentication", opens: []opener{{"New key", ofSatellite + "/keys/new"}, {"Revoke", ofSatellite + "/keys/{key_id}/revoke"}}},
	{page: ofSatellite + "/edit", opens: []opener{{"Add an algorithm", ofSatellite + "/edit/algorithm"}, {"Change fraud/score", ofSatellite + "/edit/algorithm"}, {"Add a schedule", ofSatellite + "/edit/schedule"}, {"Remove satellite", ofSatellite + "/remove"}}},
	{page: ofVersion, opens: []opener{{"Edit settings", ofVersion + "/settings"}, {"Remove version", ofVersion + "/remove"}}},
	{page: "/algorithms/{owner}/{name}", opens: []opener{{"New mirror", ofMirrors + "/new"}, {"registry.invalid/team/{run}", ofMirrors + "/{mirror_id}/edit"}, {"the newest 10 registry.invalid/team/{run}", ofMirrors + "/{mirror_id}/tags"}, {"Webhook registry.invalid/team/{run}", ofMirrors + "/{mirror_id}/webhook"}, {"Remove registry.invalid/team/{run}", ofMirrors + "/{mirror_id}/remove"}}},
	{page: "/algorithms/{owner}/{name}", in: []string{"Webhook registry.invalid/team/{run}"}, opens: []opener{{"End webhook", ofMirrors + "/{mirror_id}/webhook/end"}}},
	{page: "/registries?q={run}.registry", opens: []opener{{"New registry", "/registries/new"}, {"{run}.registry.invalid", ofRegistry + "/edit"}, {"Remove {run}.registry.invalid", ofRegistry + "/remove"}}},
	{page: "/account", opens: []opener{{"Change password", "/account/password"}, {"New API key", "/account/keys/new"}, {"Sign out everywhere", "/account/sign-out"}, {"Revoke old laptop", "/account/keys/{key_id}/revoke"}}},
	{page: "/system", opens: []opener{{"Free space", "/system/free"}}},
	{page: "/notifications?q=chat+{run}", opens: []opener{{"New destination", "/notifications/destinations/new"}, {"Chat {run}", "/notifications/destinations/{destination_id}/edit"}, {"Remove Chat {run}", "/notifications/destinations/{destination_id}/remove"}}},
	{page: "/notifications/rules?q=all+{run}", opens: []opener{{"New rule", "/notifications/rules/new"}, {"All {run}", "/notifications/rules/{rule_id}/edit"}, {"Remove All {run}", "/notifications/rules/{rule_id}/remove"}}},
	{page: "/system/owners?q=walked-{run}", opens: []opener{{"New quota", "/system/owners/quota"}, {"walked-{run}", "/system/owners/{owner}/quota"}, {"Remove quota of walked-{run}", "/system/owners/{owner}/quota/remove"}}},
	{page: "/system/retention", opens: []opener{{"What goes next", "/system/retention/versions"}, {"New rule", "/system/retention/new"}}},
	{page: "/system/retention?q=walked-{run}", opens: []opener{{"walked-{run}", "/system/retention/edit"}, {"Remove the rule of walked-{run}", "/system/retention/remove"}}},
	{page: "/token-rules?q=ci+{run}", opens: []opener{{"New token rule", "/token-rules/new"}, {"Try a token", "/token-rules/try"}, {"CI {run}", "/token-rules/{rule_id}/edit"}, {"Remove CI {run}", "/token-rules/{rule_id}/remove"}}},
	{page: "/users", opens: []opener{{"Invite user", "/users/new"}}},
	{page: ofUser, opens: []opener{{"Reset password", ofUser + "/password"}, {"Disable user", ofUser + "/disable"}, {"New API key", ofUser + "/keys/new"}, {"Sign out everywhere", ofUser + "/sign-out"}, {"Revoke laptop", ofUser + "/keys/{key_id}/revoke"}}},
	{page: "/users/disabled-{run}", opens: []opener{{"Enable user", ofUser + "/enable"}}},
}

// wholePages are the routes that are no layers, and those of a new satellite's
// editor, which is the one that is walked.
var wholePages = []string{
	"/", "/account", "/algorithms", "/algorithms/import", "/algorithms/push", "/algorithms/{owner}/{name}", "/algorithms/{owner}/{name}/{hash}", "/audit", "/audit/export.csv", "/audit/export.json",
	"/docs", "/docs/api", "/docs/{chapter}", "/find", "/invitation", "/launches", "/live", "/login", "/login/{provider}", "/login/{provider}/callback", "/satellites/new", "/satellites/new/algorithm", "/satellites/new/schedule", "/registries", "/notifications", "/notifications/log", "/notifications/rules", ofSatellite, ofSatellite + "/activity", ofSatellite + "/algorithms",
	ofSatellite + "/authentication", ofSatellite + "/edit", ofSatellite + "/versions", ofSatellite + "/versions/compare", "/setup", "/system", "/system/owners", "/system/repositories", "/system/retention", "/system/backups", "/token-rules", "/users", ofUser,
}

// TestLayersAreThoseOfTheRouteTable has the walk below leave out no dialog and no
// side sheet.
func TestLayersAreThoseOfTheRouteTable(t *testing.T) {
	t.Parallel()
	walked := slices.Clone(wholePages)
	for _, l := range walkedLayers {
		for _, o := range l.opens {
			walked = append(walked, o.route)
		}
	}
	var table []string
	for _, r := range admin.Routes() {
		if r.Method == "GET" {
			table = append(table, r.Pattern)
		}
	}
	slices.Sort(walked)
	walked = slices.Compact(walked)
	slices.Sort(table)
	if !slices.Equal(walked, table) {
		t.Errorf("the walk and the whole pages are\n%s\nthe route table shows\n%s", strings.Join(walked, "\n"), strings.Join(table, "\n"))
	}
}

// walker is a signed-in administrator with a ground of their own.
func walker(t *testing.T, own string) (*visitor, ground) {
	t.Helper()
	w := need(t)
	if _, err := w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: own, Role: "admin", Password: password}); err != nil {
		t.Fatal(err)
	}
	return newVisitor(t, own), w.newGround(t, own, own)
}

// TestFocusIsGivenBackByLayers opens every dialog and side sheet and closes it
// by Esc, by its cross and by Back: the focus is in it, and then on what opened
// it.
func TestFocusIsGivenBackByLayers(t *testing.T) {
	need(t)
	t.Parallel()
	v, g := walker(t, "layered")
	const disabled = "disabled-layered"
	if _, err := v.w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: disabled, Role: "viewer", Password: password}); err != nil {
		t.Fatal(err)
	}
	v.open("/users/" + disabled + "/disable")
	v.click("Disable")
	v.sees("signed out everywhere")
	g.report()
	for _, l := range walkedLayers {
		for _, o := range l.opens {
			name := g.fill.Replace(o.name)
			for _, way := range []string{"Esc", "cross", "Back"} {
				closed := "!document.querySelector('dialog[open]')"
				v.open(g.fill.Replace(l.page))
				for _, sheet := range l.in {
					v.click(g.fill.Replace(sheet))
					v.until("document.querySelector('dialog:modal')?.contains(document.activeElement) && !(" + closed + ")")
					v.settles()
					closed = fmt.Sprintf("document.querySelector('#layer-title')?.textContent === %q", js[string](v, "document.querySelector('#layer-title').textContent"))
				}
				if l.tick != "" {
					v.do(clickOn(fmt.Sprintf("input[name=id][value=%q]", l.tick)))
				}
				v.click(name)
				v.until("document.querySelector('dialog:modal')?.contains(document.activeElement) && !(" + closed + ")")
				v.settles()
				switch way {
				case "Esc":
					v.press(kb.Escape)
				case "cross":
					v.click("Close")
				default:
					v.back()
				}
				v.until(closed)
				v.settles()
				v.has(name)
			}
		}
	}
}

// TestFocusIsKeptByForms sends forms that add and remove rows, or change the
// page: the focus is where it was, or on what took its place.
func TestFocusIsKeptByForms(t *testing.T) {
	need(t)
	t.Parallel()
	v, g := walker(t, "focused")
	satellite := g.fill.Replace("/satellites/{satellite_id}")
	v.open(satellite)
	v.click("New launch instance")
	v.fill("name", "Line 2")
	v.press(kb.Enter)
	v.sees("Created the launch instance Line 2")
	v.has("New launch instance")
	v.click("Line 2")
	v.click("Edit launch instance")
	v.fill("name", "Line 3")
	v.press(kb.Enter)
	v.sees("Saved the launch instance Line 3")
	v.has("Edit launch instance")
	v.open(satellite)
	v.click("Name")
	v.until("document.querySelector('th[aria-sort=descending]')")
	v.has("Name")

	v.open(satellite + "/edit")
	v.addAlgorithm(v.w.defects, "more/defects", "1")
	v.sees("more/defects")
	v.has("Add an algorithm")
	v.click("Remove fraud/score")
	v.until("document.querySelectorAll('.lines [name=replicas]').length === 1")
	v.has("Remove more/defects")

	v.open(satellite + "/authentication")
	v.click("Revoke")
	v.click("Revoke key")
	v.sees("Revoked the key")
	v.until("document.activeElement !== document.body")
	v.open("/users")
	v.click("Dark")
	v.until("document.documentElement.dataset.theme === 'dark'")
	v.has("Dark")
	v.open("/account")
	v.click("Sign out Firefox on Linux")
	v.sees("That browser is signed out.")
	v.until("document.activeElement !== document.body")
}

// TestEscKeepsWhatIsTyped presses Esc on a dialog with something typed: it asks.
func TestEscKeepsWhatIsTyped(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/users")
	v.click("Invite user")
	v.fill("username", "not a name")
	v.press(kb.Escape)
	v.sees("Discard what you typed?")
	v.has("Keep typing")
	v.press(kb.Escape) // and once more goes on typing
	v.until("!document.querySelector('.discard') && document.activeElement.name === 'username' && document.activeElement.value === 'not a name'")
	v.press(kb.Enter) // refused, and still typed
	v.sees("A username has 1 to 63 letters")
	v.settles()
	v.press(kb.Escape)
	v.click("Keep typing")
	v.until("document.activeElement.name === 'username' && document.activeElement.value === 'not a name'")
	v.press(kb.Escape)
	v.click("Discard")
	v.until("!document.querySelector('dialog[open]')")
	v.has("Invite user")
	v.click("Invite user")
	v.until("document.activeElement.name === 'username' && document.activeElement.value === ''")
	v.press(kb.Escape) // nothing typed: it closes
	v.until("!document.querySelector('dialog[open]')")
}
