package panel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

const (
	wide      = 1440 // px, as most people have it
	narrowest = 390  // px, a telephone
	twice     = 640  // px that a window of 1280 px has at 200 % zoom
)

// media emulates a medium and features of it, as name and value.
func (v *visitor) media(medium string, features ...[2]string) step {
	params := emulation.SetEmulatedMediaParams{Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}}
	for _, f := range features {
		params.Features = append(params.Features, &emulation.MediaFeature{Name: f[0], Value: f[1]})
	}
	return call(emulation.SetEmulatedMedia, params)
}

// shows opens a view, as a test that walks them does.
func (v *visitor) shows(view view) {
	v.Helper()
	v.open(view.path)
	if view.do != nil {
		view.do(v)
	}
	v.settles()
}

// named is the view of that name.
func named(t *testing.T, w *world, name string) view {
	t.Helper()
	for _, view := range views(w) {
		if view.name == name {
			return view
		}
	}
	t.Fatalf("no view is named %q", name)
	return view{}
}

// maybePicture leaves a picture where CONSTELLATION_SCREENSHOTS says.
func (v *visitor) maybePicture(name string) {
	v.Helper()
	if pictures := os.Getenv("CONSTELLATION_SCREENSHOTS"); pictures != "" {
		v.picture(filepath.Join(pictures, name+".png"))
	}
}

// TestNavigationFolds looks at a telephone's width: the navigation is one
// button, and the keyboard reaches every link of it, with a script and without.
func TestNavigationFolds(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		v.do(v.size(narrowest, 800))
		v.open("/algorithms")
		const links = "[...document.querySelectorAll('#menu a')]"
		if shown := js[bool](v, links+".some((e) => e.checkVisibility())"); shown {
			t.Error("the navigation is open before anybody asks")
		}
		if high := js[float64](v, "document.querySelector('.nav').offsetHeight"); high > 120 {
			t.Errorf("the folded navigation takes %v px of the page", high)
		}
		v.tabTo("Menu")
		v.press(kb.Enter)
		v.until(links + ".length > 5 && " + links + ".every((e) => e.checkVisibility())")
		v.maybePicture("menu-" + t.Name()[len("TestNavigationFolds/"):])
		for _, name := range js[[]string](v, links+".map((e) => e.textContent.trim())") {
			v.tabTo(name)
		}
		v.press(kb.Escape)
		v.until(links + ".every((e) => !e.checkVisibility())")
		v.tabTo("Menu")
		v.press(kb.Enter)
		v.tabTo("Users")
		v.press(kb.Enter)
		v.at("/users")
		v.until(links + ".every((e) => !e.checkVisibility())")
	})
}

// TestCurrentTabIsInSight opens the last tabs and chapters at a telephone's
// width, where their row is longer than the page.
func TestCurrentTabIsInSight(t *testing.T) {
	w := need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.do(v.size(narrowest, 800))
	satellite := "/satellites/" + w.satellite
	for _, path := range []string{satellite, satellite + "/versions", satellite + "/authentication", satellite + "/activity", "/docs/deploying", "/docs/troubleshooting", "/docs/api"} {
		v.open(path)
		v.settles()
		v.until(`(() => {
			const current = document.querySelector(':is(.tabs, .chapters) [aria-current]'), at = current.getBoundingClientRect(), row = current.closest('.tabs, ul').getBoundingClientRect();
			return at.left >= row.left - 1 && at.right <= row.right + 1 && row.right <= innerWidth;
		})()`)
	}
	v.open(satellite) // and after a tab that htmx puts in place
	v.click("Activity")
	v.at(satellite + "/activity")
	v.until(`(() => { const at = document.querySelector('.tabs [aria-current]').getBoundingClientRect(); return at.left >= 0 && at.right <= innerWidth; })()`)
}

// cutText names the texts of a page of which a part is out of sight for good:
// beyond the edge of something that neither shows nor scrolls it.
const cutText = `(() => {
	const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility() || e.closest('.visually-hidden, script, select, textarea')) continue;
		if (innerWidth > 720 && e.closest('.long, .clamp, .covers, [title], .lines code, small')) continue; // shortened by design, where there is a pointer to show it whole
		range.selectNodeContents(n);
		const rects = [...range.getClientRects()].filter((r) => r.width > 0);
		for (let box = e; box && rects.length; box = box.parentElement) {
			const style = getComputedStyle(box);
			if (style.clipPath !== 'none') break; // is for screen readers
			if (style.display === 'inline') continue;
			const b = box.getBoundingClientRect(), hides = (o) => o === 'hidden' || o === 'clip';
			const x = hides(style.overflowX) && rects.some((r) => r.left < b.left - 1 || r.right > b.right + 1);
			const y = hides(style.overflowY) && rects.some((r) => r.top < b.top - 4 || r.bottom > b.bottom + 4);
			if (x || y) { found.push(n.data.trim().slice(0, 60) + ' in ' + box.tagName + '.' + box.className); break; }
			if (/auto|scroll/.test(style.overflowX + style.overflowY)) break; // can be brought into sight
		}
	}
	return found.slice(0, 8).join('\n\t');
})()`

