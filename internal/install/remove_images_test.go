package install_test

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// launchAgain is another launch, or another version, of the same images and
// those of more.
func (m *mother) launchAgain(t *testing.T, key ed25519.PrivateKey, id string, version int, more ...bundle.Image) *mother {
	t.Helper()
	again := &mother{blobs: m.blobs, served: map[string]int64{}, layers: m.layers}
	again.plan = testPlan(version, m.plan.Algorithms[0].Image, m.plan.System.Image)
	again.plan.Launch.ID, again.plan.Launch.Name = id, "other"
	for i, image := range more {
		algorithm := again.plan.Algorithms[0]
		algorithm.VanityURL, algorithm.Algorithm, algorithm.Image = "foo/more", "Neo/More/"+strings.Repeat("b", 39)+string(rune('a'+i)), image
		again.plan.Algorithms = append(again.plan.Algorithms, algorithm)
	}
	b, err := bundle.Build(t.Context(), again.plan, content(m.blobs), key)
	if err != nil {
		t.Fatal(err)
	}
	again.bundle = b
	for digest, data := range b.Documents {
		m.blobs[digest] = data
	}
	again.Server = httptest.NewServer(http.HandlerFunc(again.serveAny))
	t.Cleanup(again.Close)
	return again
}

func (m *mother) serveAny(w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.Replace(r.URL.Path, m.plan.Launch.ID, launchID, 1) // whatever the launch, the path of the test's one
	m.serve(w, r)
}

// deployed is a launch on a real API server, in a namespace of its own.
func deployed(t *testing.T, m *mother, f store.Folder, registry, kubeconfig, namespace string) {
	t.Helper()
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+registry, "stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace="+namespace,
		"stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	if _, err := install.Deploy(t.Context(), f, install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard)}); err != nil {
		t.Fatalf("Deploy to %s: %v", namespace, err)
	}
}

func removal(t *testing.T, f store.Folder) *install.RemoveResult {
	t.Helper()
	result, err := install.Remove(t.Context(), f, install.RemoveOptions{Registry: true, Timeout: time.Minute, Progress: progress.New(io.Discard),
		Confirm: func(*install.RemoveResult) (bool, error) { return true, nil }})
	if err != nil {
		t.Fatalf("Remove: %v", err)
	}
	return result
}

// pulls reports whether the registry has an image.
func pulls(t *testing.T, image string) bool {
	t.Helper()
	ref, err := name.NewDigest(image)
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Get(ref, remote.WithAuthFromKeychain(keychain{}))
	return err == nil
}

// What another launch, another version of it, or another installation of the
// same launch uses stays in the registry, and is told with who uses it; what
// nobody else has claimed goes.
func TestRemoveLeavesWhatOthersUse(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newPrivate(t)
	key := newKey(t)
	first := newMother(t, key, 1, 5000)
	mine := first.image(t, 3000, 2)
	second := first.launchAgain(t, key, "11111111-1a2b-4c3d-9e4f-abcdef012345", 1, mine)
	registry := c.host + "/team"
	f, g := folder(t), store.Folder{Root: t.TempDir(), SatelliteID: satelliteID, LaunchID: second.plan.Launch.ID}
	deployed(t, first, f, registry, kubeconfig, "first")
	deployed(t, second, g, registry, kubeconfig, "second")
	at := func(digest, repository string) string { return registry + "/" + repository + "@" + digest }
	shared := at(first.plan.Algorithms[0].Image.Digest, "satellite-"+satelliteID)
	system, only := at(first.plan.System.Image.Digest, "execution-engine"), at(mine.Digest, "satellite-"+satelliteID)

	result := removal(t, g)
	if len(result.Images) != 1 || result.Images[0] != only || pulls(t, only) {
		t.Errorf("deleted %q, want %q", result.Images, only)
	}
	if len(result.Kept) != 2 || !strings.Contains(strings.Join(result.Kept[0].UsedBy, " "), launchID) {
		t.Errorf("kept %+v, want both images of launch %s", result.Kept, launchID)
	}
	for _, image := range []string{shared, system} {
		if !pulls(t, image) {
			t.Errorf("%s is gone, and launch %s runs it", image, launchID)
		}
	}

	again := copyOf(t, f, first) // the same launch, elsewhere
	deployed(t, first, again, registry, kubeconfig, "elsewhere")
	if result := removal(t, f); len(result.Images) != 0 || len(result.Kept) != 2 || !strings.Contains(result.Kept[0].UsedBy[0], `"elsewhere"`) || !pulls(t, system) {
		t.Errorf("Remove = %+v, want all kept for namespace elsewhere", result)
	}
	if _, err := install.Remove(t.Context(), again, install.RemoveOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard),
		Confirm: func(*install.RemoveResult) (bool, error) { return true, nil }}); err != nil {
		t.Fatal(err)
	}
	if result := removal(t, again); len(result.Images) != 2 || pulls(t, shared) || pulls(t, system) {
		t.Errorf("Remove of the last one = %+v, want both images deleted", result)
	}
	_, err := install.Remove(t.Context(), again, install.RemoveOptions{Registry: true, Timeout: time.Minute, Progress: progress.New(io.Discard)})
	wantCode(t, err, fault.CodeFailed, "not installed in namespace elsewhere")
	tags, err := crane.ListTags(registry + "/execution-engine")
	if err != nil || len(tags) != 0 {
		t.Errorf("tags left: %q, %v", tags, err)
	}
}

