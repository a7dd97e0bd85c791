package panel

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// refusing is a proxy before the shared mothership that refuses forms once it
// is told to.
type refusing struct {
	*world
	with atomic.Pointer[refusal]
}

// refusal is an answer to a form: ours, the server's own page for a failure
// with another status, or somebody's on the way.
type refusal struct {
	status int
	ours   bool
}

// says is what the visitor reads then.
func (r refusal) says() string {
	if r.ours {
		return "There is no page at this address."
	}
	return fmt.Sprintf("The server answered %d and does not say why.", r.status)
}

func newRefusing(t *testing.T) *refusing {
	t.Helper()
	shared := need(t)
	backend, err := url.Parse(shared.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &refusing{}
	pass := httputil.NewSingleHostReverseProxy(backend)
	pass.ErrorLog = quiet
	pass.ModifyResponse = func(answer *http.Response) error {
		if r := proxy.with.Load(); r != nil && answer.Request.URL.Path == "/nowhere" {
			answer.StatusCode = r.status
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refused := proxy.with.Load()
		switch {
		case r.Method != http.MethodPost || refused == nil:
		case refused.ours:
			_, _ = io.Copy(io.Discard, r.Body)
			r.Method, r.URL.Path, r.URL.RawQuery, r.Body, r.ContentLength = http.MethodGet, "/nowhere", "", http.NoBody, 0
		default:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(refused.status)
			_, _ = io.WriteString(w, "<!doctype html><title>Blocked</title><h1>Request blocked</h1>")
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	proxy.world = &world{
		mothership: shared.mothership, bin: shared.bin, url: server.URL, host: backend.Host, admin: shared.admin, key: shared.key, api: shared.api,
		score: shared.score, sessions: map[string]*http.Cookie{},
	}
	return proxy
}

// TestRefusedFormsSayWhy refuses every form of the route table, by the server
// and by something before it: the dialog stays, with the reason in it and all
// that was typed.
func TestRefusedFormsSayWhy(t *testing.T) {
	t.Parallel()
	w := newRefusing(t)
	const own = "refused"
	role := "admin"
	if _, err := w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: own, Role: role, Password: password}); err != nil {
		t.Fatal(err)
	}
	g := w.newGround(t, own, own)
	v := w.visitor(t, own)
	v.troubled = true // the answers of 500 are meant
	drafts := map[string]string{}
	for _, editor := range []string{"/satellites/new", g.fill.Replace("/satellites/{satellite_id}/edit")} {
		v.open(editor)
		v.addAlgorithm(w.score, "foo/bar", "2")
		v.until("new URLSearchParams(location.search).get('draft') && !document.querySelector('dialog[open]')")
		v.click("Add a schedule")
		v.sees("When, as a cron expression")
		v.fill("schedule", "each-night")
		v.fill("cron", "@daily")
		v.click("Add schedule")
		v.until("!document.querySelector('dialog[open]') && document.body.innerText.includes('each-night')")
		drafts[editor] = js[string](v, "new URLSearchParams(location.search).get('draft')")
	}
	w.refuse(v, g, drafts, forms)
	if _, err := w.api.CreateUser(t.Context(), apiv1.UserCreate{Username: "refused-keyless", Role: role, Password: password}); err != nil {
		t.Fatal(err)
	}
	without := w.visitor(t, "refused-keyless")
	without.troubled = true
	w.refuse(without, g, nil, keyless)
}

// refuse has a visitor fill in forms and refuses each in every way.
func (w *refusing) refuse(v *visitor, g ground, drafts map[string]string, forms []form) {
	v.Helper()
	for _, f := range forms {
		f.page = w.page(g, f, drafts)
		w.with.Store(nil)
		v.visit(g, f)
		typed := js[string](v, typedIn)
		for _, r := range []refusal{{http.StatusForbidden, true}, {http.StatusConflict, true}, {http.StatusUnprocessableEntity, true}, {http.StatusInternalServerError, true}, {http.StatusBadGateway, false}} {
			w.with.Store(&r)
			if f.typing {
				v.fill(f.fill[0][0], "Typed "+fmt.Sprint(r.status))
				typed = js[string](v, typedIn)
			} else {
				v.click(f.button)
			}
			if f.plain {
				v.sees("There is no page at this address.")
				break
			}
			v.until(fmt.Sprintf("[...document.querySelectorAll('form .problem[role=alert]')].some((e) => e.checkVisibility() && e.innerText.includes(%q))", r.says()))
			if now := js[string](v, typedIn); now != typed {
				v.Errorf("%s refused with %d: the form has\n%s\nwhat was typed was\n%s", f.route, r.status, now, typed)
			}
			if !js[bool](v, "(document.querySelector('dialog:modal') ?? document.body).contains(document.activeElement) && document.activeElement !== document.body") {
				v.Errorf("%s refused with %d: the focus is lost", f.route, r.status)
			}
		}
	}
}

// typedIn is what the fields on top have.
const typedIn = `JSON.stringify([...(document.querySelector('dialog:modal') ?? document).querySelectorAll('form[method=post] :is(input, select, textarea)')].map((e) => [e.name, e.value]))`

// page returns a form of a draft, which a walk comes to by the form before it, an
// address of its own: that of a draft that was kept.
func (w *refusing) page(g ground, f form, drafts map[string]string) string {
	page := f.page
	if page == "" {
		page = f.route
	}
	page = g.fill.Replace(page)
	for editor, draft := range drafts {
		if strings.HasPrefix(page, editor) {
			page = strings.Replace(page, "{draft}", draft, 1)
		}
	}
	return page
}
