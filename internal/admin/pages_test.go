package admin

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func newRequest(t *testing.T, method, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	return r.WithContext(t.Context())
}

func (w *world) serve(r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	w.panel.ServeHTTP(recorder, r)
	return recorder.Result()
}

// token returns the token of the form on a page.
func (w *world) token(target string, cookie *http.Cookie) string {
	w.t.Helper()
	match := regexp.MustCompile(`name="token" value="([^"]*)"`).FindAllStringSubmatch(w.page(target, cookie, http.StatusOK), -1)
	if match == nil {
		w.t.Fatalf("GET %s has no form", target)
	}
	return match[len(match)-1][1] // the layer comes last
}

var secretPattern = regexp.MustCompile(`<pre id="secret">([^<]*)</pre>`)

// secret returns what a page shows once.
func secret(t *testing.T, page string) string {
	t.Helper()
	match := secretPattern.FindStringSubmatch(page)
	if match == nil {
		t.Fatalf("the page shows no secret:\n%s", page)
	}
	return html.UnescapeString(match[1])
}

func TestInvitedUserSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	form := url.Values{"token": {w.token("/users/new", neo)}, "username": {"trinity"}, "role": {"operator"}}
	first := secret(t, readAll(t, w.send("POST", "/users/new", form, neo)))
	if again := secret(t, readAll(t, w.send("POST", "/users/new", form, neo))); again != first {
		t.Errorf("the same form sent again shows %q, want %q", again, first)
	}
	taken := url.Values{"token": {w.token("/users/new", neo)}, "username": {"Trinity"}, "role": {"viewer"}}
	answer := w.send("POST", "/users/new", taken, neo)
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a name that is taken = %d, want 422", answer.StatusCode)
	}
	wantIn(t, readAll(t, answer), `id="username-error"`, `value="Trinity"`)

	link, err := url.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, w.page(link.RequestURI(), nil, http.StatusOK), "Welcome to Constellation", "trinity")
	answer = w.send("POST", "/invitation", url.Values{"token": {link.Query().Get("token")}, "password": {"short"}}, nil)
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a short password = %d, want 422", answer.StatusCode)
	}
	answer = w.send("POST", "/invitation", url.Values{"token": {link.Query().Get("token")}, "password": {password}}, nil)
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 2 {
		t.Fatalf("choosing a password = %d, want 303 and a session", answer.StatusCode)
	}
	wantIn(t, w.page("/account", answer.Cookies()[0], http.StatusOK), "trinity", "operator: reads")
	wantIn(t, w.page(link.RequestURI(), nil, http.StatusForbidden), "ask an admin for a new one")
}

func TestKeyIsShownOnceAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleOperator)
	bad := url.Values{"token": {w.token("/account/keys/new", neo)}, "name": {""}, "role": {"admin"}, "lifetime": {"30"}, "satellite_id": {"nowhere"}}
	answer := w.send("POST", "/account/keys/new", bad, neo)
	wantIn(t, readAll(t, answer), `id="name-error"`, `id="role-error"`, `id="satellite_id-error"`, `value="nowhere"`, `value="30" selected`)
	good := url.Values{"token": {w.token("/account/keys/new", neo)}, "name": {"CI"}, "role": {"viewer"}, "lifetime": {"30"}}
	key := secret(t, readAll(t, w.send("POST", "/account/keys/new", good, neo)))
	p, err := w.control.AuthenticateKey(t.Context(), key, "")
	if err != nil || p.Role != constellation.RoleViewer {
		t.Fatalf("the key is %+v, %v, want a viewer's", p, err)
	}
	page := w.page("/account", neo, http.StatusOK)
	if strings.Contains(page, key) {
		t.Error("the key is shown twice")
	}
	wantIn(t, page, "CI", key[:8], "in 30 days", "/account/keys/"+p.KeyID+"/revoke")
	wantIn(t, w.page("/account/keys/"+p.KeyID+"/revoke", neo, http.StatusOK), "Revoke “CI”?", "what it installed keeps running")
	if got := w.send("POST", "/account/keys/"+p.KeyID+"/revoke", url.Values{}, neo).StatusCode; got != http.StatusSeeOther {
		t.Errorf("revoking the key = %d, want 303", got)
	}
	if _, err := w.control.AuthenticateKey(t.Context(), key, ""); constellation.KindOf(err) != constellation.KindUnauthenticated {
		t.Errorf("the revoked key = %v, want it refused", err)
	}
}

func TestLastAdminStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	for target, form := range map[string]url.Values{"/users/neo/role": {"role": {"viewer"}}, "/users/neo/disable": {}} {
		answer := w.send("POST", target, form, neo)
		if answer.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("POST %s of the last admin = %d, want 422", target, answer.StatusCode)
		}
		wantIn(t, html.UnescapeString(readAll(t, answer)), "The account neo is the last enabled admin; make another account an admin first.")
	}
	w.visitor("cypher", constellation.RoleOperator)
	if got := w.send("POST", "/users/cypher/disable", url.Values{}, neo).StatusCode; got != http.StatusSeeOther {
		t.Errorf("disabling a user = %d, want 303", got)
	}
	wantIn(t, w.page("/users", neo, http.StatusOK), "cypher", "Disabled")
}

// hostile returns texts that a field must survive, wherever they are shown.
func hostile() []string {
	return []string{`"><script>alert(1)</script>`, "مرحبا \u202e كيف <b>", strings.Repeat("ä0", 150), "=HYPERLINK(\"http://evil\")", "a\x00b", "'; DROP TABLE accounts; --", "{{.}} ${x} %s"}
}

// TestEveryFieldSurvives puts hostile texts into every parameter and field
// that the panel's own forms have: no answer is broken, none has the text as
// markup.
func TestEveryFieldSurvives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.visitor("subject", constellation.RoleViewer)
	w.satellite("Edge")
	fields := []string{
		"name", "username", "role", "lifetime", "satellite_id", "password", "current_password", "new_password", "token", "description", "next", "back", "theme",
		"vanity_url", "algorithm", "replicas", "satellite_version", "kept:", "kept:name",
	}
	parameters := []string{"q", "sort", "marker", "actor", "action", "kind", "id", "since", "until", "token", "next", "tab", "version", "from", "to"}
	fill := regexp.MustCompile(`\{[^}]*\}`)
	for _, text := range hostile() {
		for _, r := range Routes() {
			if r.Pattern == "/live" || r.Pattern == "/logout" || r.Pattern == "/account/sign-out" && r.Method == "POST" {
				continue // ends the session, or does not end
			}
			target := fill.ReplaceAllLiteralString(r.Pattern, url.PathEscape(text))
			if strings.HasPrefix(r.Pattern, "/users/{") {
				target = fill.ReplaceAllLiteralString(r.Pattern, "subject")
			}
			values := url.Values{}
			if r.Method == http.MethodGet {
				for _, p := range parameters {
					values.Set(p, text)
				}
				w.unharmed(r.Method, target+"?"+values.Encode(), nil, neo, text)
				continue
			}
			for _, f := range fields {
				values.Set(f, text)
			}
			w.unharmed(r.Method, target, values, neo, text)
		}
	}
}

func (w *world) unharmed(method, target string, form url.Values, cookie *http.Cookie, text string) {
	w.t.Helper()
	answer := w.send(method, target, form, cookie)
	body := readAll(w.t, answer)
	if answer.StatusCode >= http.StatusInternalServerError {
		w.t.Errorf("%s %s with %.40q = %d", method, shorten(target), text, answer.StatusCode)
	}
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>") {
		w.t.Errorf("%s %s: the text %.40q is markup", method, shorten(target), text)
	}
	if location := answer.Header.Get("Location"); location != "" && (!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//")) {
		w.t.Errorf("%s %s leads away, to %q", method, shorten(target), location)
	}
}

func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

