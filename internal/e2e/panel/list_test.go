package panel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// TestLabels gives a satellite labels and finds it by them.
func TestLabels(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		name := "Labelled " + nameOf(t)
		_, id := v.satellite(name, 1)
		v.open("/satellites/" + id + "/edit")
		v.fill("labels", "walk=here")
		v.click("Save changes")
		v.sees("Saved the labels of " + name)
		v.click("walk=here")
		found := "[...document.querySelectorAll('td.name a')].map((a) => a.textContent).join()"
		v.until(fmt.Sprintf("%s.includes(%q) && !%[1]s.includes('Payments Europe') && document.querySelector('[name=selector]').value === 'walk=here'", found, name))
		v.fill("selector", "walk in here")
		v.press(kb.Enter)
		v.sees("The selector cannot be read at character 9")
		v.fill("selector", "walk in (here, there), !gone")
		v.press(kb.Enter)
		v.until(fmt.Sprintf("%s.includes(%q) && !%[1]s.includes('Payments Europe')", found, name))
	})
}

// TestSatelliteList searches the satellites and orders what is found by each
// column, up and down.
func TestSatelliteList(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "linus", options...)
		search := "ordered " + nameOf(t)
		for _, s := range []struct {
			letter             string
			versions, launches int
		}{{"B", 3, 0}, {"C", 1, 2}, {"A", 2, 1}} {
			_, id := v.satellite("Ordered "+nameOf(t)+" "+s.letter, []int{1, 2, 3}[:s.versions]...)
			for n := range s.launches {
				v.launch(id, fmt.Sprintf("Line %d", n+1), 1)
			}
		}
		const order = `[...document.querySelectorAll('th:is([aria-sort=ascending], [aria-sort=descending])')].map((th) => th.innerText.trim() + ' ' + th.ariaSort).join()`
		lists := func(column, direction, want string) {
			t.Helper()
			v.until(fmt.Sprintf(`document.readyState === 'complete' && [...document.querySelectorAll('td.name a')].map((a) => a.textContent.at(-1)).join('') === %q`, want))
			v.until(fmt.Sprintf("%s === %q", order, column+" "+direction))
			v.settles()
		}
		v.open("/")
		v.fill("q", search)
		v.press(kb.Enter)
		lists("Created", "descending", "ACB")
		for column, up := range map[string]string{"Satellite": "ABC", "Created": "BCA", "Expires": "BCA", "Latest version": "CAB", "Launch instances": "BAC"} {
			down := up[2:] + up[1:2] + up[:1]
			before := js[string](v, order)
			v.click(column)
			v.until(fmt.Sprintf("%s.startsWith(%q) && %[1]s !== %[3]q", order, column, before))
			orders := []struct{ direction, names string }{{"ascending", up}, {"descending", down}}
			if strings.HasSuffix(js[string](v, order), "descending") { // the way that is asked for first
				slices.Reverse(orders)
			}
			lists(column, orders[0].direction, orders[0].names)
			v.click(column)
			lists(column, orders[1].direction, orders[1].names)
		}
		if q := js[string](v, "document.querySelector('input[name=q]').value"); q != search {
			t.Errorf("the order took the search %q for %q", search, q)
		}
	})
}

// TestRelaunch sees that a launch runs another version than is wanted, with the
// commands at hand, until it reports the version wanted; and renews its
// satellite.
func TestRelaunch(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		path, id := v.satellite("Relaunched "+nameOf(t), 1, 2)
		launch := v.launch(id, "Line 1", 1)
		sheet := path + "/launches/" + launch
		beat := func(version, ready int, says string) {
			t.Helper()
			if err := v.w.beat(t.Context(), id, launch, version, ready, ""); err != nil {
				t.Fatal(err)
			}
			v.waitFor(says, func() bool { // heartbeats are stored a moment later
				v.open(sheet)
				return js[bool](v, fmt.Sprintf("document.body.innerText.includes(%q)", says))
			})
		}
		beat(1, 1, "Its one replica is ready.")
		v.click("Promote")
		v.sees("goes from version 1 to version 2")
		v.click("Promote")
		v.sees("It runs version 1; version 2 is wanted", "algo-install satellite "+id+" "+launch+" deploy")
		beat(2, 2, "All 2 replicas are ready.")
		if js[bool](v, "document.body.innerText.includes('is wanted')") {
			t.Errorf("a launch that runs the version wanted is to be launched again\n%s", v.describe())
		}
		v.open(path)
		v.click("Renew")
		v.at(path + "/renew")
		day := time.Now().AddDate(2, 0, 0).UTC().Format(time.DateOnly)
		v.until(fmt.Sprintf("document.querySelector('dialog [name=expires_at]').value = %q", day))
		v.click("Renew")
		v.sees("Renewed: it expires at the end of " + day)
	})
}