// TestNothingIsCutAtTwiceTheSize walks every page as a window of 1280 px shows
// it at 200 % zoom, and at a telephone's width.
func TestNothingIsCutAtTwiceTheSize(t *testing.T) {
	w := need(t)
	t.Parallel()
	for _, view := range views(w) {
		t.Run(view.name, func(t *testing.T) {
			t.Parallel()
			v := newVisitor(t, view.who)
			v.shows(view)
			for _, width := range []int64{wide, twice, narrowest} {
				v.do(v.size(width, 800))
				v.until(fmt.Sprintf("innerWidth === %d", width))
				if cut := js[string](v, cutText); cut != "" {
					t.Errorf("%s at %d px cuts off:\n\t%s", view.path, width, cut)
				}
			}
			v.do(v.size(twice, 800))
			v.maybePicture("twice-" + view.name)
		})
	}
}

// TestOneVeil counts what darkens a page behind its dialog or side sheet.
func TestOneVeil(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		satellite := "/satellites/" + v.w.satellite
		for _, path := range []string{satellite + "/renew", satellite + "/launches/" + v.w.launch, satellite + "/launches/" + v.w.launch + "/edit", "/users/new"} {
			v.open(path)
			v.settles()
			if n := js[int](v, "[...document.querySelectorAll('.veil')].filter((e) => e.checkVisibility()).length + document.querySelectorAll(':modal').length"); n != 1 {
				t.Errorf("%s has %d veils, want 1", path, n)
			}
		}
	})
}

// TestForcedColours looks at Windows' high contrast: what is chosen or current
// differs from its neighbours by more than a colour that the system takes away.
func TestForcedColours(t *testing.T) {
	w := need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.do(v.media("", [2]string{"forced-colors", "active"}))
	different := func(path, is, isNot string, first ...string) { // first is done in the same moment
		t.Helper()
		v.settles()
		if same := js[bool](v, fmt.Sprintf(`(() => {
			%s
			const look = (selector) => { const s = getComputedStyle(document.querySelector(selector)); return [s.textDecorationLine, s.outlineStyle, s.outlineWidth, s.borderStyle].join(); };
			return look(%q) === look(%q);
		})()`, strings.Join(first, ";"), is, isNot)); same {
			t.Errorf("%s: %s looks like %s", path, is, isNot)
		}
	}
	satellite := "/satellites/" + w.satellite
	v.open(satellite + "/algorithms")
	v.maybePicture("forced-satellite")
	different(satellite, ".nav a[aria-current]", ".nav li a:not([aria-current])")
	different(satellite, ".tabs a[aria-current]", ".tabs a:not([aria-current])")
	different(satellite, ".theme [aria-pressed=true]", ".theme [aria-pressed=false]")
	v.control("k")
	v.until("document.querySelectorAll('#palette-found a').length > 3")
	v.press(kb.ArrowDown)
	different("palette", "#palette-found [aria-selected=true]", "#palette-found a:not([aria-selected=true])")
	v.maybePicture("forced-palette")
	v.open("/docs/deploying")
	different("/docs", ".chapters a[aria-current]", ".chapters a:not([aria-current])")
	v.open(satellite + "/versions/compare?from=1&to=2")
	v.maybePicture("forced-compare")
	v.open("/satellites/new/algorithm")
	v.settles()
	v.fill("algorithm", "fraud")
	v.until("document.querySelectorAll('.choices button').length > 1")
	// Choices that come late, of a letter typed last, have none that is selected.
	different("choices", ".choices [aria-selected=true]", ".choices button:not([aria-selected=true])",
		"document.querySelector('[data-choices]').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }))")
	v.maybePicture("forced-choices")
	v.open(satellite + "/launches/" + w.launch)
	v.until("document.querySelectorAll('.chart svg').length === 3")
	if unseen := js[string](v, `[...document.querySelectorAll('.chart :is(.bars, .bad, .line)')].filter((e) => {
		const s = getComputedStyle(e), page = getComputedStyle(document.querySelector('.sheet')).backgroundColor;
		return (s.fill === 'none' || s.fill === page) && (s.stroke === 'none' || s.stroke === page);
	}).map((e) => e.outerHTML.slice(0, 80)).join()`); unseen != "" {
		t.Errorf("a chart's part has the colour of what is behind it: %s", unseen)
	}
	v.maybePicture("forced-launch")
}

