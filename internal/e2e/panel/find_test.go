package panel

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestPalette finds by typing, walks with the arrows, goes with Enter.
func TestPalette(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/")
	v.control("k")
	v.until("document.getElementById('palette').open && document.querySelectorAll('#palette-found a').length > 3")
	for _, letter := range "frankf" {
		v.press(string(letter))
	}
	v.until("document.querySelector('#palette-found a[aria-selected=true]')?.innerText.includes('Frankfurt')")
	v.press(kb.Enter)
	v.at("/satellites/" + v.w.satellite + "/launches/" + v.w.launch)
	v.open("/algorithms")
	v.control("k")
	for _, letter := range "fraud" {
		v.press(string(letter))
	}
	v.until("document.getElementById('palette-found').dataset.found === 'fraud'")
	v.until("[...document.querySelectorAll('#palette-found a')].filter((a) => a.pathname.startsWith('/algorithms/fraud/')).length === 2")
	v.until("!document.querySelector('#palette-found a[href=\"/audit\"]')")
	v.press(kb.ArrowDown)
	second := js[string](v, "document.querySelector('#palette-found a[aria-selected=true]').pathname")
	v.press(kb.Enter)
	v.at(second)
	v.control("k")
	v.until("document.getElementById('palette').open")
	v.press(kb.Escape)
	v.until("!document.getElementById('palette').open")
}

// TestFindWithoutScript does the same on a page.
func TestFindWithoutScript(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "linus", withoutScript)
	v.open("/")
	v.click("Find")
	v.at("/find")
	v.fill("q", v.w.launch)
	v.press(kb.Enter)
	v.sees("Frankfurt")
	v.click("Frankfurt")
	v.at("/satellites/" + v.w.satellite + "/launches/" + v.w.launch)
}

// TestAlgorithmsAndDocs walks the catalogue and the guide.
func TestAlgorithmsAndDocs(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "linus", options...)
		v.open("/")
		v.click("Algorithms")
		v.at("/algorithms")
		v.fill("q", "defects")
		v.press(kb.Enter)
		v.until("new URLSearchParams(location.search).get('q') === 'defects'")
		v.until("document.querySelectorAll('td.name a').length === 1")
		v.click("vision/defects")
		v.at("/algorithms/vision/defects")
		v.do(clickOn("td.name a"))
		v.sees("Where it is used", "Payments Europe", "512Mi")
		v.click("Docs")
		v.at("/docs")
		v.click("Air-gapped")
		v.sees("Only get needs the mothership", v.w.host)
		v.click("The algorithm contract →")
		v.at("/docs/algorithm-contract")
	})
}

// TestAudit narrows the log and follows what it speaks of.
func TestAudit(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		v.open("/audit")
		v.choose("action", "satellite_version.create")
		v.fill("q", "payments")
		v.click("Show")
		v.until("location.search.includes('q=payments')")
		v.sees("made a new version of", "Payments Europe")
		v.do(clickOn("summary"))
		v.sees("algorithms 2 vanity url", "vision/defects")
		v.fill("actor", "nobody")
		v.click("Show")
		v.sees("Nothing matches")
		v.click("Everything")
		v.at("/audit")
	})
}
