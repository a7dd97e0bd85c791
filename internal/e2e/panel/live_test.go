package panel

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/stack"
)

// waitFor waits until ok.
func (v *visitor) waitFor(what string, ok func() bool) {
	v.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			v.Fatalf("waited for %s in vain\n%s", what, v.describe())
		case <-tick.C:
		}
	}
}

// answered counts the answers of that kind that an address gave; a stream
// counts when it begins.
func (v *visitor) answered(kind, path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, r := range v.requests {
		if r.url == v.w.url+path && r.status == 200 && r.kind == kind && (r.bytes > 0 || path == "/live") {
			n++
		}
	}
	return n
}

// listens waits until the page hears of changes.
func (v *visitor) listens() {
	v.Helper()
	v.waitFor("the stream of changes", func() bool { return v.answered("Fetch", "/live") > 0 })
}

// point moves the mouse onto an element, or into the corner of the window.
func (v *visitor) point(selector string) {
	v.Helper()
	at := []float64{1, 1}
	if selector != "" {
		at = js[[]float64](v, fmt.Sprintf("(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()", selector))
	}
	v.do(call(input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at[0], Y: at[1]}))
}

// TestLive sees statuses, lists and an open side sheet change in place, and
// nothing move under the pointer.
func TestLive(t *testing.T) {
	w := need(t)
	t.Parallel()
	v := newVisitor(t, "linus")
	path, id := v.satellite("Lives "+nameOf(t), 2)
	first := v.launch(id, "Line 2", 1)
	v.open(path)
	v.sees("Line 2", "Never seen")
	v.listens()
	v.until("document.body.dataset.same = 'page'")
	beat := func(ready int, reason string) {
		t.Helper()
		if err := w.beat(t.Context(), id, first, 1, ready, reason); err != nil {
			t.Fatal(err)
		}
	}
	beat(2, "")
	v.until("document.querySelector('#results .status.good')")
	v.until("document.getElementById('live-said').textContent.includes('Line 2: ')")
	v.launch(id, "Line 3", 1)
	v.sees("Line 3")

	v.point("#results tbody tr")
	v.until("document.getElementById('results').matches(':hover')")
	looked := v.answered("Fetch", path)
	v.launch(id, "Line 1", 1)
	v.waitFor("the page's look", func() bool { return v.answered("Fetch", path) > looked })
	const rows = "[...document.querySelectorAll('td.name a')].map((a) => a.textContent).join()"
	if got := js[string](v, rows); got != "Line 2,Line 3" {
		t.Errorf("under the pointer the list becomes %s", got)
	}
	v.point("")
	v.until(rows + " === 'Line 1,Line 2,Line 3'")

	v.click("Line 2")
	v.sees("All 2 replicas are ready")
	const missing = "fraud-score-1 does not start: its image is not there"
	beat(1, missing)
	v.sees("degraded if its next heartbeat says so too")
	beat(1, missing)
	v.sees("Degraded", "its image is not there")

	v.do(v.hidden(true))
	before := v.answered("Fetch", "/live")
	beat(2, "")
	beat(2, "")
	v.do(v.hidden(false))
	v.sees("All 2 replicas are ready")
	v.waitFor("the stream again", func() bool { return v.answered("Fetch", "/live") > before })
	v.until("document.body.dataset.same === 'page'")
}

// hidden has the page believe that it is out of sight, or in sight again.
func (v *visitor) hidden(is bool) step {
	return evaluate(fmt.Sprintf("Object.defineProperty(document, 'hidden', { configurable: true, get: () => %t }); document.dispatchEvent(new Event('visibilitychange'))", is))
}

