package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// putBody is a satellite with foo/bar of a version.
func putBody(hash string) string {
	return `{"algorithms":[{"algorithm":"neo/hello/` + hash + `","vanity_url":"foo/bar","replicas":2}]}`
}

// events returns the actions of the audit log, newest first.
func (w *world) events() (actions []string) {
	for _, e := range w.call(w.admin, "GET", "/v1/events?limit=500", "").want(w.t, http.StatusOK)["results"].([]any) {
		actions = append(actions, e.(map[string]any)["action"].(string))
	}
	return actions
}

func TestPutSatellite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const address = "/v1/satellites?name=Edge%20Berlin"
	put := func(status int, result, body string, header ...string) map[string]any {
		t.Helper()
		answer := w.call(w.admin, "PUT", address, body, header...)
		made := answer.want(t, status)
		if made["result"] != result || answer.Header.Get("ETag") == "" || !strings.HasSuffix(answer.Header.Get("Location"), made["id"].(string)) {
			t.Errorf("PUT = %v, %v, want it %s", made, answer.Header, result)
		}
		return made
	}
	w.call(w.admin, "PUT", address, putBody(hash1), "If-Match: *").refused(t, http.StatusPreconditionFailed, 2015, "", "there is no satellite")
	w.call(w.admin, "PUT", address, putBody(hash1), `If-Match: "1"`).refused(t, http.StatusPreconditionFailed, 2015, "", "there is no satellite")
	made := put(http.StatusCreated, "created", putBody(hash1), "If-None-Match: *")
	before := len(w.events())
	again := put(http.StatusOK, "unchanged", putBody(hash1))
	if again["id"] != made["id"] || again["expires_at"] != made["expires_at"] || len(w.events()) != before {
		t.Errorf("the same again = %v, want %v and nothing in the audit log", again, made)
	}
	w.call(w.admin, "PUT", address, putBody(hash2), "If-None-Match: *").refused(t, http.StatusPreconditionFailed, 2015, "", "already")
	w.call(w.admin, "PUT", address, putBody(hash2), `If-Match: "7"`).refused(t, http.StatusPreconditionFailed, 2015, "", "revision 1")
	w.call(w.admin, "PUT", address, putBody(hash2), `If-None-Match: "1"`).refused(t, http.StatusBadRequest, 2015, "", "If-None-Match of a PUT is *")
	changed := put(http.StatusOK, "updated", putBody(hash2), `If-Match: "1"`)
	if version := changed["latest_version"].(map[string]any); version["number"] != 2.0 || changed["id"] != made["id"] {
		t.Errorf("PUT of another version = %v, want version 2", changed)
	}
	// A setting that is left out is not kept, as in a satellite that is made anew.
	const withEnv = `{"algorithms":[{"algorithm":"neo/hello/` + hash2 + `","vanity_url":"foo/bar","replicas":2,"env":{"A":"b"}}],"schedules":[{"name":"n","cron":"0 6 * * *","vanity_url":"foo/bar"}]}`
	put(http.StatusOK, "updated", withEnv)
	put(http.StatusOK, "unchanged", withEnv)
	bare := put(http.StatusOK, "updated", putBody(hash2))["latest_version"].(map[string]any)
	if line := bare["algorithms"].([]any)[0].(map[string]any); line["env"] != nil || len(bare["schedules"].([]any)) != 0 {
		t.Errorf("PUT without settings = %v, want none", bare)
	}
	if renamed := w.call(w.admin, "PUT", "/v1/satellites?name=EDGE%20berlin", putBody(hash2)).want(t, http.StatusOK); renamed["name"] != "EDGE berlin" || renamed["id"] != made["id"] {
		t.Errorf("PUT in another case = %v, want the name as it is sent", renamed)
	}
	w.call(w.admin, "PUT", "/v1/satellites", putBody(hash1)).refused(t, http.StatusBadRequest, 2015, "name", "is missing")
	w.call(w.admin, "PUT", address, `{"algorithms":[{"algorithm":"neo/nothing/`+hash1+`","vanity_url":"a/b","replicas":1}]}`).refused(t, http.StatusUnprocessableEntity, 6001, "algorithms[0].algorithm", "")
	limited := w.key("neo", control.NewKey{Name: "one", SatelliteID: new(made["id"].(string))})
	w.call(limited, "PUT", address, putBody(hash1)).want(t, http.StatusOK)
	theirs := w.call(limited, "PUT", "/v1/satellites?name="+w.satelliteNamed("other"), putBody(hash1))
	nobodys := w.call(limited, "PUT", "/v1/satellites?name=nobodys", putBody(hash1))
	if a, b := checkErrorShape(t, "another's", theirs.Response).Message, checkErrorShape(t, "nobody's", nobodys.Response).Message; a != b || theirs.StatusCode != http.StatusForbidden {
		t.Errorf("a limited key hears %q of another satellite and %q of none, want the same", a, b)
	}
}

