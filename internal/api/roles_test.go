package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// route is an operation of the document, with what to send it.
type route struct {
	method, path, role, body string
}

// routes reads every operation from the document, its parameters filled in
// with things that exist, its body with the document's example.
func routes(t *testing.T, w *world) []route {
	t.Helper()
	satellite := w.satellite("routes")
	launch := w.launch(satellite, "routes")
	if _, err := w.control.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "robot", Kind: constellation.KindService, Role: constellation.RoleViewer}); err != nil {
		t.Fatal(err)
	}
	rule, err := w.control.CreateTokenRule(t.Context(), control.Shell(), constellation.TokenRule{
		Name: "routes", Issuer: "https://ci.example.com", Audience: "m", Username: "robot", Role: constellation.RoleViewer, Conditions: []constellation.ClaimCondition{{Claim: "sub", Value: "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	destination := w.destination("routes")
	told := w.call(w.admin, "POST", "/v1/notifications/rules", fmt.Sprintf(`{"name":"routes","destinations":[%q]}`, destination)).want(t, http.StatusCreated)["id"].(string)
	delivery := w.call(w.admin, "POST", "/v1/notifications/destinations/"+destination+"/test", "").want(t, http.StatusCreated)["id"].(string)
	mirror, err := w.control.CreateMirror(t.Context(), control.Shell(), "neo/hello", "routes.example.com/a", control.MirrorChange{Tags: &[]string{"v*"}})
	if err != nil {
		t.Fatal(err)
	}
	registry, err := w.control.CreateForeignRegistry(t.Context(), control.Shell(), "routes.example.com", control.RegistryChange{})
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer(
		"/v1/satellites/{satellite_id}/launches/{launch_id}", launch, "/v1/satellites/{satellite_id}", satellite,
		"{destination_id}", destination, "{notification_rule_id}", told, "{delivery_id}", delivery,
		"{rule_id}", rule.ID, "{registry_id}", registry.ID, "{mirror_id}", mirror.ID, "{account}", "robot", "{username}", "neo", "{owner}", "neo", "{name}", "hello", "{git_hash}", hash1, "{number}", "1",
		"{key_id}", "00000000-0000-4000-8000-000000000000",
	)
	var list []route
	for path, item := range document(t)["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			op := op.(map[string]any)
			if op["operationId"] == "heartbeat" || op["operationId"] == "exchangeToken" { // takes no key: see TestHeartbeat…
				continue
			}
			r := route{method: strings.ToUpper(method), path: fill.Replace(path), role: op["x-role"].(string)}
			if strings.HasSuffix(path, "/diff") {
				r.path += "?from=1"
			}
			if path == "/v1/retention" && r.method != "GET" {
				r.path += "?scope=neo"
			}
			if body, ok := op["requestBody"].(map[string]any); ok {
				media := body["content"].(map[string]any)["application/json"].(map[string]any)
				data, _ := json.Marshal(media["example"])
				r.body = string(data)
			}
			list = append(list, r)
		}
	}
	return list
}

func TestEveryRouteWantsAKeyAndARole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unknown := auth.NewKey()
	keys := map[string]string{"viewer": w.viewer, "operator": w.operator, "admin": w.admin}
	for _, r := range routes(t, w) {
		missing := w.call("", r.method, r.path, r.body)
		missing.refused(t, http.StatusUnauthorized, 2001, "", "API key is required")
		if missing.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: 401 without WWW-Authenticate", r.method, r.path)
		}
		w.call("nonsense", r.method, r.path, r.body).refused(t, http.StatusUnauthorized, 2002, "", "")
		w.call(unknown, r.method, r.path, r.body).refused(t, http.StatusUnauthorized, 2002, "", "")
		for role, key := range keys {
			least := constellation.Role(r.role)
			if least == owner { // the path names neo, whose is the admin's key
				least = admin
			}
			may := constellation.Role(role).Rank() >= least.Rank()
			switch {
			case !may:
				w.call(key, r.method, r.path, r.body).refused(t, http.StatusForbidden, 2001, "", "")
			case r.method == http.MethodGet:
				w.call(key, r.method, r.path, r.body).want(t, http.StatusOK)
			}
		}
	}
}

func TestAuthorizationForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, header := range []string{"Bearer " + w.viewer, "Simple " + w.viewer, w.viewer, "simple " + w.viewer} {
		body := w.call("", "GET", "/v1/account", "", "Authorization: "+header).want(t, http.StatusOK)
		if body["username"] != "morpheus" || body["role"] != "viewer" || body["key_id"] == "" || body["satellite_id"] != nil {
			t.Errorf("GET /v1/account = %v", body)
		}
	}
	w.call("", "GET", "/v1/account", "", "Authorization: Basic bmVvOng=").refused(t, http.StatusUnauthorized, 2002, "", "Bearer KEY")
}

func TestKeysThatDoNotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()

	soon := time.Now().Add(time.Hour)
	expiring := w.key("neo", control.NewKey{Name: "expiring", ExpiresAt: &soon})
	w.call(expiring, "GET", "/v1/satellites", "").want(t, http.StatusOK)
	w.clock.Store(7200)
	w.call(expiring, "GET", "/v1/satellites", "").refused(t, http.StatusUnauthorized, 2002, "", "expired")
	w.clock.Store(0)

	secret, key, err := w.control.CreateKey(ctx, control.Shell(), "neo", control.NewKey{Name: "revoked"})
	if err != nil {
		t.Fatal(err)
	}
	w.call(secret, "GET", "/v1/satellites", "").want(t, http.StatusOK)
	w.call(w.admin, "DELETE", "/v1/users/neo/keys/"+key.ID, "").want(t, http.StatusNoContent)
	w.call(secret, "GET", "/v1/satellites", "").refused(t, http.StatusUnauthorized, 2002, "", "revoked")

	w.call(w.admin, "PATCH", "/v1/users/trinity", `{"disabled":true}`).want(t, http.StatusOK)
	w.call(w.operator, "GET", "/v1/satellites", "").refused(t, http.StatusUnauthorized, 2002, "", "disabled")

	mistyped := w.admin[:len(w.admin)-1] + "0"
	if mistyped == w.admin {
		mistyped = w.admin[:len(w.admin)-1] + "1"
	}
	w.call(mistyped, "GET", "/v1/satellites", "").refused(t, http.StatusUnauthorized, 2002, "", "")
	w.call(strings.Repeat("k", 8000), "GET", "/v1/satellites", "").refused(t, http.StatusUnauthorized, 2002, "", "")
}

func TestKeyOfAnotherSatellite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, other := w.satellite("mine"), w.satellite("other")
	launch := w.launch(other, "theirs")
	key := w.key("neo", control.NewKey{Name: "limited", SatelliteID: new(strings.TrimPrefix(mine, "/v1/satellites/"))})

	w.call(key, "GET", mine, "").want(t, http.StatusOK)
	body := w.call(key, "GET", "/v1/account", "").want(t, http.StatusOK)
	if body["satellite_id"] != strings.TrimPrefix(mine, "/v1/satellites/") {
		t.Errorf("GET /v1/account satellite_id = %v", body["satellite_id"])
	}
	for _, r := range []route{
		{"GET", other, "", ""}, {"PATCH", other, "", `{"name":"stolen"}`}, {"DELETE", other, "", ""},
		{"GET", other + "/versions", "", ""}, {"GET", other + "/keys", "", ""}, {"POST", other + "/keys", "", `{"name":"k"}`},
		{"GET", other + "/launches", "", ""}, {"GET", launch, "", ""}, {"GET", launch + "/plan", "", ""},
		{"POST", "/v1/satellites", "", satelliteJSON("third")}, {"POST", "/v1/users", "", `{"username":"smith","role":"admin"}`},
	} {
		got := w.call(key, r.method, r.path, r.body)
		if got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s with another satellite's key = %d %s, want 403 or 404", r.method, r.path, got.StatusCode, got.body)
			continue
		}
		checkErrorShape(t, r.method+" "+r.path, got.Response)
	}
	list := w.call(key, "GET", "/v1/satellites", "").want(t, http.StatusOK)["results"].([]any)
	if len(list) != 1 {
		t.Errorf("GET /v1/satellites with a limited key gave %d satellites, want its own", len(list))
	}
}

