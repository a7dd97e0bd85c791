package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

const (
	hash1 = "1111111111111111111111111111111111111111"
	hash2 = "2222222222222222222222222222222222222222"
)

// world is a mothership's API over a real database, with an account of each
// role and two versions of the algorithm neo/hello.
type world struct {
	t       *testing.T
	server  *httptest.Server
	control *control.Service
	clock   atomic.Int64 // seconds that the service's clock is ahead
	content content
	url     string // of the database

	admin, operator, viewer string // API keys
}

// content is a registry's manifests, by digest.
type content map[string][]byte

// Manifest is part of bundle.Content.
func (c content) Manifest(_ context.Context, repository, digest string) ([]byte, error) {
	data, ok := c[digest]
	if !ok {
		return nil, fmt.Errorf("no manifest %s@%s", repository, digest)
	}
	return data, nil
}

// image puts a manifest of its own into the content.
func (c content) image(seed string) constellation.Image {
	empty := bundle.Digest([]byte(seed))
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, empty, len(seed))
	digest := bundle.Digest([]byte(manifest))
	c[digest] = []byte(manifest)
	return constellation.Image{
		Repository: "neo/hello", Digest: digest, MediaType: "application/vnd.oci.image.manifest.v1+json",
		Size: int64(len(manifest)), Platforms: []string{"linux/amd64"},
	}
}

func newWorld(t *testing.T, changes ...func(*control.Options)) *world {
	t.Helper()
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, content: content{}, url: postgrestest.URL(t)}
	db, err := postgres.Open(t.Context(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	system := w.content.image("system")
	options := control.Options{
		DB: db, Sealer: sealer, Content: w.content, PublicURL: "https://mothership.example.com", Version: "1.2.3",
		SystemImage: func(context.Context) (bundle.System, error) {
			return bundle.System{Version: "1.2.3", Image: bundle.Image{
				Repository: "constellation/system", Digest: system.Digest, MediaType: system.MediaType, Platforms: system.Platforms,
			}}, nil
		},
		Notifications:   control.Notifications{Mail: true, Deliver: func(context.Context, *postgres.DB, string) error { return nil }},
		StartCollection: func(context.Context, *postgres.DB, string) error { return nil },
		StartImport:     func(context.Context, *postgres.DB, string, int) error { return nil },
		CheckRegistry:   func(context.Context, string) error { return nil },
		Now:             func() time.Time { return time.Now().Add(time.Duration(w.clock.Load()) * time.Second) },
	}
	for _, change := range changes {
		change(&options)
	}
	w.control = control.New(options)
	w.server = httptest.NewServer(New(w.control, Options{PublicURL: "https://mothership.example.com", Version: "1.2.3"}))
	t.Cleanup(w.server.Close)
	w.admin = w.account("neo", constellation.RoleAdmin)
	w.operator = w.account("trinity", constellation.RoleOperator)
	w.viewer = w.account("morpheus", constellation.RoleViewer)
	for _, hash := range []string{hash1, hash2} {
		w.push(hash)
	}
	return w
}

// account makes an account and returns a key of it.
func (w *world) account(username string, role constellation.Role) string {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.control.CreateAccount(ctx, control.Shell(), control.NewAccount{Username: username, Role: role}); err != nil {
		w.t.Fatalf("make the account %s: %v", username, err)
	}
	return w.key(username, control.NewKey{Name: "test"})
}

func (w *world) key(username string, n control.NewKey) string {
	w.t.Helper()
	secret, _, err := w.control.CreateKey(w.t.Context(), control.Shell(), username, n)
	if err != nil {
		w.t.Fatalf("make a key of %s: %v", username, err)
	}
	return secret
}

// push registers a version of neo/hello, as the registry does.
func (w *world) push(hash string) {
	w.t.Helper()
	p, err := w.control.AuthenticateKey(w.t.Context(), w.admin, "")
	if err != nil {
		w.t.Fatalf("authenticate: %v", err)
	}
	push := control.Push{
		Ref:   constellation.AlgorithmRef{Owner: "neo", Name: "hello", Hash: hash},
		Image: w.content.image(hash), Runtime: constellation.Runtime{}.WithDefaults(),
	}
	if _, _, err := w.control.PushAlgorithm(w.t.Context(), p, push, func(context.Context) error { return nil }); err != nil {
		w.t.Fatalf("push %s: %v", hash, err)
	}
}

// answer is what came back.
type answer struct {
	*http.Response
	body []byte
}

// call sends a request; header is Name: Value lines.
func (w *world) call(key, method, path, body string, header ...string) answer {
	w.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(data)))
	if err := contract().check(resp, body, data); err != nil {
		w.t.Error(err)
	}
	return answer{resp, data}
}

