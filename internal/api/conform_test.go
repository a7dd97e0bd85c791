package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// TestMain holds every answer that any test here gets to the document, and
// wants each status of each operation among them.
func TestMain(m *testing.M) {
	code := postgrestest.Main(m)
	whole := flag.Lookup("test.run").Value.String()+flag.Lookup("test.skip").Value.String() == ""
	if code == 0 && whole {
		if missing := contract().unseen(); len(missing) > 0 {
			fmt.Fprintf(os.Stderr, "no test is answered:\n  %s\n", strings.Join(missing, "\n  "))
			code = 1
		}
	}
	os.Exit(code)
}

// conformance compares answers with the OpenAPI document.
type conformance struct {
	document map[string]any
	routes   []conformRoute
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
	seen     map[string]bool // STATUS METHOD PATH that were answered
}

type conformRoute struct {
	method  string
	path    string // as the document has it
	pattern *regexp.Regexp
}

var contract = sync.OnceValue(func() *conformance {
	w := httptest.NewRecorder()
	New(nil, Options{PublicURL: "https://mothership.example.com", Version: "1.2.3"}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	document, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		panic(err)
	}
	c := &conformance{document: document.(map[string]any), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("openapi.json", document); err != nil {
		panic(err)
	}
	parameter := regexp.MustCompile(`\\\{\w+\\\}`)
	for path, item := range c.document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			pattern := "^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), `[^/]+`) + "$"
			c.routes = append(c.routes, conformRoute{strings.ToUpper(method), path, regexp.MustCompile(pattern)})
		}
	}
	// The path with the fewest parameters is meant.
	slices.SortFunc(c.routes, func(a, b conformRoute) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return c
})

