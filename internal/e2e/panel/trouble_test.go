package panel

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// evaluate runs an expression for what it does.
func evaluate(expression string) step { return chromedp.Evaluate[chromedp.Void](expression) }

// leave runs an expression that leaves the page. A page that goes takes the
// evaluation with it before it is answered, and has done what it asked for.
func (v *visitor) leave(expression string) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	if err := chromedp.Do(ctx, evaluate(expression)); err != nil && !strings.Contains(err.Error(), "Inspected target navigated or closed") {
		v.Fatalf("%s: %v\n%s", shorten(expression), err, v.describe())
	}
}

// back goes a page back, be it loaded again or kept by the browser.
func (v *visitor) back() {
	v.Helper()
	v.leave("history.back()")
}

// TestBackAfterSave goes back to a form that was saved: it is not sent again.
func TestBackAfterSave(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		name := "Saved " + nameOf(t)
		v := newVisitor(t, "ada", options...)
		v.open("/satellites/new")
		v.fill("name", name)
		v.addAlgorithm(v.w.score, "foo/bar", "1")
		v.sees("foo/bar")
		v.click("Create satellite")
		v.at("/")
		v.back()
		v.sees("That draft was saved or discarded. This is how it is now.")
		v.at("/satellites/new")
	})
}

// TestDoubleSubmit sends a form twice at once: it happens once.
func TestDoubleSubmit(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		name := "twice " + nameOf(t)
		v := newVisitor(t, "grace", options...)
		v.open("/account/keys/new")
		v.fill("name", name)
		v.until("[...document.querySelectorAll('dialog[open] button')].find((b) => b.textContent === 'Create key')")
		v.leave("(() => { const b = [...document.querySelectorAll('dialog[open] button')].find((b) => b.textContent === 'Create key'); b.click(); b.click(); })()")
		v.sees("it is not shown again")
		v.open("/account")
		v.sees(name)
		if n := js[int](v, fmt.Sprintf("[...document.querySelectorAll('td.title strong')].filter((e) => e.textContent === %q).length", name)); n != 1 {
			t.Errorf("the form sent twice made %d keys, want 1", n)
		}
	})
}

// TestTwoTabs edits one satellite in two tabs: the second save is shown as a
// difference and overwrites nothing.
func TestTwoTabs(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		one, two := newVisitor(t, "ada", options...), newVisitor(t, "ada", options...)
		path, _ := one.satellite("Tabs "+nameOf(t), 2)
		one.open(path)
		one.click("Edit satellite")
		two.open(path + "/edit")
		one.fill("replicas", "7")
		one.click("Save changes")
		one.sees("Saved as version 2: 1 algorithm changed.")
		two.fill("replicas", "5")
		two.fill("name", "Tabs two "+nameOf(t))
		two.click("Save changes")
		two.sees("ada saved version 2 while you were editing version 1", "7 replicas", "5 replicas", "Both of you changed these")
		two.click("Yours: ")
		two.click("Put my changes on version 2")
		two.sees("Makes version 3", "Renames it from")
		two.click("Save changes")
		two.sees("Saved as version 3", "Tabs two")
		one.open(path + "/versions/compare?from=2&to=3")
		one.sees("7 replicas", "5 replicas")
	})
}

// TestNoAdminKey makes the key that adding algorithms needs, in the middle of
// a form, of which nothing is lost.
func TestNoAdminKey(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		w := need(t)
		username := "keyless-" + digits.ReplaceAllString(nameOf(t), "-")
		if _, err := w.mothership.Administer(t.Context(), password+"\n", "account", "create", username, "--role", "admin", "--password-stdin"); err != nil {
			t.Fatal(err)
		}
		v := newVisitor(t, username, options...)
		v.open("/satellites/new")
		v.fill("name", "Needs a key "+nameOf(t))
		v.sees("You need an admin API key to add algorithms")
		v.click("Make an admin API key")
		v.sees("shown this once", "cst_")
		v.addAlgorithm(w.score, "foo/bar", "1")
		v.sees("foo/bar")
		v.click("Create satellite")
		v.sees("Created the satellite Needs a key " + nameOf(t))
	})
}