// Without certainty nothing is deleted: images that were there before anybody
// claimed them, an image without a claim beside the claims, and a registry that
// lists no tags or keeps no claims.
func TestRemoveIsNotSure(t *testing.T) {
	kubeconfig, c := startAPIServer(t), newCustomer(t)
	login(t, c.host, "zion")
	key := newKey(t)
	m := newMother(t, key, 1, 5000)
	claims := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/launch-") }
	lists := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/tags/list") }
	for _, test := range []struct {
		name   string
		before func(t *testing.T, registry string)
		deny   func(*http.Request) bool // while it is pushed and removed
		says   string
	}{
		{"there before", func(t *testing.T, registry string) {
			for digest, at := range map[string]string{m.plan.Algorithms[0].Image.Digest: "satellite-" + satelliteID + ":neo-hello-aaaaaaaaaaaa", m.plan.System.Image.Digest: "execution-engine:test"} {
				put(t, m, digest, registry+"/"+at)
			}
		}, nil, "before any launch claimed it"},
		{"another system image", func(t *testing.T, registry string) {
			put(t, m, m.image(t, 500, 1).Digest, registry+"/execution-engine:older")
		}, nil, "execution-engine:older was pushed there without a claim"},
		{"no claims", nil, claims, "has claimed no image there"},
		{"no tags", nil, lists, "does not list the tags"},
	} {
		t.Run(test.name, func(t *testing.T) {
			registry := c.host + "/" + strings.ReplaceAll(test.name, " ", "-")
			if test.before != nil {
				test.before(t, registry)
			}
			c.denies.Store(&test.deny)
			defer c.denies.Store(nil)
			f := folder(t)
			deployed(t, m, f, registry, kubeconfig, strings.ReplaceAll(test.name, " ", "-"))
			result := removal(t, f)
			told := result.Unsure
			for _, kept := range result.Kept {
				told += strings.Join(kept.UsedBy, " ")
			}
			if len(result.Images) != 0 || !result.Removed || !strings.Contains(told, test.says) {
				t.Errorf("Remove = %+v, want no image deleted since %q", result, test.says)
			}
			c.denies.Store(nil)
			for _, image := range m.plan.Images() {
				repository := map[bool]string{true: "execution-engine", false: "satellite-" + satelliteID}[image.Digest == m.plan.System.Image.Digest]
				if !pulls(t, registry+"/"+repository+"@"+image.Digest) {
					t.Errorf("image %s is gone", image.Digest)
				}
			}
		})
	}
}

// put pushes an image as an older installer does: no claim beside it.
func put(t *testing.T, m *mother, digest, tag string) {
	t.Helper()
	ref, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, path, mediaType string, data []byte) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+ref.RegistryStr()+"/v2/"+ref.RepositoryStr()+path, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("neo", "zion")
		request.Header.Set("Content-Type", mediaType)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusCreated {
			t.Fatalf("%s %s: %s", method, path, response.Status)
		}
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(m.blobs[digest]))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		send(http.MethodPost, "/blobs/uploads/?digest="+blob.Digest.String(), "application/octet-stream", m.blobs[blob.Digest.String()])
	}
	send(http.MethodPut, "/manifests/"+ref.TagStr(), string(manifest.MediaType), m.blobs[digest])
}