// TestPrint prints pages: no navigation and nothing to click, and every column
// of a table, whole.
func TestPrint(t *testing.T) {
	w := need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	const paper = 718 // px that A4 has between its margins
	for _, name := range []string{"list", "satellite", "satellite-algorithms", "satellite-versions", "satellite-activity", "launch", "audit", "users", "docs-chapter", "hostile-satellite", "system", "algorithm"} {
		view := named(t, w, name)
		v.do(v.media(""), v.size(1440, 900))
		v.shows(view)
		v.do(v.media("print"), v.size(paper, 1000))
		v.until(fmt.Sprintf("innerWidth === %d && matchMedia('print').matches", paper))
		if shown := js[string](v, `[...document.querySelectorAll('.nav, .tabs, .pages, .bar, .find, .copy, .head .button, .buttons')].filter((e) => e.checkVisibility()).map((e) => e.className).join()`); shown != "" {
			t.Errorf("%s prints what is to be clicked: %s", view.path, shown)
		}
		if cut := js[string](v, cutText); cut != "" {
			t.Errorf("%s on paper cuts off:\n\t%s", view.path, cut)
		}
		if broken := js[string](v, `[...document.querySelectorAll('main table')].filter((t) => t.checkVisibility()).filter((t) => getComputedStyle(t).display !== 'table' ||
			t.getBoundingClientRect().right > innerWidth + 1 ||
			[...t.querySelectorAll('thead:not(:has(th:empty)) th:not(.tools, :has(> .visually-hidden))')].some((h) => getComputedStyle(h).display !== 'table-cell' || h.getBoundingClientRect().width < 20)).map((t) => t.textContent.slice(0, 60)).join('; ')`); broken != "" {
			t.Errorf("%s prints a table that is none, or not all of it: %s", view.path, broken)
		}
		if wide := js[float64](v, "document.documentElement.scrollWidth"); wide > paper {
			t.Errorf("%s is %v px wide on paper of %d px", view.path, wide, paper)
		}
		if ink := js[string](v, "getComputedStyle(document.body).color + getComputedStyle(document.documentElement).backgroundColor"); ink != "rgb(22, 24, 29)rgb(255, 255, 255)" {
			t.Errorf("%s prints %s, want dark on white", view.path, ink)
		}
		v.maybePicture("print-" + name)
	}
	v.do(v.media("", [2]string{"prefers-color-scheme", "dark"}))
	v.open("/")
	v.do(v.media("print", [2]string{"prefers-color-scheme", "dark"}))
	if ink := js[string](v, "getComputedStyle(document.documentElement).backgroundColor"); ink != "rgb(255, 255, 255)" {
		t.Errorf("in the dark theme paper is %s", ink)
	}
}

// TestReferenceIsAPageOfThePanel opens the REST API's reference, signed in and
// not: in the panel's frame and theme, with a way back, and with links that
// more than their colour tells from text.
func TestReferenceIsAPageOfThePanel(t *testing.T) {
	need(t)
	t.Parallel()
	for _, who := range []string{"ada", ""} {
		v := newVisitor(t, who)
		v.open("/docs/api")
		v.sees("Make a satellite with its version 1")
		if plain := js[string](v, `[...document.querySelectorAll('.prose a')].filter((e) => getComputedStyle(e).textDecorationLine !== 'underline').map((e) => e.textContent).join()`); plain != "" {
			t.Errorf("links that only their colour tells: %s", plain)
		}
		light := js[string](v, "getComputedStyle(document.documentElement).backgroundColor")
		if who != "" {
			v.click("Dark")
			v.until(fmt.Sprintf("getComputedStyle(document.documentElement).backgroundColor !== %q", light))
			v.click("Auto")
			v.until("!document.documentElement.dataset.theme")
			v.click("User guide")
			v.at("/docs")
			v.click("API reference")
			v.at("/docs/api")
		}
		v.click("Show a satellite and its latest version")
		v.until("document.getElementById(location.hash.slice(1)).getBoundingClientRect().top < innerHeight / 2")
		v.click("Deploying")
		v.at("/docs/deploying")
	}
}
