package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// outcomes of one request, as a visitor sees them.
const (
	allowed   = "allowed"
	forbidden = "forbidden"
	signIn    = "sign in"
	noMethod  = "405"
)

// outcomeOf reads an answer; what is refused for its content was allowed.
func outcomeOf(answer *http.Response, method string) string {
	location := answer.Header.Get("Location")
	switch {
	case answer.StatusCode == http.StatusForbidden:
		return forbidden
	case answer.StatusCode == http.StatusMethodNotAllowed:
		return noMethod
	case answer.StatusCode == http.StatusSeeOther && strings.HasPrefix(location, "/login") && len(answer.Cookies()) == 0:
		return signIn
	case answer.StatusCode == http.StatusUnauthorized && method == http.MethodPost:
		return signIn // with what was typed kept
	case answer.StatusCode >= http.StatusInternalServerError:
		return fmt.Sprint("broken: ", answer.StatusCode)
	}
	return allowed
}

// TestRolePageMethodMatrix tries every address of the route table with every
// method as every role, with IDs of things that exist, and compares what
// happens with the role that the table asks for.
func TestRolePageMethodMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	shell := control.Shell()
	s := w.satellite("Edge")
	l, err := w.control.CreateLaunch(t.Context(), shell, s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line 1"})
	if err != nil {
		t.Fatal(err)
	}
	const missing = "00000000-0000-0000-0000-000000000000"
	fill := strings.NewReplacer(
		"{satellite_id}", s.ID, "{launch_id}", l.ID, "{username}", "subject", "{key_id}", missing, "{session_id}", missing,
		"{owner}", "neo", "{name}", "hello", "{hash}", hash, "{chapter}", "concepts", "{provider}", "nowhere", "{number}", "1", "{draft_id}", missing, "{index}", "0",
		"{destination_id}", missing, "{rule_id}", missing, "{delivery_id}", missing, "{registry_id}", missing, "{mirror_id}", missing,
	)
	w.visitor("subject", constellation.RoleViewer)
	cookies := map[constellation.Role]*http.Cookie{"": nil}
	again := func(role constellation.Role) { // a request may end the session that made it
		if role == "" {
			return
		}
		username := "visitor-" + string(role)
		if cookies[role] == nil {
			cookies[role] = w.visitor(username, role)
			return
		}
		if _, err := w.control.AuthenticateSession(t.Context(), cookies[role].Value, ""); err != nil {
			answer := w.send("POST", "/login", url.Values{"username": {username}, "password": {password}}, nil)
			cookies[role] = answer.Cookies()[0]
		}
	}
	takes := map[string]map[string]constellation.Role{}
	for _, r := range Routes() {
		if takes[r.Pattern] == nil {
			takes[r.Pattern] = map[string]constellation.Role{}
		}
		takes[r.Pattern][r.Method] = r.Role
		if r.Method == http.MethodGet {
			takes[r.Pattern][http.MethodHead] = r.Role
		}
	}
	tried := 0
	for pattern, methods := range takes {
		if pattern == "/live" {
			continue // a stream does not end; its own test has its roles
		}
		target := fill.Replace(pattern)
		if strings.Contains(target, "{") {
			t.Errorf("%s: the matrix has nothing to put in the address", pattern)
			continue
		}
		for _, role := range []constellation.Role{"", constellation.RoleViewer, constellation.RoleOperator, constellation.RoleAdmin} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
				again(role)
				needs, takes := methods[method]
				want := allowed
				switch {
				case !takes:
					want = noMethod
				case needs == anyone:
				case role == "":
					want = signIn
				case role.Rank() < needs.Rank():
					want = forbidden
				}
				answer := w.send(method, target, url.Values{}, cookies[role])
				got := outcomeOf(answer, method)
				if needs == anyone && takes && (got == signIn || got == forbidden) {
					got = allowed // a sign-in that fails, a link that is not good
				}
				if got != want {
					t.Errorf("%s %s as %q = %d (%s), want %s", method, pattern, role, answer.StatusCode, got, want)
				}
				if got == noMethod && answer.Header.Get("Allow") == "" {
					t.Errorf("%s %s = 405 and does not say what is allowed", method, pattern)
				}
				_ = answer.Body.Close()
				tried++
			}
		}
	}
	t.Logf("%d requests to %d addresses", tried, len(takes))
}

// TestForeignFormsChangeNothing sends every form of the table as another
// site's page would.
func TestForeignFormsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	if neo.Name != "__Host-constellation" || !neo.Secure || !neo.HttpOnly || neo.Path != "/" || neo.Domain != "" || neo.SameSite != http.SameSiteLaxMode {
		t.Errorf("the session's cookie = %+v, want __Host-, Secure, HttpOnly, SameSite=Lax and no domain", neo)
	}
	for _, r := range Routes() {
		if r.Method != http.MethodPost {
			continue
		}
		request := newRequest(t, r.Method, strings.NewReplacer("{", "", "}", "").Replace(r.Pattern))
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		request.AddCookie(neo)
		if got := w.serve(request).StatusCode; got != http.StatusForbidden {
			t.Errorf("POST %s from another site = %d, want 403", r.Pattern, got)
		}
		request = newRequest(t, r.Method, strings.NewReplacer("{", "", "}", "").Replace(r.Pattern))
		request.Header.Set("Origin", "https://evil.example")
		request.AddCookie(neo)
		if got := w.serve(request).StatusCode; got != http.StatusForbidden {
			t.Errorf("POST %s from another origin = %d, want 403", r.Pattern, got)
		}
	}
}
