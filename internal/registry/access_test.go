package registry_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/registry"
)

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account("Trinity", constellation.RoleViewer)
	soon := w.clock().Add(time.Hour)
	expiring := w.key("Admin", control.NewKey{Name: "short", ExpiresAt: &soon})
	revoked, key, err := w.control.CreateKey(t.Context(), control.Shell(), "Admin", control.NewKey{Name: "gone"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.control.RevokeKey(t.Context(), control.Shell(), "Admin", key.ID); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		authorization string
		status        int
	}{
		"nothing":                {"", 401},
		"account and key":        {basic("Admin", w.admin), 200},
		"ignoring case":          {basic("ADMIN", w.admin), 200},
		"bearer":                 {"Bearer " + w.admin, 200},
		"simple":                 {"Simple " + w.admin, 200},
		"another's key":          {basic("trinity", w.admin), 401},
		"no account":             {basic("", w.admin), 401},
		"unknown account":        {basic("nobody", w.admin), 401},
		"no key":                 {basic("admin", ""), 401},
		"wrong key":              {basic("admin", "cst_wrong"), 401},
		"key with a changed end": {"Bearer " + w.admin[:len(w.admin)-1] + "_", 401},
		"revoked":                {basic("admin", revoked), 401},
		"expiring":               {basic("admin", expiring), 200},
		"bare key":               {w.admin, 401},
	}
	for name, tt := range tests {
		response, text := w.do("GET", "/v2/", nil, "Authorization", tt.authorization)
		if response.StatusCode != tt.status {
			t.Errorf("%s: status %d %s, want %d", name, response.StatusCode, text, tt.status)
		}
		challenge := response.Header.Get("WWW-Authenticate")
		if tt.status == 401 && (challenge != `Basic realm="constellation"` || !strings.Contains(text, `"code":"UNAUTHORIZED"`)) {
			t.Errorf("%s: challenge %q, body %s", name, challenge, text)
		}
	}
	w.advance(2 * time.Hour)
	w.wantAnswer(401, "UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", basic("admin", expiring))
}

// TestRoles asks every endpoint as every kind of key.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 100, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, img)
	satelliteID, launchID := w.launch(ref)
	otherID, otherLaunchID := w.launch(ref, ref)
	w.account("Morpheus", constellation.RoleOperator)
	w.account("Trinity", constellation.RoleViewer)
	keys := map[string]string{
		"admin": w.admin, "operator": w.key("Morpheus", control.NewKey{Name: "k"}), "viewer": w.key("Trinity", control.NewKey{Name: "k"}),
		"limited": w.key("Morpheus", control.NewKey{Name: "l", SatelliteID: &satelliteID}),
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob := digestOf(t, layers[0])
	tests := []struct {
		method, path string
		status       map[string]int
	}{
		{"GET", "/v2/neo/hello/manifests/" + hash(1), map[string]int{"admin": 200, "operator": 200, "viewer": 200, "limited": 403}},
		{"HEAD", "/v2/neo/hello/blobs/" + blob, map[string]int{"admin": 200, "operator": 200, "viewer": 200, "limited": 403}},
		{"GET", "/v2/neo/hello/tags/list", map[string]int{"admin": 200, "operator": 200, "viewer": 200, "limited": 403}},
		{"GET", "/v2/neo/hello/referrers/" + blob, map[string]int{"admin": 200, "operator": 200, "viewer": 200, "limited": 403}},
		{"POST", "/v2/neo/hello/blobs/uploads/", map[string]int{"admin": 202, "operator": 403, "viewer": 403, "limited": 403}},
		{"GET", "/v2/_catalog", map[string]int{"admin": 200, "operator": 403, "viewer": 403, "limited": 403}},
		{"GET", "/v2/satellites/" + satelliteID + "/manifests/" + launchID, map[string]int{"admin": 200, "operator": 200, "viewer": 403, "limited": 200}},
		{"GET", "/v2/satellites/" + satelliteID + "/blobs/" + blob, map[string]int{"admin": 200, "operator": 200, "viewer": 403, "limited": 200}},
		{"GET", "/v2/satellites/" + otherID + "/manifests/" + otherLaunchID, map[string]int{"admin": 200, "operator": 200, "viewer": 403, "limited": 403}},
		{"GET", "/v2/satellites/" + otherID + "/blobs/" + blob, map[string]int{"admin": 200, "operator": 200, "viewer": 403, "limited": 403}},
	}
	for _, tt := range tests {
		for who, status := range tt.status {
			response, text := w.do(tt.method, tt.path, nil, "Authorization", "Bearer "+keys[who])
			if response.StatusCode != status {
				t.Errorf("%s as %s: %s %s answers %d %s, want %d", tt.method, who, tt.method, tt.path, response.StatusCode, text, status)
			}
		}
	}
	err = remote.Write(w.reference("neo/hello:"+hash(2)), image(t, 100, nil), as("trinity", keys["viewer"]))
	wantRefused(t, err, http.StatusForbidden, "DENIED")
}