// check tells what of an answer the document does not have.
func (c *conformance) check(answer *http.Response, sent string, body []byte) error {
	method := answer.Request.Method
	i := slices.IndexFunc(c.routes, func(r conformRoute) bool {
		return r.method == method && r.pattern.MatchString(answer.Request.URL.EscapedPath())
	})
	if i < 0 || answer.StatusCode == http.StatusMethodNotAllowed { // no operation of ours
		return nil
	}
	route := c.routes[i]
	status := strconv.Itoa(answer.StatusCode)
	response, ok := c.operation(route)["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		return fmt.Errorf("the document does not have %s of %s %s: %.300s", status, method, route.path, body)
	}
	c.mu.Lock()
	c.seen[status+" "+method+" "+route.path] = true
	c.mu.Unlock()
	if answer.StatusCode < 300 {
		if err := c.checkSent(route, sent); err != nil {
			return fmt.Errorf("%s %s takes what the document denies: %w\n%.600s", method, route.path, err, sent)
		}
	}
	headers, _ := response["headers"].(map[string]any)
	for name := range headers {
		if answer.Header.Get("Dry-Run") == "" && answer.Header.Get(name) == "" {
			return fmt.Errorf("%s %s answers %s without the header %s that the document has", method, route.path, status, name)
		}
	}
	if _, ok := response["content"]; !ok {
		if len(body) > 0 {
			return fmt.Errorf("%s %s answers %s with a body that the document does not have: %.300s", method, route.path, status, body)
		}
		return nil
	}
	schema, err := c.schema(route, "/responses/"+status)
	if err != nil {
		return err
	}
	var plain io.Reader = bytes.NewReader(body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if plain, err = gzip.NewReader(plain); err != nil {
			return err
		}
	}
	value, err := jsonschema.UnmarshalJSON(plain)
	if err != nil {
		return fmt.Errorf("%s %s: parse %.300s: %w", method, route.path, body, err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s %s answers %s with what the document denies: %w\n%.600s", method, route.path, status, err, body)
	}
	return nil
}

// operation is a route's in the document.
func (c *conformance) operation(r conformRoute) map[string]any {
	return c.document["paths"].(map[string]any)[r.path].(map[string]any)[strings.ToLower(r.method)].(map[string]any)
}

// checkSent tells what of a body that the server took the document denies.
func (c *conformance) checkSent(route conformRoute, sent string) error {
	if sent == "" || strings.HasSuffix(route.path, "/heartbeat") { // which takes what newer engines say
		return nil
	}
	schema, err := c.schema(route, "/requestBody")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(sent))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// schema compiles the schema of a part of an operation, once.
func (c *conformance) schema(route conformRoute, part string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	location := "openapi.json#/paths/" + escape.Replace(route.path) + "/" + strings.ToLower(route.method) + part + "/content/application~1json/schema"
	if s := c.schemas[location]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(location)
	c.schemas[location] = s
	return s, err
}

// unseen are the statuses of operations that the document has and no test was
// answered.
func (c *conformance) unseen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for _, r := range c.routes {
		for status := range c.operation(r)["responses"].(map[string]any) {
			if name := status + " " + r.method + " " + r.path; !c.seen[name] {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// TestInputsAreClosedAndAnswersOpen looks at which objects of the document may
// have more fields than it says.
func TestInputsAreClosedAndAnswersOpen(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	sent, answered := map[string]bool{}, map[string]bool{}
	for _, op := range eachOperation(doc["paths"].(map[string]any)) {
		reach(op["requestBody"], schemas, sent)
		reach(op["responses"], schemas, answered)
	}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		data, err := json.Marshal(schemas[name])
		if err != nil {
			t.Fatal(err)
		}
		closed := strings.Contains(string(data), `"additionalProperties":false`)
		switch {
		case sent[name] && answered[name]:
			t.Errorf("the schema %s is of requests and of answers", name)
		case answered[name] && closed:
			t.Errorf("the schema %s of an answer lets nothing be added", name)
		case sent[name] && !closed && !strings.HasPrefix(name, "Heartbeat"):
			t.Errorf("the schema %s of a request lets anything be added", name)
		}
	}
}

// TestBoundsAreThoseOfTheServer sends values at and beyond each bound of the
// document.
func TestBoundsAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	long := func(n int) string { return strings.Repeat("é", n) }
	line := func(change string) string {
		return `{"algorithms":[{"algorithm":"neo/hello/` + hash1 + `",` + change + `}]}`
	}
	for _, test := range []struct {
		method, path, within, beyond string
	}{
		{"PATCH", satellite, `{"name":"` + long(200) + `"}`, `{"name":"` + long(201) + `"}`},
		{"PATCH", satellite, `{"name":"a"}`, `{"name":""}`},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/b","replicas":1000`), line(`"vanity_url":"a/b","replicas":1001`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/b","replicas":0`), line(`"vanity_url":"a/b","replicas":-1`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/` + strings.Repeat("b", 198) + `","replicas":1`), line(`"vanity_url":"a/` + strings.Repeat("b", 199) + `","replicas":1`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"A_1/b.c-d/e","replicas":1`), line(`"vanity_url":"a-1/b","replicas":1`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/b","replicas":1,"env_from":[{"secret":"hub","key":"` + strings.Repeat("k", 253) + `","name":"A_1"}]`), line(`"vanity_url":"a/b","replicas":1,"env_from":[{"secret":"hub","key":"k","name":"1A"}]`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/b","replicas":1,"volumes":[{"name":"` + strings.Repeat("v", 50) + `","type":"empty","size":"1Gi","mount_path":"/v"}]`), line(`"vanity_url":"a/b","replicas":1,"volumes":[{"name":"` + strings.Repeat("v", 51) + `","type":"empty","mount_path":"/v"}]`)},
		{"POST", satellite + "/versions", line(`"vanity_url":"a/b","replicas":1,"volumes":[{"name":"v","type":"pvc","source":"models","mount_path":"/v"}]`), line(`"vanity_url":"a/b","replicas":1,"volumes":[{"name":"v","type":"pvc","source":"models","mount_path":"v"}]`)},
		{"POST", satellite + "/keys", `{"name":"k1","rate":{"per_second":1000000,"burst":1000000}}`, `{"name":"k2","rate":{"per_second":1000001}}`},
		{"POST", satellite + "/keys", `{"name":"k3","rate":{"per_second":0.001}}`, `{"name":"k4","rate":{"per_second":0}}`},
		{"POST", satellite + "/launches", `{"name":"l1","description":"` + long(2000) + `"}`, `{"name":"l2","description":"` + long(2001) + `"}`},
		{"POST", satellite + "/launches", `{"name":"l3","satellite_version":1}`, `{"name":"l4","satellite_version":0}`},
		{"POST", "/v1/users", `{"username":"a` + strings.Repeat("b", 62) + `","role":"viewer"}`, `{"username":"a` + strings.Repeat("b", 63) + `","role":"viewer"}`},
		{"POST", "/v1/users", `{"username":"zion","role":"viewer","password":"` + strings.Repeat("p", 12) + `"}`, `{"username":"zee","role":"viewer","password":"` + strings.Repeat("p", 11) + `"}`},
		{"POST", "/v1/users", `{"username":"link","role":"viewer","password":"` + strings.Repeat("p", 256) + `"}`, `{"username":"zee","role":"viewer","password":"` + strings.Repeat("p", 257) + `"}`},
		{"POST", "/v1/users", `{"username":"seraph","role":"operator"}`, `{"username":"zee","role":"agent"}`},
	} {
		if got := w.call(w.admin, test.method, test.path, test.within); got.StatusCode >= 300 {
			t.Errorf("%s %s with %.80s = %d %s, want it taken", test.method, test.path, test.within, got.StatusCode, got.body)
		}
		got := w.call(w.admin, test.method, test.path, test.beyond)
		if got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s %s with %.80s = %d %s, want 422", test.method, test.path, test.beyond, got.StatusCode, got.body)
		}
		i := slices.IndexFunc(contract().routes, func(r conformRoute) bool { return r.method == test.method && r.pattern.MatchString(test.path) })
		if err := contract().checkSent(contract().routes[i], test.beyond); err == nil {
			t.Errorf("the document allows %.80s in %s %s, which the server refuses", test.beyond, test.method, test.path)
		}
	}
}

// TestParametersAreThoseOfTheServer sends parameters at and beyond each bound
// of the document.
func TestParametersAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("Edge")
	launch := w.launch(satellite, "one")
	id := strings.TrimPrefix(satellite, "/v1/satellites/")
	long := func(n int) string { return strings.Repeat("n", n) }
	accents := func(n int) string { return strings.Repeat("%C3%A9", n) }
	const algorithm = "/v1/algorithms/neo/hello"
	for _, test := range []struct{ within, beyond string }{
		{"/v1/satellites/" + strings.ToUpper(id), "/v1/satellites/" + id[:35]},
		{"/v1/satellites/" + id, "/v1/satellites/urn:uuid:" + id},
		{launch, satellite + "/launches/7"},
		{algorithm, "/v1/algorithms/neo/-hello"},
		{algorithm, "/v1/algorithms/neo/hello" + long(63)},
		{algorithm, "/v1/algorithms/n_-o/hello"},
		{algorithm + "/versions/" + hash1, algorithm + "/versions/" + hash1 + "1"},
		{algorithm + "/versions/" + hash1, algorithm + "/versions/" + strings.Repeat("A", 40)},
		{"/v1/users/neo", "/v1/users/.neo"},
		{"/v1/users/neo", "/v1/users/neo" + long(63)},
		{satellite + "/versions/1", satellite + "/versions/0"},
		{satellite + "/versions/1", satellite + "/versions/2147483648"},
		{satellite + "/versions/1/diff?from=1", satellite + "/versions/1/diff?from=0"},
		{"/v1/satellites?q=" + accents(200), "/v1/satellites?q=" + accents(201)},
		{"/v1/satellites?q=a", "/v1/satellites?q="},
		{"/v1/satellites?name=" + accents(200), "/v1/satellites?name=" + accents(201)},
		{"/v1/satellites?limit=1", "/v1/satellites?limit=0"},
		{"/v1/satellites?limit=500", "/v1/satellites?limit=501"},
		{"/v1/satellites?sort=-updated_at", "/v1/satellites?sort=colour"},
		{"/v1/events?sort=-at", "/v1/events?sort=-name"},
		{"/v1/satellites?expand=algorithms", "/v1/satellites?expand=changes"},
		{"/v1/events?actor=" + accents(200), "/v1/events?actor=" + accents(201)},
		{"/v1/events?action=" + long(200), "/v1/events?action=" + long(201)},
		{"/v1/events?target_kind=" + long(200), "/v1/events?target_kind=" + long(201)},
		{"/v1/events?target_id=" + long(200), "/v1/events?target_id=" + long(201)},
		{"/v1/events?since=2026-01-31T12:00:00Z", "/v1/events?since=yesterday"},
		{launch + "/history?resolution=1h", launch + "/history?resolution=2h"},
		{launch + "?wait_for=running&timeout=1s", launch + "?wait_for=running&timeout=121s"},
		{launch + "?wait_for=running&version=1&timeout=1", launch + "?wait_for=running&version=0"},
		{launch + "?wait_for=running&min_version=1&timeout=1", launch + "?wait_for=running&timeout=1&min_version=0"},
		{launch + "?wait_for=running&timeout=1", launch + "?wait_for=walking"},
		{launch + "/history?algorithm=foo/bar", launch + "/history?algorithm="},
	} {
		if got := w.call(w.admin, "GET", test.within, ""); got.StatusCode != http.StatusOK {
			t.Errorf("GET %.120s = %d %s, want it taken", test.within, got.StatusCode, got.body)
		}
		if err := contract().checkParameters(t, test.within); err != nil {
			t.Errorf("the document denies GET %.120s: %v", test.within, err)
		}
		got := w.call(w.admin, "GET", test.beyond, "")
		if got.StatusCode != http.StatusBadRequest && got.StatusCode != http.StatusNotFound && got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("GET %.120s = %d %s, want 400, 404 or 422", test.beyond, got.StatusCode, got.body)
		}
		if err := contract().checkParameters(t, test.beyond); err == nil {
			t.Errorf("the document allows GET %.120s, which the server refuses", test.beyond)
		}
	}
	for size, want := range map[int]int{255: http.StatusCreated, 256: http.StatusBadRequest} {
		w.call(w.operator, "POST", satellite+"/launches", fmt.Sprintf(`{"name":"%d"}`, size), "Idempotency-Key: "+long(size)).want(t, want)
	}
	if schema := contract().parameter("POST", "/v1/satellites/{satellite_id}/launches", "header", "Idempotency-Key"); fmt.Sprint(schema["maxLength"]) != "255" {
		t.Errorf("the document's Idempotency-Key is %v, want at most 255 characters", schema)
	}
}