// satelliteNamed makes a satellite and returns its name.
func (w *world) satelliteNamed(name string) string { w.satellite(name); return name }

// TestPutsAtOnce: of many who put one name at once, one makes it.
func TestPutsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	var results []string
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			answer := w.call(w.admin, "PUT", "/v1/satellites?name=once", putBody(hash1))
			mu.Lock()
			defer mu.Unlock()
			results = append(results, fmt.Sprint(answer.StatusCode))
		})
	}
	group.Wait()
	slices.Sort(results)
	if want := []string{"200", "200", "200", "200", "200", "201"}; !slices.Equal(results, want) {
		t.Errorf("six puts = %v, want %v", results, want)
	}
}

func TestPutLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	address := satellite + "/launches?name=berlin"
	made := w.call(w.operator, "PUT", address, `{}`).want(t, http.StatusCreated)
	if again := w.call(w.operator, "PUT", address, `{}`); again.want(t, http.StatusOK)["result"] != "unchanged" || again.Header.Get("ETag") != `"1"` {
		t.Errorf("the same again = %s", again.body)
	}
	w.call(w.admin, "POST", satellite+"/versions", putBody(hash2)).want(t, http.StatusCreated)
	moved := w.call(w.operator, "PUT", address, `{"description":"d"}`, `If-Match: "1"`).want(t, http.StatusOK)
	if moved["result"] != "updated" || moved["satellite_version"] != 2.0 || moved["id"] != made["id"] || moved["description"] != "d" {
		t.Errorf("PUT = %v, want it moved to the latest version", moved)
	}
	w.call(w.operator, "PUT", address, `{}`, `If-Match: "1"`).refused(t, http.StatusPreconditionFailed, 2015, "", "revision 2")
	w.call(w.operator, "PUT", address, `{}`, "If-None-Match: *").refused(t, http.StatusPreconditionFailed, 2015, "", "already")
	w.call(w.operator, "PUT", address, `{"satellite_version":9}`).refused(t, http.StatusUnprocessableEntity, 6001, "satellite_version", "")
	w.call(w.viewer, "PUT", address, `{}`).refused(t, http.StatusForbidden, 2001, "", "")
}