// TestLiveEndsWithTheSession stops the stream of who is signed out.
func TestLiveEndsWithTheSession(t *testing.T) {
	w := need(t)
	t.Parallel()
	const username = "listener"
	if _, err := w.mothership.Administer(t.Context(), password+"\n", "account", "create", username, "--role", "viewer", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	v, admin := newVisitor(t, username), newVisitor(t, "ada")
	v.open("/")
	v.listens()
	admin.open("/users/" + username + "/sign-out")
	admin.click("Sign out")
	admin.sees("The user is signed out everywhere.")
	v.sees("You are signed out.")
}

// TestRemovedWhileOpen looks at a satellite that somebody else removes.
func TestRemovedWhileOpen(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "grace", options...)
		path, id := v.satellite("Goes "+nameOf(t), 1)
		v.open(path)
		if len(options) == 0 {
			v.listens()
		}
		if err := v.w.api.DeleteSatellite(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
		if len(options) == 0 {
			v.sees("What this page shows is not here any more.")
		}
		v.click("New launch instance")
		v.sees("Not found", "was removed by ada", "What runs keeps running")
		v.click("Back to Constellation")
		v.at("/")
	})
}

// TestRestart keeps a page open while the server stops and comes back: it says
// so, and goes on by itself.
func TestRestart(t *testing.T) {
	w := need(t)
	t.Parallel()
	m, dir := startMothership(t)
	if _, err := m.Administer(t.Context(), password+"\n", "account", "create", "ada", "--role", "admin", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	key, err := m.Administer(t.Context(), "", "api-key", "create", "--account", "ada", "--role", "admin", "--name", "CI")
	if err != nil {
		t.Fatal(err)
	}
	own := &world{mothership: m, url: m.URL, host: m.Host, api: client.New(m.URL, key, http.DefaultClient)}
	v := own.visitor(t, "")
	v.troubled = true
	v.open("/login")
	v.fill("username", "ada")
	v.fill("password", password)
	v.click("Sign in")
	v.sees("No satellites yet")
	v.listens()
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	v.sees("No connection to the mothership.")
	again, err := stack.StartMothership(t.Context(), filepath.Join(w.bin, "mothership"), dir, m.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := own.api.CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "Made meanwhile", Algorithms: []apiv1.SatelliteAlgorithm{}}); err != nil {
		t.Fatal(err)
	}
	v.sees("Made meanwhile")
}

// startMothership starts one that a test has for itself; the test stops it.
func startMothership(t *testing.T) (m *stack.Mothership, dir string) {
	t.Helper()
	return startMothershipAt(t, "127.0.0.1:0")
}

// startMothershipAt serves on another address, with further flags of serve.
func startMothershipAt(t *testing.T, address string, flags ...string) (m *stack.Mothership, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "constellation-panel-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL's user must reach its data
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if m, err = stack.StartMothership(ctx, filepath.Join(house.world.bin, "mothership"), dir, address, flags...); err != nil {
		t.Fatal(err)
	}
	return m, dir
}

// TestNetworkLost sends a form without a network: the page says so and keeps
// what was typed, and goes on when the network is back.
func TestNetworkLost(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.troubled = true
	v.open("/satellites/new")
	v.fill("name", "Typed "+nameOf(t))
	v.do(offline(true))
	v.click("Add an algorithm")
	v.sees("No answer from the mothership. What you typed is still here; try again.")
	v.click("Create satellite")
	v.sees("No answer from the mothership. What you typed is still here; try again.")
	v.until(fmt.Sprintf("document.querySelector('[name=name]').value === %q", "Typed "+nameOf(t)))
	v.do(offline(false))
	v.click("Create satellite")
	v.click("Create it empty")
	v.at("/")
	v.sees("Created the satellite Typed " + nameOf(t))
	v.listens()
	v.do(offline(true))
	v.sees("No connection to the mothership.")
	v.do(offline(false))
	v.sees("Connected again.")
}

// offline takes the browser's network away, or gives it back.
func offline(is bool) step {
	conditions := map[string]any{"offline": is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
	return call(cdp.Command[map[string]any, cdp.Empty]{Method: "Network.emulateNetworkConditions"}, conditions)
}