// checkParameters tells what of the path and query of a GET the document denies.
func (c *conformance) checkParameters(t *testing.T, address string) error {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	i := slices.IndexFunc(c.routes, func(r conformRoute) bool {
		return r.method == http.MethodGet && strings.Count(r.path, "/") == strings.Count(u.Path, "/") && r.pattern.MatchString(u.EscapedPath())
	})
	route, parts := c.routes[i].path, strings.Split(u.Path, "/")
	for i, part := range strings.Split(route, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			errs = append(errs, c.checkParameter(t, c.parameter("GET", route, "path", strings.TrimSuffix(name, "}")), parts[i]))
		}
	}
	for name, values := range u.Query() {
		errs = append(errs, c.checkParameter(t, c.parameter("GET", route, "query", name), values[0]))
	}
	return errors.Join(errs...)
}

// parameter is the schema of a parameter in the document.
func (c *conformance) parameter(method, path, in, name string) map[string]any {
	op := c.document["paths"].(map[string]any)[path].(map[string]any)[strings.ToLower(method)].(map[string]any)
	for _, p := range op["parameters"].([]any) {
		if p := p.(map[string]any); p["in"] == in && p["name"] == name {
			return p["schema"].(map[string]any)
		}
	}
	panic(method + " " + path + " has no parameter " + name + " in its " + in)
}

func (c *conformance) checkParameter(t *testing.T, schema map[string]any, text string) error {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("parameter.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("parameter.json")
	if err != nil {
		t.Fatal(err)
	}
	var value any = text
	if schema["type"] == "integer" {
		value = json.Number(text)
	}
	return compiled.Validate(value)
}