func TestAuditIsNarrowedAndExported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	if _, err := w.control.CreateSatellite(t.Context(), control.Shell(), control.NewSatellite{Name: `=cmd|' /C calc'!A0`}); err != nil {
		t.Fatal(err)
	}
	w.send("POST", "/login", url.Values{"username": {"morpheus"}, "password": {"a wrong password"}}, nil)
	page := w.page("/audit", neo, http.StatusOK)
	wantIn(t, page, "failed to sign in", "created the satellite", `=cmd|' /C calc'!A0`)
	page = w.page("/audit?action=account.login_failed", neo, http.StatusOK)
	if strings.Contains(page, " created the satellite ") || !strings.Contains(page, "morpheus") {
		t.Errorf("narrowed to failed sign-ins, the log has:\n%s", page)
	}
	wantIn(t, w.page("/audit?since=2026-02-30", neo, http.StatusBadRequest), "A date is written as 2026-01-31")
	wantIn(t, w.page("/audit?since=2026-02-02&until=2026-01-01", neo, http.StatusBadRequest), "is not after its start")
	wantIn(t, w.page("/audit?actor=nobody", neo, http.StatusOK), "Nothing matches")

	answer := w.send("GET", "/audit/export.csv?q=cmd", nil, neo)
	rows, err := csv.NewReader(bytes.NewReader([]byte(readAll(t, answer)))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("the exported CSV = %q, %v, want a head and one row", rows, err)
	}
	if got := rows[1][7]; got != `'=cmd|' /C calc'!A0` {
		t.Errorf("the formula is exported as %q, want it as text", got)
	}
	if got := answer.Header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="audit-`) {
		t.Errorf("the export is %q, want a file to keep", got)
	}
	for filter, want := range map[string]int{"?q=cmd": 1, "?actor=nobody": 0} {
		var events []map[string]any
		if err := json.Unmarshal([]byte(readAll(t, w.send("GET", "/audit/export.json"+filter, nil, neo))), &events); err != nil || len(events) != want {
			t.Errorf("the exported JSON of %s = %v, %v, want %d events", filter, events, err, want)
		}
	}
}

func TestFindLeadsToWhatOneMayOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo, morpheus := w.visitor("neo", constellation.RoleAdmin), w.visitor("morpheus", constellation.RoleViewer)
	s := w.satellite("Edge & Sons")
	wantIn(t, w.page("/find?q=edge", neo, http.StatusOK), "Edge & Sons", "/satellites/"+s.ID)
	wantIn(t, w.page("/find?q=hello", neo, http.StatusOK), "/algorithms/neo/hello")
	wantIn(t, w.page("/find?q="+s.ID, neo, http.StatusOK), "Edge & Sons")
	wantIn(t, w.page("/find?q=audit", neo, http.StatusOK), `href="/audit"`)
	if page := w.page("/find?q=audit", morpheus, http.StatusOK); strings.Contains(page, `href="/audit"`) {
		t.Error("a viewer is led to the audit log")
	}
	wantIn(t, w.page("/find?q=openshift", morpheus, http.StatusOK), "/docs/openshift")
}

func TestDocsAreOpenToAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com:8443")
	neo := w.visitor("neo", constellation.RoleViewer)
	wantIn(t, w.page("/docs", nil, http.StatusOK), "User guide", "Sign in", "Concepts", "API reference")
	wantIn(t, w.page("/docs/first-satellite", neo, http.StatusOK), "docker login mothership.example.com:8443", "Sign out")
	w.page("/docs/nothing", nil, http.StatusNotFound)
}

func TestChanges(t *testing.T) {
	t.Parallel()
	got := changes([]byte(`{"name":"a","list":[{"x":1}],"same":true}`), []byte(`{"name":"b","list":[{"x":1},{"x":2}],"same":true}`))
	if len(got) != 2 || got[0].Name != "list 2 x" || got[0].Before != "" || got[0].After != "2" || got[1].Name != "name" {
		t.Errorf("changes = %+v", got)
	}
	if got := changes(nil, []byte(`not JSON`)); len(got) != 1 || got[0].After != "not JSON" {
		t.Errorf("changes of what is no JSON = %+v", got)
	}
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"": "Unknown browser", "curl/8.1": "curl", "Go-http-client/1.1": "Go-http-client/1.1",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0": "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1":          "Safari on iPhone",
		"Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0":                                                "Firefox on Linux",
	} {
		if got := browser(agent); got != want {
			t.Errorf("browser(%q) = %q, want %q", agent, got, want)
		}
	}
}

func TestAuditSpeaksOfEveryAction(t *testing.T) {
	t.Parallel()
	for _, action := range control.EventActions() {
		if actionWords[action] == "" {
			t.Errorf("the audit log has no words for %s", action)
		}
	}
}
