package admin

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

const (
	hash     = "0123456789abcdef0123456789abcdef01234567"
	password = "correct horse battery staple"
)

// world is a panel over a real database.
type world struct {
	t       *testing.T
	control *control.Service
	db      *postgres.DB
	panel   http.Handler
}

func newWorld(t *testing.T, publicURL string) *world {
	t.Helper()
	return newWorldOn(t, publicURL, postgrestest.New(t))
}

func newWorldOn(t *testing.T, publicURL string, db *postgres.DB) *world {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	service := control.New(control.Options{
		DB: db, Sealer: sealer, PublicURL: publicURL, Version: "1.2.3",
		StartCollection: func(ctx context.Context, db *postgres.DB, _ string) error { return db.NoteScan(ctx) },
		StartImport:     func(context.Context, *postgres.DB, string, int) error { return nil },
		CheckRegistry:   checkRegistry,
		Notifications:   control.Notifications{Mail: true, Deliver: func(context.Context, *postgres.DB, string) error { return nil }},
	})
	return &world{t: t, control: service, db: db, panel: New(service, Options{PublicURL: publicURL})}
}

// visitor makes an account and signs it in.
func (w *world) visitor(username string, role constellation.Role) *http.Cookie {
	w.t.Helper()
	_, err := w.control.CreateAccount(w.t.Context(), control.Shell(), control.NewAccount{Username: username, Role: role, Password: password})
	if err != nil {
		w.t.Fatal(err)
	}
	answer := w.send("POST", "/login", url.Values{"username": {username}, "password": {password}}, nil)
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 2 { // the session and the device
		w.t.Fatalf("sign in as %s: %d", username, answer.StatusCode)
	}
	return answer.Cookies()[0]
}

func (w *world) send(method, target string, form url.Values, cookie *http.Cookie) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	r = r.WithContext(w.t.Context())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	recorder := httptest.NewRecorder()
	w.panel.ServeHTTP(recorder, r)
	return recorder.Result()
}

// page gets a page and returns its text with the entities resolved.
func (w *world) page(target string, cookie *http.Cookie, status int) string {
	w.t.Helper()
	answer := w.send("GET", target, nil, cookie)
	body := readAll(w.t, answer)
	if answer.StatusCode != status {
		w.t.Errorf("GET %s = %d, want %d", target, answer.StatusCode, status)
	}
	if policy := answer.Header.Get("Content-Security-Policy"); policy != contentPolicy {
		w.t.Errorf("GET %s has the policy %q", target, policy)
	}
	return html.UnescapeString(body)
}

