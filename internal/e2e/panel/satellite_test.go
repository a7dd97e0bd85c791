package panel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func clickOn(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

// TestConfigurationChapter does what a new user reads off the pages: a satellite with an algorithm, a launch instance, an edit, and
// the removal of both.
func TestConfigurationChapter(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		name := "Chapter " + nameOf(t)
		v := newVisitor(t, "ada", options...)
		v.open("/")
		v.click("New satellite")
		v.fill("name", name)
		v.addAlgorithm(v.w.score, "foo/bar", "2")
		v.sees("foo/bar")
		v.click("Create satellite")
		v.sees(name)
		if !strings.HasPrefix(js[string](v, "location.pathname"), "/satellites/") {
			v.open("/?q=Chapter")
			v.click(name)
		}
		v.sees("No launch instances")
		v.click("New launch instance")
		v.fill("name", "Line 1")
		v.fill("description", "beside the paint shop")
		v.click("Create launch instance")
		v.sees("Line 1", "beside the paint shop", "Never seen")
		v.click("Line 1")
		v.sees("algo-install satellite", "Launch ID")
		v.click("Edit launch instance")
		v.fill("name", "Line 2")
		v.click("Save changes")
		v.sees("Line 2")

		v.open(js[string](v, "location.pathname.split('/').slice(0, 3).join('/')") + "/algorithms")
		v.click("Edit algorithms")
		v.addAlgorithm(v.w.defects, "foo/defects", "1")
		v.sees("What saving does")
		v.click("Save changes")
		v.until("!location.pathname.includes('/edit') && document.readyState === 'complete'")
		v.sees("foo/defects")

		satellite := js[string](v, "location.pathname.split('/').slice(0, 3).join('/')")
		v.open(satellite)
		v.click("Line 2")
		v.click("Remove launch instance")
		v.sees("The running installation stays")
		v.click("Remove launch instance")
		v.sees("No launch instances")
		v.open(satellite + "/remove")
		v.click("Remove satellite")
		v.until("location.pathname === '/'")
		v.open(satellite)
		v.sees("was removed by ada")
	})
}

// addAlgorithm fills in the dialog Add an algorithm.
func (v *visitor) addAlgorithm(reference, vanity, replicas string) {
	v.Helper()
	v.click("Add an algorithm")
	v.fill("algorithm", reference)
	v.fill("vanity_url", vanity)
	v.fill("replicas", replicas)
	v.click("Add algorithm")
}

// TestKeyboardOnly does the main path with no mouse: Tab, Enter, typing.
func TestKeyboardOnly(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/")
	v.tabTo("New satellite")
	v.press(kb.Enter)
	v.at("/satellites/new")
	v.until("document.activeElement.name === 'name'")
	v.press("Keyboard only")
	v.tabTo("Add an algorithm")
	v.press(kb.Enter)
	v.until("document.activeElement.name === 'algorithm'")
	v.press(v.w.score)
	v.sees("In the catalogue")
	v.tabTo("vanity_url")
	v.press("keys/only")
	v.tabTo("Add algorithm")
	v.press(kb.Enter)
	v.until("!document.querySelector('dialog[open]')")
	v.sees("keys/only")
	v.tabTo("Create satellite")
	v.press(kb.Enter)
	v.sees("Keyboard only")
	if strings.HasSuffix(js[string](v, "location.pathname"), "/") {
		v.shortcut("/")
		v.until("document.activeElement.type === 'search'")
		v.press("Keyboard o")
		v.until("document.querySelectorAll('td.name a').length === 1")
		v.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
		v.shortcut("j")
		v.press(kb.Enter)
	}
	v.until("/^.satellites.[0-9a-f-]{36}$/.test(location.pathname)")
	v.tabTo("New launch instance")
	v.press(kb.Enter)
	v.until("document.querySelector('dialog[open]') && document.activeElement.name === 'name'")
	v.press("By keys")
	v.press(kb.Enter)
	v.sees("By keys", "Never seen")
	v.tabTo("By keys")
	v.press(kb.Enter)
	v.sees("algo-install satellite")
	v.until("document.querySelector('dialog[open][data-modal]')") // it listens to Esc
	v.press(kb.Escape)
	v.until("!document.querySelector('dialog[open]') && /^.satellites.[0-9a-f-]{36}$/.test(location.pathname)")
}

// tabTo presses Tab until the element of that name has the focus.
func (v *visitor) tabTo(name string) {
	v.Helper()
	const focused = `[document.activeElement.name ?? '', ` + accessibleName + `(document.activeElement)]`
	for range 80 {
		for _, n := range js[[]string](v, focused) {
			if n == name {
				return
			}
		}
		v.press(kb.Tab)
	}
	v.Fatalf("80 times Tab did not reach %q\n%s", name, v.describe())
}

