package panel

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestSavingFollowsWhatIsTyped changes the replicas of a satellite's algorithm
// and nothing else, and the version of a launch: what either does is seen
// before it is done.
func TestSavingFollowsWhatIsTyped(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	path, id := v.satellite("Looked at "+nameOf(t), 1, 2)
	launch := v.launch(id, "Line 1", 1)
	v.open(path + "/edit")
	v.sees("Nothing: it is as it was.")
	v.fill("replicas", "7")
	v.sees("1 algorithm changed", "7 replicas")
	v.do(chromedp.Reload())
	v.until("document.querySelector('[name=replicas]')?.value === '7'")
	v.sees("1 algorithm changed", "7 replicas")
	v.open(path + "/launches/" + launch + "/edit")
	v.choose("satellite_version", "2")
	v.sees("From version 1 to version 2:", "2 replicas")
}

// TestPreviewDoesNotStopASave saves at once what was typed. The save is held until
// the script has asked what saving does, which it does a moment after typing.
func TestPreviewDoesNotStopASave(t *testing.T) {
	shared := need(t)
	t.Parallel()
	backend, err := url.Parse(shared.url)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(backend)
	pass.ErrorLog = quiet
	asked := make(chan struct{})
	ask := sync.OnceFunc(func() { close(asked) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/edit/preview"):
			ask()
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/edit"):
			select {
			case <-asked:
			case <-r.Context().Done():
			}
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	w := &world{
		mothership: shared.mothership, bin: shared.bin, url: server.URL, host: backend.Host, admin: shared.admin, key: shared.key, api: shared.api,
		score: shared.score, sessions: map[string]*http.Cookie{},
	}
	v := w.visitor(t, "ada")
	path, _ := v.satellite("Saved at once", 1)
	v.open(path + "/edit")
	v.fill("replicas", "7")
	v.press(kb.Enter)
	v.sees("Saved as version 2: 1 algorithm changed.")
}

// TestReloadKeepsWhatWasRefused reloads a page after its form was refused.
func TestReloadKeepsWhatWasRefused(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	path, id := v.satellite("Reloaded "+nameOf(t), 1)
	v.launch(id, "Line 1", 1)
	v.open(path)
	v.click("New launch instance")
	v.fill("name", "Line 1")
	v.fill("description", "beside the paint shop")
	v.click("Create launch instance")
	v.until("document.querySelector('#name-error')")
	v.do(chromedp.Reload())
	v.until("document.querySelector('dialog[data-modal][open] [name=name]')?.value === 'Line 1' && document.querySelector('[name=description]').value === 'beside the paint shop'")
}

// TestEnterTakesTheSoleSuggestion types until one choice is left, and presses
// Enter. The list opens on a click.
func TestEnterTakesTheSoleSuggestion(t *testing.T) {
	need(t)
	t.Parallel()
	v := newVisitor(t, "ada")
	v.open("/satellites/new")
	v.click("Add an algorithm")
	v.until("document.querySelector('dialog[data-modal][open] [role=combobox]')")
	v.until("document.querySelector('[role=combobox]').getAttribute('aria-expanded') === 'false'")
	v.do(clickOn("[role=combobox]"))
	v.until("document.querySelector('[role=combobox]').getAttribute('aria-expanded') === 'true' && getComputedStyle(document.querySelector('[role=combobox]')).backgroundImage !== 'none'")
	v.press("fraud/fea")
	v.until("[...document.querySelectorAll('#choices [role=option]')].filter((e) => e.checkVisibility()).map((e) => e.value).join() === 'fraud/features/'")
	v.press(kb.Enter)
	v.until("document.querySelector('[role=combobox]').value === 'fraud/features/'")
}
