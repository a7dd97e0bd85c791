package panel

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp/kb"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// satellite makes a satellite for one test, with as many versions as counts of
// replicas are given, and returns its address.
func (v *visitor) satellite(name string, replicas ...int) (path, id string) {
	v.Helper()
	line := func(n int) []apiv1.SatelliteAlgorithm {
		return []apiv1.SatelliteAlgorithm{{Algorithm: v.w.score, VanityURL: "fraud/score", Replicas: n}}
	}
	made, err := v.w.api.CreateSatellite(v.Context(), apiv1.SatelliteCreate{Name: name, Algorithms: line(replicas[0])})
	if err != nil {
		v.Fatal(err)
	}
	for _, n := range replicas[1:] {
		if _, err := v.w.api.CreateSatelliteVersion(v.Context(), made.ID, "", line(n)); err != nil {
			v.Fatal(err)
		}
	}
	return "/satellites/" + made.ID, made.ID
}

// launch makes a launch instance for one test.
func (v *visitor) launch(satelliteID, name string, version int) (id string) {
	v.Helper()
	made, err := v.w.api.CreateLaunch(v.Context(), satelliteID, apiv1.LaunchCreate{SatelliteVersion: version, Name: name})
	if err != nil {
		v.Fatal(err)
	}
	return made.ID
}

// TestPromoteAndRollBack moves a launch to another version and back, and copies
// its version to another launch and to another satellite, with the difference
// shown first.
func TestPromoteAndRollBack(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		path, id := v.satellite("Promoted "+nameOf(t), 2, 5)
		other, _ := v.satellite("Receives "+nameOf(t), 9)
		launch := path + "/launches/" + v.launch(id, "Staging", 1)
		production := v.launch(id, "Production", 2)
		v.open(path)
		v.click("Staging")
		v.sees("Version wanted", "Latest is 2")
		v.click("Promote")
		v.sees("goes from version 1 to version 2", "2 replicas", "5 replicas")
		v.click("Promote")
		v.sees("Staging is to run version 2.")
		v.at(launch)

		v.click("Roll back")
		v.sees("this launch had it", "From version 2 to version 1", "5 replicas")
		v.click("Roll back to version 1")
		v.sees("Staging is to run version 1.")

		v.click("Promote")
		v.click("To another launch")
		v.fill("q", "duct")
		v.press(kb.Enter)
		v.click("Production")
		v.sees("“Production” goes from version 2 to version 1, which “Staging” has")
		v.click("Promote")
		v.sees("Production is to run version 1.")
		v.at(path + "/launches/" + production)

		v.open(launch + "/promote?to=satellite")
		v.fill("q", "Receives "+nameOf(t))
		v.press(kb.Enter)
		v.click("Receives " + nameOf(t))
		v.sees("This makes version 2 of", "9 replicas", "2 replicas")
		v.click("Promote")
		v.at(other + "/algorithms")
		v.sees("Made version 2 from version 1 of Promoted")
	})
}

// TestVersions compares two versions and makes a new one from an old one.
func TestVersions(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		path, _ := v.satellite("Versions "+nameOf(t), 1, 4, 6)
		v.open(path)
		v.click("Versions")
		v.sees("Version 3", "latest", "The first: 1 algorithm, 1 replica")
		v.fill("from", "1")
		v.fill("to", "3")
		v.click("Compare")
		v.at(path + "/versions/compare?from=1&to=3")
		v.sees("From version 1 to version 3", "1 replica", "6 replicas")
		v.click("Swap")
		v.sees("From version 3 to version 1")
		v.click("All versions")
		v.click("Make new version from it")
		v.sees("This makes version 4 with what version 2 had", "6 replicas", "4 replicas")
		v.click("Make version 4")
		v.sees("Version 4")
		v.open(path + "/algorithms")
		v.sees("fraud/score", "4")
		v.choose("version", "3")
		if js[bool](v, "!document.documentElement.classList.contains('scripted')") {
			v.click("Show")
		}
		v.sees("This is version 3, not the latest.")
	})
}

// TestSatelliteKeys makes a key, sees it once, and revokes it.
func TestSatelliteKeys(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "ada", options...)
		path, _ := v.satellite("Keys "+nameOf(t), 1)
		v.open(path)
		v.click("Authentication")
		v.sees("every call is answered 401")
		v.click("New key")
		v.click("Create key")
		v.sees("needs a name")
		v.fill("name", "billing")
		v.choose("lifetime", "30")
		v.click("fraud/score")
		v.click("Create key")
		v.sees("shown this once", "cst_", "/v1/algo/fraud/score")
		secret := js[string](v, "document.getElementById('secret').textContent")
		v.click("Done")
		v.at(path + "/authentication")
		v.sees("billing", secret[:8], "in 30 days", "Calls only fraud/score", "Not known")
		if js[bool](v, fmt.Sprintf("document.body.innerText.includes(%q)", secret)) {
			t.Error("the key is shown twice")
		}
		v.click("Revoke")
		v.sees("within one heartbeat", "air-gapped")
		v.click("Revoke key")
		v.sees("Revoked")
		v.click("Activity")
		v.sees("billing")
	})
}