// TestLimitedKeyNamesWhatItsSatelliteHas: an admin key of one satellite brings
// no algorithm of others into it, and no answer tells it what there is
// elsewhere.
func TestLimitedKeyNamesWhatItsSatelliteHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, other := w.satellite("mine"), w.satellite("other")
	p, err := w.control.AuthenticateKey(t.Context(), w.admin, "")
	if err != nil {
		t.Fatal(err)
	}
	push := control.Push{Ref: constellation.AlgorithmRef{Owner: "secret", Name: "model", Hash: hash2}, Image: w.content.image("secret"), Runtime: constellation.Runtime{}.WithDefaults()}
	if _, _, err := w.control.PushAlgorithm(t.Context(), p, push, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	key := w.key("neo", control.NewKey{Name: "limited", SatelliteID: new(strings.TrimPrefix(mine, "/v1/satellites/"))})
	said := map[string]bool{}
	for _, reference := range []string{"secret/model/" + hash2, "secret/model/" + hash1, "secret/nothing/" + hash1} {
		got := w.call(key, "POST", mine+"/versions", `{"algorithms":[{"algorithm":"`+reference+`","vanity_url":"a/b","replicas":1}]}`)
		got.refused(t, http.StatusUnprocessableEntity, 6001, "algorithms[0].algorithm", "no version of this satellite has an algorithm")
		said[strings.NewReplacer("nothing", "model").Replace(regexp.MustCompile(`"id":"[^"]*"`).ReplaceAllString(string(got.body), ""))] = true
	}
	if len(said) != 1 {
		t.Errorf("what exists and what does not are told apart: %v", said)
	}
	got := w.call(key, "POST", mine+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+strings.Repeat("3", 40)+`","vanity_url":"a/b","replicas":1}]}`)
	got.refused(t, http.StatusUnprocessableEntity, 6001, "algorithms[0].algorithm", "neo/hello has no version")
	if strings.Contains(string(got.body), hash1) || strings.Contains(string(got.body), hash2) {
		t.Errorf("the error tells a hash: %s", got.body)
	}
	// Another version of an algorithm that the satellite has is its to run.
	w.call(key, "POST", mine+"/versions", `{"algorithms":[{"algorithm":"neo/hello/`+hash2+`","vanity_url":"foo/bar","replicas":1}]}`).want(t, http.StatusCreated)

	// Satellites and launches of others are told as those that do not exist.
	const none = "00000000-0000-0000-0000-000000000000"
	launch := strings.TrimPrefix(w.launch(other, "theirs"), other)
	for _, r := range []struct{ method, theirs, nothing, body string }{
		{"GET", mine + launch, mine + "/launches/" + none, ""},
		{"DELETE", mine + launch, mine + "/launches/" + none, ""},
		{"GET", mine + launch + "/plan", mine + "/launches/" + none + "/plan", ""},
		{"GET", other, "/v1/satellites/" + none, ""},
	} {
		theirs, nothing := w.call(key, r.method, r.theirs, r.body), w.call(key, r.method, r.nothing, r.body)
		if theirs.StatusCode != nothing.StatusCode || checkErrorShape(t, r.theirs, theirs.Response).Message != strings.ReplaceAll(checkErrorShape(t, r.nothing, nothing.Response).Message, none, launch[len(launch)-36:]) {
			t.Errorf("%s %s = %d %s, and of nothing %d %s; want the same", r.method, r.theirs, theirs.StatusCode, theirs.body, nothing.StatusCode, nothing.body)
		}
	}
	for _, id := range []string{strings.TrimPrefix(other, "/v1/satellites/"), none} {
		w.call(key, "POST", "/v1/users/neo/keys", `{"name":"k","satellite_id":"`+id+`"}`).refused(t, http.StatusForbidden, 2001, "", "is limited to satellite")
	}
}

func TestASatellitesOwnKeyIsNoAPIKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	key := w.call(w.admin, "POST", satellite+"/keys", `{"name":"caller"}`).want(t, http.StatusCreated)["key"].(string)
	w.call(key, "GET", satellite, "").refused(t, http.StatusUnauthorized, 2002, "", "")
}

func TestLaunchOfAnotherSatellite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, other := w.satellite("mine"), w.satellite("other")
	id := strings.TrimPrefix(w.launch(other, "theirs"), other)
	for _, r := range []route{
		{"GET", mine + id, "", ""}, {"PATCH", mine + id, "", `{"name":"x"}`}, {"DELETE", mine + id, "", ""}, {"GET", mine + id + "/plan", "", ""},
	} {
		w.call(w.admin, r.method, r.path, r.body).refused(t, http.StatusNotFound, 1000, "", "launch")
	}
	w.call(w.admin, "GET", other+id, "").want(t, http.StatusOK)
}

func TestUnknownThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	const uuid = "00000000-0000-4000-8000-000000000000"
	for _, test := range []struct {
		method, path, body string
		code               int
	}{
		{"GET", "/v1/satellites/" + uuid, "", 1000},
		{"GET", "/v1/satellites/not-a-uuid", "", 1000},
		{"GET", "/v1/satellites/..%2f..%2fetc%2fpasswd", "", 1000},
		{"GET", "/v1/satellites/" + strings.Repeat("a", 3000), "", 1000},
		{"PATCH", "/v1/satellites/" + uuid, `{"name":"x"}`, 1000},
		{"DELETE", "/v1/satellites/" + uuid, "", 1000},
		{"GET", satellite + "/versions/2", "", 1000},
		{"GET", satellite + "/versions/2147483647", "", 1000},
		{"GET", satellite + "/versions/1/diff?from=7", "", 1000},
		{"DELETE", satellite + "/keys/" + uuid, "", 1000},
		{"DELETE", satellite + "/keys/x", "", 1000},
		{"GET", satellite + "/launches/" + uuid, "", 1000},
		{"GET", satellite + "/launches/x/plan", "", 1000},
		{"GET", "/v1/algorithms/neo/nothing", "", 1000},
		{"GET", "/v1/algorithms/..%2f..%2fetc/passwd", "", 1000},
		{"GET", "/v1/algorithms/neo/hello/versions/" + strings.Repeat("f", 40), "", 1000},
		{"GET", "/v1/algorithms/neo/hello/versions/HEAD", "", 1000},
		{"GET", "/v1/users/nobody", "", 3000},
		{"PATCH", "/v1/users/%3Cscript%3E", `{"role":"viewer"}`, 3000},
		{"DELETE", "/v1/users/nobody", "", 3000},
		{"GET", "/v1/users/nobody/keys", "", 3000},
		{"DELETE", "/v1/users/neo/keys/" + uuid, "", 1000},
	} {
		w.call(w.admin, test.method, test.path, test.body).refused(t, http.StatusNotFound, test.code, "", "")
	}
	body := w.call(w.admin, "GET", "/v1/algorithms/NEO/Hello", "").want(t, http.StatusOK)
	if body["owner"] != "neo" || body["name"] != "hello" {
		t.Errorf("GET /v1/algorithms/NEO/Hello = %v, want neo/hello", fmt.Sprint(body))
	}
}

// TestKeyWithAScope: a key with a scope does nothing at any route, says what
// it may do, and is shown with its scope.
func TestKeyWithAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.call(w.admin, "POST", "/v1/users/neo/keys", `{"name":"ci","scope":"push:Trinity/Hello push:neo/*"}`).want(t, http.StatusCreated)
	const scope = "push:neo/* push:trinity/hello"
	key := made["key"].(string)
	if made["scope"] != scope || made["role"] != "admin" {
		t.Errorf("POST …/keys = %v, want the scope %q", made, scope)
	}
	for _, r := range routes(t, w) {
		if r.path == "/v1/account" {
			continue
		}
		w.call(key, r.method, r.path, r.body).refused(t, http.StatusForbidden, 2001, "", "it may push to and pull from neo/* and trinity/hello, and nothing else")
	}
	w.call(key, "POST", "/v1/users", `{"username":"smith","role":"admin"}`, "Idempotency-Key: once").refused(t, http.StatusForbidden, 2001, "", "nothing else")
	if body := w.call(key, "GET", "/v1/account", "").want(t, http.StatusOK); body["scope"] != scope {
		t.Errorf("GET /v1/account = %v, want the scope", body)
	}
	results := w.call(w.admin, "GET", "/v1/users/neo/keys?q=ci", "").want(t, http.StatusOK)["results"].([]any)
	if len(results) != 1 || results[0].(map[string]any)["scope"] != scope {
		t.Errorf("GET …/keys = %v, want one with the scope", results)
	}
	events := w.call(w.admin, "GET", "/v1/events?action=api_key.create&expand=changes&limit=1", "").want(t, http.StatusOK)["results"].([]any)
	if after := events[0].(map[string]any)["after"].(map[string]any); after["scope"] != scope {
		t.Errorf("the audit log has %v, want the scope", after)
	}
	if body := w.call(w.admin, "GET", "/v1/account", "").want(t, http.StatusOK); body["scope"] != nil {
		t.Errorf("GET /v1/account without a scope = %v, want null", body["scope"])
	}

	satellite := strings.TrimPrefix(w.satellite("s"), "/v1/satellites/")
	for body, says := range map[string]string{
		`{"name":"k","scope":""}`:                                              "leave it out",
		`{"name":"k","scope":"pull:neo/*"}`:                                    "push:OWNER/NAME",
		`{"name":"k","scope":"push:constellation/system"}`:                     "push:OWNER/NAME",
		`{"name":"k","scope":"push:neo/*","role":"operator"}`:                  "pushing needs the role admin",
		`{"name":"k","scope":"push:neo/*","satellite_id":"` + satellite + `"}`: "not to both",
	} {
		w.call(w.admin, "POST", "/v1/users/neo/keys", body).refused(t, http.StatusUnprocessableEntity, 6001, "scope", says)
	}
	w.call(w.operator, "POST", "/v1/users/trinity/keys", `{"name":"k","scope":"push:neo/*"}`).refused(t, http.StatusUnprocessableEntity, 6001, "scope", "role operator")
}
