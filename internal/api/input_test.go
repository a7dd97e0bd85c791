package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBadInputOfSatellites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := `{"algorithm":"neo/hello/` + hash1 + `","vanity_url":"foo/bar","replicas":2}`
	one := func(algorithm string) string { return `{"name":"s","algorithms":[` + algorithm + `]}` }
	with := func(old, new string) string { return one(strings.Replace(good, old, new, 1)) }
	missing := strings.Repeat("f", 40)
	for _, test := range []struct {
		name, body     string
		status, code   int
		field, message string
	}{
		{"malformed", `{"name":"s",`, 400, 2013, "", "unexpected end of JSON input at line 1, column 12"},
		{"malformed in line 3", "{\n\"name\":\n's'}", 400, 2013, "", "line 3, column 1"},
		{"a list", `[1]`, 422, 6001, "", "the request's body is an object in { }; not a list"},
		{"null", `null`, 422, 6001, "", "the request's body is an object in { }; not null"},
		{"empty object", `{}`, 422, 6001, "name", "name is missing"},
		{"empty object, second field", `{}`, 422, 6001, "algorithms", "algorithms is missing"},
		{"unknown field", `{"name":"s","algorithms":[],"colour":"red"}`, 422, 6001, "colour", "there is no field colour here; there are algorithms, expires_at, labels, name"},
		{"unknown field inside", with(`"replicas"`, `"replica":1,"replicas"`), 422, 6001, "algorithms[0].replica", "there are algorithm, env, env_from, max_replicas, min_replicas, replicas, runtime_revision, vanity_url, volumes, weights"},
		{"name a number", `{"name":7,"algorithms":[]}`, 422, 6001, "name", "name is text in quotes; not 7"},
		{"name a fraction", `{"name":1.5,"algorithms":[]}`, 422, 6001, "name", "name is text in quotes; not 1.5"},
		{"replicas 1.0", with(`:2`, `:1.0`), 422, 6001, "algorithms[0].replicas", "without a point"},
		{"name with a right-to-left override", `{"name":"a\u202egnp.exe","algorithms":[` + good + `]}`, 422, 6001, "name", "turn the direction"},
		{"name with a line separator", `{"name":"a\u2028b","algorithms":[` + good + `]}`, 422, 6001, "name", "control"},
		{"name null", `{"name":null,"algorithms":[]}`, 422, 6001, "name", "name is text in quotes; not null"},
		{"algorithms text", `{"name":"s","algorithms":"all"}`, 422, 6001, "algorithms", `algorithms is a list in [ ]; not "all"`},
		{"algorithms null", `{"name":"s","algorithms":null}`, 422, 6001, "algorithms", `algorithms is a list in [ ]; not null`},
		{"replicas text", with(`:2`, `:"2"`), 422, 6001, "algorithms[0].replicas", `algorithms[0].replicas is a whole number; not "2"`},
		{"replicas a fraction", with(`:2`, `:1.5`), 422, 6001, "algorithms[0].replicas", "is a whole number"},
		{"replicas huge", with(`:2`, `:99999999999999999999`), 422, 6001, "algorithms[0].replicas", "is a whole number"},
		{"replicas -1", with(`:2`, `:-1`), 422, 6001, "algorithms[0].replicas", ""},
		{"replicas 100000", with(`:2`, `:100000`), 422, 6001, "algorithms[0].replicas", ""},
		{"replicas 2^40", with(`:2`, `:1099511627776`), 422, 6001, "algorithms[0].replicas", ""},
		{"replicas missing", with(`,"replicas":2`, ``), 422, 6001, "algorithms[0].replicas", "algorithms[0].replicas is missing"},
		{"expires_at words", `{"name":"s","algorithms":[],"expires_at":"tomorrow"}`, 422, 6001, "expires_at", `expires_at is a time in RFC 3339 form, such as 2027-01-31T12:00:00Z; not "tomorrow"`},
		{"expires_at past", `{"name":"s","algorithms":[` + good + `],"expires_at":"2001-01-01T00:00:00Z"}`, 422, 6001, "expires_at", ""},
		{"expires_at in the year 10000", `{"name":"s","algorithms":[` + good + `],"expires_at":"9999-12-31T23:59:59-23:00"}`, 422, 6001, "expires_at", "9999"},
		{"an empty field name", `{"":1,"name":"s","algorithms":[]}`, 422, 6001, "", `there is no field "" here`},
		{"a field like a path", `{"a.b[0]":1,"name":"s","algorithms":[]}`, 422, 6001, "a.b[0]", "there is no field a.b[0] here"},
		{"thousands of wrong entries", `{"name":"s","algorithms":[` + strings.Repeat("0,", 100000) + `0]}`, 422, 6001, "algorithms[0]", "50 fields need attention"},
		{"no name", `{"name":"","algorithms":[` + good + `]}`, 422, 6001, "name", ""},
		{"300 characters", `{"name":"` + strings.Repeat("é", 300) + `","algorithms":[` + good + `]}`, 422, 6001, "name", "200"},
		{"a control character", `{"name":"a\u0007b","algorithms":[` + good + `]}`, 422, 6001, "name", "control"},
		{"a NUL", `{"name":"a\u0000b","algorithms":[` + good + `]}`, 422, 6001, "name", "NUL"},
		{"a field twice", `{"name":"a","name":"b","algorithms":[]}`, 422, 6001, "name", "name is given twice"},
		{"traversal in vanity URL", with("foo/bar", "foo/../bar"), 422, 6001, "algorithms[0].vanity_url", ""},
		{"one segment", with("foo/bar", "foo"), 422, 6001, "algorithms[0].vanity_url", "two segments"},
		{"leading slash", with("foo/bar", "/foo/bar"), 422, 6001, "algorithms[0].vanity_url", ""},
		{"hyphen first", with("foo/bar", "foo-a/bar"), 422, 6001, "algorithms[0].vanity_url", ""},
		{"script in vanity URL", with("foo/bar", "foo/<script>"), 422, 6001, "algorithms[0].vanity_url", ""},
		{"emoji in vanity URL", with("foo/bar", "foo/🚀"), 422, 6001, "algorithms[0].vanity_url", ""},
		{"traversal in owner", with("neo/", "../"), 422, 6001, "algorithms[0].algorithm", ""},
		{"short reference", with("neo/hello/"+hash1, "neo/hello"), 422, 6001, "algorithms[0].algorithm", "OWNER/NAME/HASH"},
		{"upper-case hash", with(hash1, strings.Repeat("F", 40)), 422, 6001, "algorithms[0].algorithm", "40"},
		{"hash that does not exist", with(hash1, missing), 422, 6001, "algorithms[0].algorithm", hash1},
		{"algorithm that does not exist", with("neo/hello", "neo/nothing"), 422, 6001, "algorithms[0].algorithm", "neo/nothing"},
		{"vanity URL twice", one(good + "," + good), 422, 6001, "algorithms[1].vanity_url", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w.call(w.admin, "POST", "/v1/satellites", test.body).refused(t, test.status, test.code, test.field, test.message)
		})
	}
}

func TestFieldErrorsAreInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	entry := `{"algorithm":"neo/hello/` + hash1 + `","vanity_url":"foo/bar","replicas":"many"}`
	body := w.call(w.admin, "POST", "/v1/satellites", `{"algorithms":[`+strings.Repeat(entry+",", 11)+entry+`]}`).want(t, http.StatusUnprocessableEntity)
	var got []string
	for _, f := range body["error"].(map[string]any)["fields"].([]any) {
		got = append(got, f.(map[string]any)["field"].(string))
	}
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprintf("algorithms[%d].replicas", i))
	}
	if diff := cmp.Diff(append(want, "name"), got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, body := range []string{`{`, `{}`, satelliteJSON(""), strings.Replace(satelliteJSON("s"), hash1, strings.Repeat("f", 40), 1)} {
		if got := w.call(w.admin, "POST", "/v1/satellites", body); got.StatusCode < 400 {
			t.Errorf("POST %s = %d, want a refusal", body, got.StatusCode)
		}
	}
	if list := w.call(w.admin, "GET", "/v1/satellites", "").want(t, http.StatusOK)["results"].([]any); len(list) != 0 {
		t.Errorf("refused satellites are there: %v", list)
	}
	events := w.call(w.admin, "GET", "/v1/events?target_kind=satellite", "").want(t, http.StatusOK)["results"].([]any)
	if len(events) != 0 {
		t.Errorf("refused satellites are in the audit log: %v", events)
	}
}