func readAll(t *testing.T, answer *http.Response) string {
	t.Helper()
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// satellite has one algorithm, three times.
func (w *world) satellite(name string) *constellation.Satellite {
	w.t.Helper()
	admin := control.Principal{Username: "neo", Role: constellation.RoleAdmin}
	image := constellation.Image{
		Repository: "neo/hello", Digest: bundle.Digest([]byte("image")), MediaType: "application/vnd.oci.image.manifest.v1+json",
		Size: 1, Platforms: []string{"linux/amd64"},
	}
	ref := constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hash}
	push := control.Push{Ref: ref, Image: image, Runtime: constellation.Runtime{}.WithDefaults()}
	if _, _, err := w.control.PushAlgorithm(w.t.Context(), admin, push, func(context.Context) error { return nil }); err != nil {
		w.t.Fatal(err)
	}
	s, err := w.control.CreateSatellite(w.t.Context(), admin, control.NewSatellite{
		Name: name, Algorithms: []control.AlgorithmSpec{{Algorithm: ref.String(), VanityURL: "first/try", Replicas: 3}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// wantIn fails for what of want the page lacks.
func wantIn(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q:\n%s", s, content(page))
		}
	}
}

// content returns what a page has inside its frame.
func content(page string) string {
	if _, inner, ok := strings.Cut(page, "<main"); ok {
		page, _, _ = strings.Cut(inner, "</main>")
	}
	return page
}

func TestEmptyStatesTeach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com:8443")
	neo, morpheus := w.visitor("neo", constellation.RoleAdmin), w.visitor("morpheus", constellation.RoleViewer)
	wantIn(t, w.page("/", neo, http.StatusOK), "No satellites yet", `<a class="button" href="/satellites/new">New satellite</a>`)
	wantIn(t, w.page("/", neo, http.StatusOK), "What next", `href="/algorithms/push"`, `href="/docs/first-satellite"`)
	viewed := w.page("/", morpheus, http.StatusOK)
	wantIn(t, viewed, "No satellites yet", "An administrator makes them")
	if strings.Contains(viewed, "/satellites/new") {
		t.Error("a viewer is offered to create a satellite")
	}
	wantIn(t, w.page("/satellites/new/algorithm", neo, http.StatusOK), "The catalogue is empty", "docker push mothership.example.com:8443/OWNER/NAME:HASH")
	s := w.satellite("Edge")
	wantIn(t, w.page("/", neo, http.StatusOK), "Edge", "What next")
	w.page("/docs/first-satellite", nil, http.StatusOK)
	wantIn(t, w.page("/?q=nowhere", neo, http.StatusOK), "No satellite matches “nowhere”", "Show all satellites")
	wantIn(t, w.page("/satellites/"+s.ID, neo, http.StatusOK), "No launch instances yet", "/satellites/"+s.ID+"/launches/new")
	wantIn(t, w.page("/satellites/"+s.ID+"/authentication", neo, http.StatusOK), "No keys yet", "every call is answered 401")
}

func TestSatelliteAndLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	const name = `<script>alert("x")</script> مراقبة 🚀`
	s := w.satellite(name)
	admin := control.Principal{Username: "neo", Role: constellation.RoleAdmin}
	l, err := w.control.CreateLaunch(t.Context(), admin, s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line 1", Description: "by the paint shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.control.CreateSatelliteVersion(t.Context(), admin, s.ID, nil, control.VersionSpec{Algorithms: []control.AlgorithmSpec{}}); err != nil {
		t.Fatal(err)
	}
	raw := readAll(t, w.send("GET", "/", nil, neo))
	if strings.Contains(raw, "<script>") {
		t.Error("a satellite's name is markup")
	}
	exact := s.CreatedAt.UTC().Format("2006-01-02 15:04:05 UTC")
	wantIn(t, w.page("/", neo, http.StatusOK), name, `datetime="`+s.CreatedAt.UTC().Format(time.RFC3339)+`"`, exact)
	wantIn(t, w.page("/satellites/"+s.ID, neo, http.StatusOK), "0 algorithms, 0 replicas", "Line 1", "by the paint shop", "latest is 2", "Never seen", "1–1 of 1")
	wantIn(t, w.page("/satellites/"+s.ID+"/algorithms", neo, http.StatusOK), "No algorithms")
	wantIn(t, w.page("/satellites/"+s.ID+"/algorithms?version=1", neo, http.StatusOK), "first/try", "This is version 1, not the latest.")
	install := "algo-install satellite " + s.ID + " " + l.ID
	sheet := w.page("/satellites/"+s.ID+"/launches/"+l.ID, neo, http.StatusOK)
	wantIn(t, sheet, "Latest is 2", exact[:10], install+" get ", ">ADMIN_API_KEY</var> --mothership https://mothership.example.com<",
		install+" configure \\\n  stage.container_registry=<var", "stage.fqdn=mothership.example.com<", install+" deploy<")
	filled := w.page("/satellites/"+s.ID+"/launches/"+l.ID+"?namespace=line+1&registry=r.example/x", neo, http.StatusOK)
	wantIn(t, filled, ">'line 1'</var>", ">r.example/x</var>")
	wantIn(t, w.page("/satellites/"+s.ID+"/activity", neo, http.StatusOK), "created the launch instance", "Line 1", "made a new version of", "first/try: neo/hello/"+hash[:12]+" × 3")
	wantIn(t, w.page("/satellites/"+s.ID+"/versions", neo, http.StatusOK), "1 algorithm removed", "Make new version from it")
	wantIn(t, w.page("/satellites/"+s.ID+"/versions/compare?from=2&to=1", neo, http.StatusOK), "From version 2 to version 1", "1 algorithm added")
}

func TestAlgorithmsHaveTheirWholeHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	wantIn(t, w.page("/satellites/"+s.ID+"/algorithms", neo, http.StatusOK), "1 algorithm, 3 replicas", "first/try", "neo/hello", bundle.Digest([]byte("image")),
		`title="`+hash+`">`+hash+"</code>")
}

