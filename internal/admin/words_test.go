package admin

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

var titleTag = regexp.MustCompile(`<title>([^<]*)</title>`)

func TestEachViewHasItsOwnTitle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	admin := control.Principal{Username: "neo", Role: constellation.RoleAdmin}
	here := "/satellites/" + s.ID
	paths := []string{"/", "/launches", "/algorithms", "/users", "/audit", "/system", "/account", "/docs", "/satellites/new", "/users/new", "/users/neo", "/users/neo/keys/new", "/account/keys/new", here, here + "/algorithms", here + "/versions",
		here + "/authentication", here + "/activity", here + "/edit", here + "/renew", here + "/remove", here + "/keys/new", here + "/launches/new",
		"/algorithms/neo/hello/" + hash, "/algorithms/neo/hello/" + hash + "/settings", "/algorithms/neo/hello/" + hash + "/remove"}
	for _, name := range []string{"Line 1", "Line 2"} {
		l, err := w.control.CreateLaunch(t.Context(), admin, s.ID, control.NewLaunch{SatelliteVersion: 1, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		launch := here + "/launches/" + l.ID
		paths = append(paths, launch, launch+"/edit", launch+"/promote", launch+"/remove")
	}
	seen := map[string]string{}
	for _, path := range paths {
		match := titleTag.FindStringSubmatch(w.page(path, neo, http.StatusOK))
		if match == nil {
			t.Fatalf("%s has no title", path)
		}
		if other := seen[match[1]]; other != "" {
			t.Errorf("%s and %s are both called %q", path, other, match[1])
		}
		seen[match[1]] = path
		if strings.HasPrefix(path, here) && !strings.Contains(match[1], "Edge") {
			t.Errorf("%s is called %q, without its satellite", path, match[1])
		}
	}
}

func TestAuditNamesKeysAndSatellites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	shell := control.Shell()
	_, key, err := w.control.CreateKey(t.Context(), shell, "neo", control.NewKey{Name: "Build server", Role: new(constellation.RoleAdmin)})
	if err != nil {
		t.Fatal(err)
	}
	byKey := control.Principal{Username: "neo", Role: constellation.RoleAdmin, KeyID: key.ID}
	l, err := w.control.CreateLaunch(t.Context(), byKey, s.ID, control.NewLaunch{SatelliteVersion: 1, Name: "Line 1"})
	if err != nil {
		t.Fatal(err)
	}
	page := w.page("/audit?action=launch.create", neo, http.StatusOK)
	wantIn(t, page, `<a href="/satellites/`+s.ID+`/launches/`+l.ID+`"><bdi>Line 1</bdi></a>`, `<a href="/satellites/`+s.ID+`"><bdi>Edge</bdi></a>`,
		`with the API key <bdi title="`+key.ID+`">Build server</bdi>`)
	if err := w.control.DeleteSatellite(t.Context(), shell, s.ID, nil); err != nil {
		t.Fatal(err)
	}
	wantIn(t, w.page("/audit?action=launch.create", neo, http.StatusOK), "<bdi>Edge</bdi>")
}

func TestNumbersAndTimesAreWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.satellite("Edge")
	wantIn(t, w.page("/system", neo, http.StatusOK), "1 satellite, 0 launch instances", "1 algorithm with 1 version, 1 account")
	wantIn(t, w.page("/algorithms/neo/hello", neo, http.StatusOK), "1 version, the first <time")
	list, _ := charts(&constellation.LaunchHistory{Points: []constellation.LaunchPoint{{CallCounts: constellation.CallCounts{Calls: 1, Errors: 1}}}})
	if want := "1 call, 1 error"; list[0].Now != want {
		t.Errorf("one call that failed is told as %q, want %q", list[0].Now, want)
	}
}