// want fails the test unless the answer has the status; it returns the body.
func (a answer) want(t *testing.T, status int) map[string]any {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s = %d %s, want %d", a.Request.Method, a.Request.URL.Path, a.StatusCode, a.body, status)
	}
	var body map[string]any
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &body); err != nil {
			t.Fatalf("%s %s: parse %s: %v", a.Request.Method, a.Request.URL.Path, a.body, err)
		}
	}
	return body
}

// refused fails the test unless the answer is that error; field "" is any.
func (a answer) refused(t *testing.T, status, code int, field, message string) {
	t.Helper()
	what := a.Request.Method + " " + a.Request.URL.Path
	if a.StatusCode != status {
		t.Errorf("%s = %d %s, want %d", what, a.StatusCode, a.body, status)
		return
	}
	e := checkErrorShape(t, what, a.Response)
	if e.Code != code {
		t.Errorf("%s: code = %d, want %d (%s)", what, e.Code, code, e.Message)
	}
	said := e.Message
	found := field == ""
	for _, f := range e.Fields {
		said += "\n" + f.Field + ": " + f.Message
		found = found || f.Field == field
	}
	if !found || !strings.Contains(said, message) {
		t.Errorf("%s: error %s\nwant the field %q and %q in it", what, said, field, message)
	}
}

// satellite makes a satellite with foo/bar and returns its path.
func (w *world) satellite(name string) string {
	w.t.Helper()
	body := w.call(w.admin, "POST", "/v1/satellites", satelliteJSON(name)).want(w.t, http.StatusCreated)
	return "/v1/satellites/" + body["id"].(string)
}

func satelliteJSON(name string) string {
	data, _ := json.Marshal(apiv1.SatelliteCreate{Name: name, Algorithms: []apiv1.SatelliteAlgorithm{{
		Algorithm: "neo/hello/" + hash1, VanityURL: "foo/bar", Replicas: 2,
	}}})
	return string(data)
}

// launch makes a launch of version 1 and returns its path.
func (w *world) launch(satellite, name string) string {
	w.t.Helper()
	body := w.call(w.operator, "POST", satellite+"/launches", `{"satellite_version":1,"name":"`+name+`"}`).want(w.t, http.StatusCreated)
	return satellite + "/launches/" + body["id"].(string)
}

// checkErrorShape wants exactly {"error":{"id","code","reason","message","fields"?}}.
func checkErrorShape(t *testing.T, what string, resp *http.Response) apiv1.Error {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: read the answer: %v", what, err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type = %q, want application/json", what, got)
	}
	var raw map[string]map[string]any
	var body apiv1.ErrorBody
	if json.Unmarshal(data, &raw) != nil || json.Unmarshal(data, &body) != nil || len(raw) != 1 {
		t.Errorf("%s: the answer %.200s is not the error form", what, data)
		return apiv1.Error{}
	}
	for name := range raw["error"] {
		switch name {
		case "id", "code", "reason", "message", "fields":
		default:
			t.Errorf("%s: the error has a field %q", what, name)
		}
	}
	if body.Error.ID == "" || body.Error.Code == 0 || body.Error.Reason == "" || body.Error.Message == "" {
		t.Errorf("%s: the error %.200s lacks id, code, reason or message", what, data)
	}
	return body.Error
}
