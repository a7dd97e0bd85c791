package panel

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"

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

// layers are the dialogs and side sheets of a page by what opens them; in is
// those that one of them opens.
type layers struct {
	page    string
	openers []string
	in      string // what opens the side sheet that they are in
}

var walkedLayers = []layers{
	{page: "/satellites/{satellite_id}", openers: []string{"New launch instance", "Renew", "Line 1"}},
	{page: "/satellites/{satellite_id}", in: "Line 1", openers: []string{"Edit launch instance", "Promote", "Roll back", "Remove launch instance"}},
	{page: "/satellites/{satellite_id}/versions", openers: []string{"Make new version from it"}},
	{page: "/satellites/{satellite_id}/authentication", openers: []string{"New key", "Revoke"}},
	{page: "/satellites/{satellite_id}/edit", openers: []string{"Add an algorithm", "Change fraud/score"}},
	{page: "/account", openers: []string{"Change password", "New API key", "Sign out everywhere", "Revoke old laptop"}},
	{page: "/users", openers: []string{"Invite user"}},
	{page: "/users/{username}", openers: []string{"Reset password", "Disable user", "New API key", "Sign out everywhere", "Revoke laptop"}},
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
	for _, l := range walkedLayers {
		closed := "!document.querySelector('dialog[open]')"
		for _, opener := range l.openers {
			for _, way := range []string{"Esc", "cross", "Back"} {
				v.open(g.fill.Replace(l.page))
				if l.in != "" {
					v.click(l.in)
					closed = "document.querySelector('#layer-title')?.textContent === " + fmt.Sprintf("%q", l.in)
				}
				v.click(opener)
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
				v.has(opener)
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