// TestDryRun: what is tried answers as the real thing and leaves nothing behind.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	state := func() string {
		all := fmt.Sprint(w.events())
		for _, path := range []string{"/v1/satellites?expand=algorithms", satellite + "/versions", satellite + "/launches"} {
			all += string(w.call(w.admin, "GET", path, "").body)
		}
		return all
	}
	before := state()
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/satellites", satelliteJSON("new"), http.StatusCreated},
		{"PUT", "/v1/satellites?name=new", putBody(hash1), http.StatusCreated},
		{"PUT", "/v1/satellites?name=edge", putBody(hash2), http.StatusOK},
		{"PATCH", satellite, `{"name":"Other"}`, http.StatusOK},
		{"POST", satellite + "/versions", putBody(hash2), http.StatusCreated},
		{"POST", satellite + "/versions", putBody(hash1), http.StatusOK},
		{"PATCH", satellite + "/versions/latest", `{"algorithm":"neo/hello/` + hash2 + `"}`, http.StatusCreated},
		{"POST", satellite + "/launches", `{"satellite_version":1,"name":"munich"}`, http.StatusCreated},
		{"PUT", satellite + "/launches?name=munich", `{}`, http.StatusCreated},
		{"PATCH", launch, `{"description":"d"}`, http.StatusOK},
		{"POST", "/v1/satellites", satelliteJSON("edge"), http.StatusConflict},
		{"POST", satellite + "/versions", `{"algorithms":[{"algorithm":"neo/nothing/` + hash1 + `","vanity_url":"a/b","replicas":1}]}`, http.StatusUnprocessableEntity},
	} {
		join := "?"
		if strings.Contains(r.path, "?") {
			join = "&"
		}
		tried := w.call(w.admin, r.method, r.path+join+"dry_run=true", r.body, "Idempotency-Key: k-"+r.path+r.body[:2])
		if tried.StatusCode != r.status || tried.Header.Get("Dry-Run") != "true" && r.status < 400 || tried.Header.Get("ETag")+tried.Header.Get("Location") != "" {
			t.Errorf("%s %s, tried = %d %v %s, want %d", r.method, r.path, tried.StatusCode, tried.Header, tried.body, r.status)
		}
		if after := state(); after != before {
			t.Errorf("%s %s, tried, leaves\n%s\nwant\n%s", r.method, r.path, after, before)
		}
	}
	// The key was not used up.
	w.call(w.admin, "POST", "/v1/satellites?dry_run=true", satelliteJSON("a"), "Idempotency-Key: once").want(t, http.StatusCreated)
	if real := w.call(w.admin, "POST", "/v1/satellites?dry_run=false", satelliteJSON("b"), "Idempotency-Key: once"); real.want(t, http.StatusCreated)["name"] != "b" || real.Header.Get("Dry-Run") != "" {
		t.Errorf("after a dry run = %s", real.body)
	}
	w.call(w.admin, "POST", "/v1/satellites?dry_run=yes", satelliteJSON("c")).refused(t, http.StatusBadRequest, 2015, "dry_run", "")
	w.call(w.admin, "POST", "/v1/users?dry_run=true", `{"username":"smith","role":"viewer"}`).refused(t, http.StatusBadRequest, 2015, "dry_run", "there is no query parameter")
	w.call(w.viewer, "POST", "/v1/satellites?dry_run=true", satelliteJSON("c")).refused(t, http.StatusForbidden, 2001, "", "")
}

// TestIfMatchRequired: a mothership that wants If-Match takes no change without.
func TestIfMatchRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "berlin")
	w.server.Config.Handler = New(w.control, Options{PublicURL: "https://mothership.example.com", RequireIfMatch: true})
	for _, r := range []route{
		{"PATCH", satellite, "", `{"name":"x"}`}, {"PUT", "/v1/satellites?name=edge", "", putBody(hash2)}, {"POST", satellite + "/versions", "", putBody(hash2)},
		{"PATCH", satellite + "/versions/latest", "", `{"algorithm":"neo/hello/` + hash2 + `"}`}, {"PATCH", launch, "", `{"description":"x"}`},
		{"PUT", satellite + "/launches?name=berlin", "", `{}`}, {"DELETE", launch, "", ""}, {"DELETE", satellite, "", ""},
		{"PATCH", "/v1/algorithms/neo/hello/versions/" + hash2, "", `{"concurrency":2}`},
		{"DELETE", "/v1/algorithms/neo/hello/versions/" + hash2, "", ""},
	} {
		w.call(w.admin, r.method, r.path, r.body).refused(t, http.StatusPreconditionRequired, 2015, "", "send its ETag as If-Match")
	}
	w.call(w.admin, "PATCH", launch, `{"description":"x"}`, `If-Match: "1"`).want(t, http.StatusOK)
	w.call(w.admin, "PUT", "/v1/satellites?name=new", putBody(hash1), "If-None-Match: *").want(t, http.StatusCreated)
	w.call(w.admin, "DELETE", launch, "", "If-Match: *").want(t, http.StatusNoContent)
	w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("free")).want(t, http.StatusCreated)
}

func TestListsAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	first, second := w.satellite("first"), w.satellite("second")
	w.call(w.admin, "POST", second+"/versions", putBody(hash2)).want(t, http.StatusCreated)
	launch := w.launch(first, "berlin")
	w.launch(second, "never")
	r := w.reporter(first, launch)
	r.report()
	names := func(address string) string {
		t.Helper()
		var all []string
		for _, one := range w.call(w.viewer, "GET", address, "").want(t, http.StatusOK)["results"].([]any) {
			all = append(all, one.(map[string]any)["name"].(string))
		}
		return strings.Join(all, " ")
	}
	w.eventually("the report", func() bool { return names("/v1/satellites?status=up") == "first" })
	for address, want := range map[string]string{
		"/v1/satellites?algorithm=neo/hello": "first second", "/v1/satellites?algorithm=NEO/Hello&sort=-name": "second first",
		"/v1/satellites?algorithm=neo/hello/" + hash1: "first", "/v1/satellites?algorithm=neo/hello/" + hash2: "second",
		"/v1/satellites?status=never_seen": "second", "/v1/satellites?status=stale": "", "/v1/satellites?status=up&algorithm=neo/hello/" + hash2: "",
		"/v1/satellites?algorithm=neo/hello&q=sec": "second", "/v1/satellites?algorithm=neo/hello&name=FIRST": "first",
		first + "/launches?status=up": "berlin", first + "/launches?status=never_seen": "", second + "/launches?status=never_seen": "never",
		second + "/launches?algorithm=neo/hello/" + hash1: "never", second + "/launches?algorithm=neo/hello/" + hash2: "",
		first + "/launches?algorithm=neo/hello&status=up": "berlin",
	} {
		if got := names(address); got != want {
			t.Errorf("GET %s = %q, want %q", address, got, want)
		}
	}
	w.call(w.viewer, "GET", "/v1/satellites?algorithm=neo/nothing", "").refused(t, http.StatusUnprocessableEntity, 6001, "algorithm", "there is no algorithm")
	w.call(w.viewer, "GET", "/v1/satellites?algorithm=neo/hello/"+strings.Repeat("7", 40), "").refused(t, http.StatusUnprocessableEntity, 6001, "algorithm", "has no version")
	w.call(w.viewer, "GET", "/v1/satellites?algorithm=hello", "").refused(t, http.StatusUnprocessableEntity, 6001, "algorithm", "OWNER/NAME")
	w.call(w.viewer, "GET", "/v1/satellites?status=fine", "").refused(t, http.StatusBadRequest, 2015, "status", "")
	limited := w.key("neo", control.NewKey{Name: "one", SatelliteID: new(strings.TrimPrefix(first, "/v1/satellites/"))})
	for _, filter := range []string{"neo/nothing", "neo/hello/" + hash2} {
		if list := w.call(limited, "GET", "/v1/satellites?algorithm="+filter, "").want(t, http.StatusOK)["results"].([]any); len(list) != 0 {
			t.Errorf("a limited key's satellites with %s = %v, want none", filter, list)
		}
	}
	// A page's marker is of its filter.
	page := w.call(w.viewer, "GET", "/v1/satellites?algorithm=neo/hello&limit=1", "").want(t, http.StatusOK)
	marker := page["marker"].(string)
	if got := names("/v1/satellites?algorithm=neo/hello&limit=1&marker=" + marker); got != "second" {
		t.Errorf("the second page = %q", got)
	}
	w.call(w.viewer, "GET", "/v1/satellites?limit=1&marker="+marker, "").refused(t, http.StatusBadRequest, 5002, "marker", "")
}

func TestEveryAnswerHasTheVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/v1/account", "/v1/nothing", "/openapi.json", "/v1/satellites?x=y"} {
		if got := w.call(w.viewer, "GET", path, "").Header.Get("Constellation-Api-Version"); got != "1.1" {
			t.Errorf("GET %s: the API's version is %q", path, got)
		}
	}
	info := document(t)["info"].(map[string]any)
	if info["x-api-version"] != "1.1" {
		t.Errorf("the document has the version %v", info["x-api-version"])
	}
}

// TestReadsTellTheirShare: reads say how many may be under way, and the one that is
// refused that none is left.
func TestReadsTellTheirShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := w.call(w.viewer, "GET", "/v1/satellites", "").Header
	if got, want := header.Get("RateLimit-Policy"), `"key";q=8;qu="concurrent-requests", "account";q=32;qu="concurrent-requests"`; got != want {
		t.Errorf("RateLimit-Policy = %q, want %q", got, want)
	}
	if got, want := header.Get("RateLimit"), `"key";r=7, "account";r=31`; got != want {
		t.Errorf("RateLimit = %q, want %q", got, want)
	}
	if got := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("s")).Header.Get("RateLimit"); got != "" {
		t.Errorf("a write, which waits for no turn, says %q", got)
	}
	var shares turns
	p := control.Principal{KeyID: "k", Username: "neo"}
	for range turnsOfKey {
		if _, err := shares.acquire(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	full := http.Header{}
	shares.tell(full, p, ratelimit.Decision{})
	if got, want := full.Get("RateLimit"), `"key";r=0, "account";r=24`; got != want {
		t.Errorf("with every turn taken, RateLimit = %q, want %q", got, want)
	}
}