// TestNothingMovesUnderThePointer types and chooses an algorithm, slowly
// answered or not: what else the dialog has stays where it is, so that no click
// goes astray.
func TestNothingMovesUnderThePointer(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/satellites/new")
	v.click("Add an algorithm")
	v.until("document.querySelector('dialog[data-modal][open] [role=combobox]')")
	const places = `JSON.stringify([...document.querySelectorAll('dialog[open] :is(input, .button, .help, h1)')].filter((e) => e.checkVisibility()).map((e) => [e.name || e.textContent.slice(0, 20), e.getBoundingClientRect()]))`
	before := js[string](v, places)
	still := func(when string) {
		t.Helper()
		if now := js[string](v, places); now != before {
			t.Errorf("%s, the dialog is\n%s\nit was\n%s", when, now, before)
		}
	}
	choices := func(list ...string) { // and the field keeps the focus
		t.Helper()
		v.until(fmt.Sprintf("document.activeElement.name === 'algorithm' && [...document.querySelectorAll('#choices [role=option] :is(strong, code)')].filter((e) => e.checkVisibility()).map((e) => e.textContent).join() === %q", strings.Join(list, ",")))
	}
	version := func(reference string) string { return reference[len("fraud/score/"):][:12] + "…" }
	v.press("f", "r")
	choices("fraud/", "fraud/features/", "fraud/score/")
	still("With owners to choose")
	v.press(kb.ArrowDown, kb.Enter)
	choices("fraud/features/", "fraud/score/")
	still("With algorithms to choose")
	v.do(clickOn("#choices li:last-child button"))
	choices(version(v.w.score), version(v.w.scoreOld))
	v.press(kb.Escape)
	choices()
	v.press(kb.ArrowDown, kb.ArrowDown)
	choices(version(v.w.score), version(v.w.scoreOld))
	v.press(kb.Enter)
	v.sees("In the catalogue")
	choices()
	v.fill("algorithm", "nobody/has/this")
	v.sees("Not in the catalogue")
	still("With a reference that is not there")
	v.fill("algorithm", v.w.score)
	v.sees("In the catalogue")
	still("With a whole reference")
}

// TestPasted understands what people paste into the algorithm field, or says
// what is wrong.
func TestPasted(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		upper := strings.ToUpper(v.w.score[len("fraud/score/"):])
		for _, pasted := range []string{"fraud/score/" + upper, "  " + v.w.score + " ", "https://" + v.w.host + "/" + v.w.score} {
			v.open("/satellites/new")
			v.addAlgorithm(pasted, "foo/bar", "1")
			v.until("!document.querySelector('dialog[open]') && document.body.innerText.includes('foo/bar')")
		}
		for vanity, why := range map[string]string{"foo": "two", "foo-x/bar": "first"} {
			v.open("/satellites/new")
			v.addAlgorithm(v.w.score, vanity, "1")
			v.until("document.querySelector('dialog[open] [name=vanity_url][aria-invalid=true]') && document.activeElement.name === 'vanity_url'")
			v.until("document.querySelector('dialog[open] [name=vanity_url]').value === '" + vanity + "'")
			v.sees(why)
		}
		v.open("/satellites/new")
		v.addAlgorithm(v.w.score, "foo/bar", "1")
		v.sees("foo/bar")
		v.addAlgorithm(v.w.defects, "foo/bar", "1")
		v.sees("The vanity URL foo/bar is that of " + v.w.score + " in this satellite already")
		v.until("document.querySelector('dialog[open] [name=algorithm]').value === '" + v.w.defects + "'")
	})
}

// TestEnterInTheName goes on to the algorithms, and an empty satellite is
// created only by who means it.
func TestEnterInTheName(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		name := "Named " + nameOf(t)
		kept := fmt.Sprintf("document.querySelector('form:not(dialog form) [name=name]').value === %q", name)
		v := newVisitor(t, "ada", options...)
		v.open("/satellites/new")
		v.fill("name", name)
		v.press(kb.Enter)
		v.until("document.querySelector('dialog[open] [name=vanity_url]')")
		v.click("Cancel")
		v.until("!document.querySelector('dialog[open]') && " + kept)
		v.click("Create satellite")
		v.sees("Create an empty satellite?", "“"+name+"” has no algorithms yet")
		v.click("Cancel")
		v.until("!document.querySelector('dialog[open]') && " + kept)
		v.click("Create satellite")
		v.click("Add an algorithm")
		v.until("document.querySelector('dialog[open] [name=vanity_url]')")
		v.click("Cancel")
		v.until("!document.querySelector('dialog[open]') && " + kept)
		v.click("Create satellite")
		v.click("Create it empty")
		v.sees("Created the satellite " + name)
	})
}