// TestKeyWithAScope pushes and pulls with a key that may do so in its own
// repositories, and is refused elsewhere.
func TestKeyWithAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := image(t, 100, nil)
	w.mustPush("trinity/other:"+hash(1), other)
	satelliteID, launchID := w.launch("trinity/other:" + hash(1))
	ci := as("admin", w.key("Admin", control.NewKey{Name: "ci", Scope: new("push:neo/* push:trinity/hello")}))

	img := image(t, 200, nil)
	for _, repository := range []string{"neo/hello", "neo/new", "trinity/hello"} {
		ref := w.reference(repository + ":" + hash(2))
		if err := remote.Write(ref, img, ci); err != nil {
			t.Fatalf("push %s: %v", ref, err)
		}
		if v, err := w.version(repository + ":" + hash(2)); err != nil || v.Image.Digest != digestOf(t, img) {
			t.Errorf("%s = %+v, %v, want it registered", repository, v, err)
		}
		if _, err := remote.Image(ref, ci); err != nil {
			t.Errorf("pull %s: %v", ref, err)
		}
		if tags, err := remote.List(ref.Context(), ci); err != nil || len(tags) != 1 {
			t.Errorf("tags of %s = %v, %v, want one", ref, tags, err)
		}
	}

	const says = "it may push to and pull from neo/* and trinity/hello, and nothing else"
	wantRefused(t, remote.Write(w.reference("trinity/other:"+hash(3)), img, ci), http.StatusForbidden, "") // of a HEAD, whose answer has no body
	w.mustNotExist("trinity/other:" + hash(3))
	_, err := remote.Image(w.reference("trinity/other:"+hash(1)), ci)
	wantRefused(t, err, http.StatusForbidden, says)
	_, err = remote.Index(w.reference("satellites/"+satelliteID+":"+launchID), ci)
	wantRefused(t, err, http.StatusForbidden, says)
	_, err = remote.Image(w.reference("constellation/system:v0.0.1"), ci)
	wantRefused(t, err, http.StatusForbidden, says)
	_, err = remote.Catalog(t.Context(), w.reference("neo/hello").Context().Registry, ci)
	wantRefused(t, err, http.StatusForbidden, "scope")
}

// TestMountWithAScope: a key with a scope mounts from what it may pull; for
// the rest the registry asks for the bytes, as of a blob that it does not have.
func TestMountWithAScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 100, nil)
	for _, repository := range []string{"neo/hello", "trinity/other"} {
		w.mustPush(repository+":"+hash(1), img)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob := digestOf(t, layers[0])
	key := "Bearer " + w.key("Admin", control.NewKey{Name: "ci", Scope: new("push:neo/*")})
	const uploads = "/v2/neo/other/blobs/uploads/"
	w.wantAnswer(202, "", "POST", uploads+"?mount="+blob+"&from=trinity/other", nil, "Authorization", key)
	w.wantAnswer(404, "BLOB_UNKNOWN", "GET", "/v2/neo/other/blobs/"+blob, nil, "Authorization", key)
	w.wantAnswer(201, "", "POST", uploads+"?mount="+blob+"&from=neo/hello", nil, "Authorization", key)
	w.wantAnswer(200, "", "GET", "/v2/neo/other/blobs/"+blob, nil, "Authorization", key)
	w.wantAnswer(403, "DENIED", "POST", "/v2/trinity/other/blobs/uploads/?mount="+blob+"&from=neo/hello", nil, "Authorization", key)
}

// TestMount mounts blobs from one repository into another.
func TestMount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 100, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, img)
	satelliteID, _ := w.launch(ref)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob := digestOf(t, layers[0])
	const uploads = "/v2/neo/other/blobs/uploads/"
	w.wantAnswer(202, "", "POST", uploads+"?mount="+blob, nil)
	w.wantAnswer(202, "", "POST", uploads+"?mount="+blob+"&from=satellites/"+satelliteID, nil)
	w.wantAnswer(202, "", "POST", uploads+"?mount="+blob+"&from=neo/nothing", nil)
	w.wantAnswer(202, "", "POST", uploads+"?mount="+blob+"&from=../neo/hello", nil)
	w.wantAnswer(202, "", "POST", uploads, strings.NewReader("mount="+blob+"&from=neo/hello"), "Content-Type", "application/x-www-form-urlencoded")
	w.wantAnswer(404, "BLOB_UNKNOWN", "GET", "/v2/neo/other/blobs/"+blob, nil)
	w.wantAnswer(201, "", "POST", uploads+"?mount="+blob+"&from=neo/hello", nil)
	w.wantAnswer(200, "", "GET", "/v2/neo/other/blobs/"+blob, nil)
}

// TestUploadSurvivesRestart goes on with an upload on another server of the
// same storage.
func TestUploadSurvivesRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	response, _ := w.do("POST", "/v2/neo/hello/blobs/uploads/", nil)
	location := response.Header.Get("Location")
	response, text := w.do("PATCH", location, strings.NewReader("hello "), "Content-Type", "application/octet-stream")
	if response.StatusCode != 202 {
		t.Fatalf("PATCH answers %d %s", response.StatusCode, text)
	}
	location = response.Header.Get("Location")
	again, err := registry.OpenStorage(t.Context(), registry.FilesystemStorage(w.dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	w.server.Config.Handler = registry.New(w.control, again, registry.Options{})
	const helloWorld = "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
	w.wantAnswer(201, "", "PUT", location+"&digest="+helloWorld, strings.NewReader("world"), "Content-Type", "application/octet-stream")
	w.wantAnswer(200, "", "HEAD", "/v2/neo/hello/blobs/"+helloWorld, nil)
}