func TestNamesThatAreFine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"🚀 Edge", `O'Brien "quoted"`, "<script>alert(1)</script>", "../../etc/passwd", strings.Repeat("é", 200), "'; DROP TABLE satellites; --"} {
		body := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON(name)).want(t, http.StatusCreated)
		got := w.call(w.admin, "GET", "/v1/satellites/"+body["id"].(string), "").want(t, http.StatusOK)
		if got["name"] != name {
			t.Errorf("name = %q, want %q", got["name"], name)
		}
	}
}

func TestBadMediaTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml"} {
		w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("x"), "Content-Type: "+contentType).
			refused(t, http.StatusUnsupportedMediaType, 2015, "", contentType)
		w.call(w.admin, "PATCH", satellite, `{"name":"x"}`, "Content-Type: "+contentType).
			refused(t, http.StatusUnsupportedMediaType, 2015, "", contentType)
	}
	w.call(w.admin, "POST", "/v1/satellites", "").refused(t, http.StatusBadRequest, 2015, "", "the request has no body")
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	for _, test := range []struct {
		path           string
		code           int
		field, message string
	}{
		{"/v1/satellites?limit=many", 5003, "limit", `limit is a whole number; not "many"`},
		{"/v1/satellites?limit=0", 5003, "limit", "limit is at least 1; not 0"},
		{"/v1/satellites?limit=-5", 5003, "limit", "limit is at least 1; not -5"},
		{"/v1/satellites?limit=100000", 5003, "limit", "limit is at most 500; not 100000"},
		{"/v1/satellites?colour=red", 2015, "colour", "there is no query parameter colour here; there are q, sort, limit, marker"},
		{"/v1/satellites?marker=nonsense", 5002, "marker", "marker"},
		{"/v1/satellites?sort=colour", 2015, "sort", "created_at"},
		{"/v1/satellites?sort=name;drop", 2015, "", ""},
		{"/v1/satellites?q=" + strings.Repeat("q", 300), 2015, "q", "200"},
		{"/v1/events?since=yesterday", 2015, "since", "since is a time in RFC 3339 form"},
		{satellite + "/versions/0", 2015, "number", "number is at least 1"},
		{satellite + "/versions/one", 2015, "number", `number is a whole number; not "one"`},
		{satellite + "/versions/99999999999", 2015, "number", "number is at most 2147483647"},
		{satellite + "/versions/1/diff", 2015, "from", "from is missing"},
		{satellite + "/versions/1/diff?from=x", 2015, "from", `from is a whole number; not "x"`},
	} {
		w.call(w.admin, "GET", test.path, "").refused(t, http.StatusBadRequest, test.code, test.field, test.message)
	}
}

func TestBadInputOfUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		method, path, body string
		status, code       int
		field, message     string
	}{
		{"POST", "/v1/users", `{"username":"","role":"viewer"}`, 422, 6001, "username", "1 to 63"},
		{"POST", "/v1/users", `{"username":"` + strings.Repeat("a", 300) + `","role":"viewer"}`, 422, 6001, "username", "1 to 63"},
		{"POST", "/v1/users", `{"username":"../etc","role":"viewer"}`, 422, 6001, "username", ""},
		{"POST", "/v1/users", `{"username":"a<script>","role":"viewer"}`, 422, 6001, "username", ""},
		{"POST", "/v1/users", `{"username":"smith","role":"god"}`, 422, 6001, "role", "admin, operator, viewer"},
		{"POST", "/v1/users", `{"username":"smith","role":"viewer","password":"short"}`, 422, 6001, "password", "12 to 256"},
		{"POST", "/v1/users", `{"username":"NEO","role":"viewer"}`, 409, 3003, "", ""},
		{"PATCH", "/v1/users/neo", `{"role":"god"}`, 422, 6001, "role", ""},
		{"PATCH", "/v1/users/neo", `{"disabled":"yes"}`, 422, 6001, "disabled", `disabled is true or false; not "yes"`},
		{"PATCH", "/v1/users/neo", `{"username":"x"}`, 422, 6001, "username", "there are disabled, password, provider, role"},
		{"POST", "/v1/users/morpheus/keys", `{"name":"k","role":"admin"}`, 422, 6001, "role", ""},
		{"POST", "/v1/users/neo/keys", `{"name":""}`, 422, 6001, "name", ""},
		{"POST", "/v1/users/neo/keys", `{"name":"` + strings.Repeat("k", 300) + `"}`, 422, 6001, "name", "200"},
		{"POST", "/v1/users/neo/keys", `{"name":"k","expires_at":"2001-01-01T00:00:00Z"}`, 422, 6001, "expires_at", ""},
		{"POST", "/v1/users/neo/keys", `{"name":"k","satellite_id":"nope"}`, 422, 6001, "satellite_id", ""},
	} {
		w.call(w.admin, test.method, test.path, test.body).refused(t, test.status, test.code, test.field, test.message)
	}
}

func TestBadInputOfLaunches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	launch := w.launch(satellite, "berlin")
	for _, test := range []struct {
		method, path, body string
		status, code       int
		field              string
	}{
		{"POST", satellite + "/launches", `{"satellite_version":7,"name":"x"}`, 422, 6001, "satellite_version"},
		{"POST", satellite + "/launches", `{"satellite_version":-1,"name":"x"}`, 422, 6001, "satellite_version"},
		{"POST", satellite + "/launches", `{"satellite_version":1099511627776,"name":"x"}`, 422, 6001, "satellite_version"},
		{"POST", satellite + "/launches", `{"satellite_version":0,"name":"x"}`, 422, 6001, "satellite_version"},
		{"POST", satellite + "/launches", `{"satellite_version":null}`, 422, 6001, "name"},
		{"POST", satellite + "/launches", `{"satellite_version":1,"name":""}`, 422, 6001, "name"},
		{"POST", satellite + "/launches", `{"satellite_version":1,"name":"` + strings.Repeat("x", 300) + `"}`, 422, 6001, "name"},
		{"POST", satellite + "/launches", fmt.Sprintf(`{"satellite_version":1,"name":"x","description":%q}`, strings.Repeat("d", 100000)), 422, 6001, "description"},
		{"POST", satellite + "/launches", `{"satellite_version":1,"name":"Berlin"}`, 409, 1002, ""},
		{"PATCH", launch, `{"satellite_version":2}`, 422, 6001, "satellite_version"},
		{"PATCH", launch, `{"name":""}`, 422, 6001, "name"},
		{"PATCH", launch, `{"token":"x"}`, 422, 6001, "token"},
	} {
		w.call(w.operator, test.method, test.path, test.body).refused(t, test.status, test.code, test.field, "")
	}
}

func TestDuplicateNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.satellite("Edge Berlin")
	other := w.satellite("other")
	w.call(w.admin, "POST", "/v1/satellites", satelliteJSON("edge BERLIN")).refused(t, http.StatusConflict, 1002, "", "")
	w.call(w.admin, "PATCH", other, `{"name":"Edge Berlin"}`).refused(t, http.StatusConflict, 1002, "", "")
}