// TestInstallCommands fills the placeholders of the install commands in on the
// page, and copies them.
func TestInstallCommands(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "grace", options...)
		v.open("/satellites/" + v.w.satellite + "/launches/" + v.w.launch)
		v.fill("registry", "registry.example.com/algorithms")
		v.fill("kubeconfig", "/home/algo/my cluster.conf")
		v.fill("namespace", "payments")
		if js[bool](v, "!document.documentElement.classList.contains('scripted')") {
			v.click("Fill in")
		}
		want := []string{
			"algo-install satellite " + v.w.satellite + " " + v.w.launch + " configure \\\n",
			"  stage.container_registry=registry.example.com/algorithms \\\n", "  stage.kubernetes.kubeconfig_path='/home/algo/my cluster.conf' \\\n",
			"  stage.kubernetes.namespace=payments \\\n", "  stage.fqdn=" + v.w.url,
		}
		command := func() string { return js[string](v, "document.getElementById('install-1').textContent.trim()") }
		v.until("document.getElementById('install-1').textContent.includes('=payments')")
		if got := command(); got != strings.Join(want, "") {
			t.Errorf("the command is\n%s\nwant\n%s", got, strings.Join(want, ""))
		}
		if len(options) > 0 {
			return // without a script a click selects the command
		}
		v.copies("Copy the command: Configure", strings.Join(want, ""))
	})
}

// clipboard is the one of the browser, which all visitors share.
var clipboard sync.Mutex

// showsLabels notes what the page's parts say from now on: a button says for two
// seconds only that it did its work, which a look may miss.
const showsLabels = `globalThis.labels = [];
	new MutationObserver((list) => list.forEach((m) => labels.push(m.target.textContent))).observe(document.body, { subtree: true, childList: true })`

// copies clicks a copy button of a launch's side sheet, hears that it is done,
// and pastes what was copied.
func (v *visitor) copies(button, want string) {
	v.Helper()
	clipboard.Lock()
	defer clipboard.Unlock()
	v.do(evaluate(showsLabels))
	v.click(button)
	v.until("labels.includes('Copied')")
	v.until("document.getElementById('said').textContent === 'Copied' && document.getElementById('said').closest('dialog:modal')")
	v.until(fmt.Sprintf("document.activeElement.ariaLabel === %q", button))
	v.do(evaluate("document.querySelector('[name=namespace]').select()"),
		call(input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "Paste", Commands: []string{"paste"}}))
	oneLine := strings.Join(strings.Fields(want), " ") // the field has no lines
	v.until(fmt.Sprintf("document.querySelector('[name=namespace]').value.split(/\\s+/).join(' ') === %q", oneLine))
}

// selects clicks a copy button where the browser copies nothing: the text is
// left selected, for a key to copy.
func (v *visitor) selects(button, want string) {
	v.Helper()
	v.do(evaluate("document.execCommand = () => false; Object.defineProperty(navigator, 'clipboard', { configurable: true, value: undefined })"))
	v.do(evaluate(showsLabels))
	v.click(button)
	v.until("labels.includes('Selected: press Ctrl-C')")
	v.until("document.getElementById('said').textContent === 'Selected: press Ctrl-C'")
	v.until(fmt.Sprintf("(document.activeElement.selectionEnd > 0 ? document.activeElement.value : getSelection().toString()) === %q", want))
}

// TestLaunchList searches, orders and turns the pages of a list that has more
// than one.
func TestLaunchList(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "linus", options...)
		path, id := v.satellite("Many "+nameOf(t), 1)
		for i := range 60 {
			v.launch(id, fmt.Sprintf("Line %02d", i), 1)
		}
		names := "[...document.querySelectorAll('td.name a')].map((a) => a.textContent).join()"
		list := func(from, to int) string { // in either direction
			var all []string
			for i := from; i != to; {
				all = append(all, fmt.Sprintf("Line %02d", i))
				if from < to {
					i++
				} else {
					i--
				}
			}
			return strings.Join(all, ",")
		}
		lists := func(want string) {
			t.Helper()
			v.until(fmt.Sprintf("document.readyState === 'complete' && %s === %q", names, want))
		}
		v.open(path)
		lists(list(0, 25))
		v.sees("1–25 of 60")
		turns := func(button string, from, to int) { // and is at the list's head
			t.Helper()
			v.click(button)
			lists(list(from, to))
			v.sees(fmt.Sprintf("%d–%d of 60", from+1, to))
			v.until("document.activeElement.id === 'results'")
			v.until("(({ top }) => top >= 0 && top < innerHeight / 2)(document.querySelector('#results td.name a').getBoundingClientRect())")
		}
		turns("Next page", 25, 50)
		turns("Next page", 50, 60)
		turns("Previous page", 25, 50)
		turns("Previous page", 0, 25)
		turns("Next page", 25, 50)
		turns("Next page", 50, 60)
		turns("First page", 0, 25)
		turns("Next page", 25, 50)
		v.click("Name")
		lists(list(59, 34))
		v.sees("1–25 of 60")
		v.back()
		lists(list(25, 50))
		v.back()
		lists(list(0, 25))
		v.fill("q", "line 07")
		v.press(kb.Enter)
		lists("Line 07")
		v.until("new URLSearchParams(location.search).get('q') === 'line 07'")
		v.fill("q", "no such line")
		v.press(kb.Enter)
		v.sees("No launch instance matches “no such line”")
		v.click("Show all launch instances")
		lists(list(0, 25))
	})
}