func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	for _, c := range []struct {
		target   string
		cookie   *http.Cookie
		status   int
		want     string
		signedIn bool
	}{
		{"/nowhere", nil, http.StatusNotFound, "There is no page at this address.", false},
		{"/nowhere", neo, http.StatusNotFound, "There is no page at this address.", true},
		{"/satellites/x", neo, http.StatusNotFound, "There is no satellite", true},
		{"/?sort=bogus", neo, http.StatusBadRequest, "Sort is one of", true},
		{"/setup", nil, http.StatusNotFound, "The set-up link is incomplete.", false},
		{"/setup?token=x", nil, http.StatusConflict, "This mothership is set up already", false},
	} {
		page := w.page(c.target, c.cookie, c.status)
		wantIn(t, page, c.want, fmt.Sprintf("HTTP %d", c.status), "Back to Constellation")
		if got := strings.Contains(page, "Sign out"); got != c.signedIn {
			t.Errorf("GET %s: the panel around the error is %v, want %v", c.target, got, c.signedIn)
		}
	}
	r := httptest.NewRequest("POST", "/logout", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.AddCookie(neo)
	recorder := httptest.NewRecorder()
	w.panel.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusForbidden {
		t.Errorf("a form from another site = %d, want 403", recorder.Code)
	}
	wantIn(t, html.UnescapeString(recorder.Body.String()), "Not allowed", "nothing was changed", "Sign out")

	w.db.Close()
	recorder = httptest.NewRecorder()
	r = httptest.NewRequest("GET", "/", nil)
	r.AddCookie(neo)
	w.panel.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusInternalServerError || strings.Contains(recorder.Body.String(), "closed") {
		t.Errorf("a page without a database = %d, want 500 and no cause:\n%s", recorder.Code, recorder.Body)
	}
	wantIn(t, recorder.Body.String(), "Something went wrong", "HTTP 500")
}

func TestSignInKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	w.visitor("neo", constellation.RoleAdmin)
	answer := w.send("POST", "/login", url.Values{"username": {"neo"}, "password": {"wrong"}, "next": {"/satellites/x"}}, nil)
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password = %d, want 401", answer.StatusCode)
	}
	wantIn(t, readAll(t, answer), "The username or the password is wrong.", `value="neo"`, `value="/satellites/x"`, `role="alert"`)
}

// TestSignInOverPlainHTTPIsExplained signs in over http to a mothership that
// is to be used over https: a browser would drop the cookie without a word.
func TestSignInOverPlainHTTPIsExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	w.visitor("neo", constellation.RoleAdmin)
	for origin, want := range map[string]int{
		"http://mothership.example.com": http.StatusUnprocessableEntity, "http://192.0.2.7:8080": http.StatusUnprocessableEntity,
		"https://mothership.example.com": http.StatusSeeOther, "http://127.0.0.1:8080": http.StatusSeeOther, "http://localhost:8080": http.StatusSeeOther,
	} {
		r := httptest.NewRequest("POST", origin+"/login", strings.NewReader(url.Values{"username": {"neo"}, "password": {password}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		answer := w.serve(r)
		body := readAll(t, answer)
		if answer.StatusCode != want {
			t.Errorf("signing in at %s = %d, want %d", origin, answer.StatusCode, want)
		}
		if want == http.StatusUnprocessableEntity {
			wantIn(t, body, "Open https://mothership.example.com and sign in there.")
		}
	}
}
