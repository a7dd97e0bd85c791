package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestBundlePull pulls a launch's bundle whole and compares every digest.
func TestBundlePull(t *testing.T) {
	t.Parallel()
	onEveryStorage(t, bundlePull)
}

func bundlePull(t *testing.T, w *world) {
	one, two := image(t, 5000, nil), image(t, 5000, map[string]string{"constellation.protocol": "http"})
	refs := []string{"neo/hello:" + hash(1), "neo/world:" + hash(2)}
	w.mustPush(refs[0], one)
	w.mustPush(refs[1], two)
	satelliteID, launchID := w.launch(refs...)
	ref := w.reference("satellites/" + satelliteID + ":" + launchID)
	index, err := remote.Index(ref, as("admin", w.admin))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the bundle is not whole: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 4 {
		t.Fatalf("the bundle has %d manifests, want two algorithms, the system image and the plan", len(manifest.Manifests))
	}
	var digests []string
	for _, d := range manifest.Manifests[:2] {
		digests = append(digests, d.Digest.String())
	}
	if diff := cmp.Diff([]string{digestOf(t, one), digestOf(t, two)}, digests); diff != "" {
		t.Errorf("digests (-pushed +bundled):\n%s", diff)
	}
	checkPlan(t, index, manifest.Manifests[3], satelliteID, launchID)

	tags, err := remote.List(ref.Context(), as("admin", w.admin))
	if err != nil || !cmp.Equal(tags, []string{launchID}) {
		t.Errorf("tags %v, %v, want the launch's ID", tags, err)
	}
}

// checkPlan reads the plan artifact as the installer does.
func checkPlan(t *testing.T, index v1.ImageIndex, d v1.Descriptor, satelliteID, launchID string) {
	t.Helper()
	artifact, err := index.Image(d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := artifact.Layers()
	if err != nil || len(layers) != 2 {
		t.Fatalf("the plan artifact has layers %v, %v, want plan and root", layers, err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = content.Close() }()
	var plan bundle.Plan
	if err := json.NewDecoder(content).Decode(&plan); err != nil {
		t.Fatal(err)
	}
	if plan.Satellite.ID != satelliteID || plan.Launch.ID != launchID || plan.System.Version != "v0.0.1" {
		t.Errorf("the plan is of satellite %s, launch %s and system %s", plan.Satellite.ID, plan.Launch.ID, plan.System.Version)
	}
}

// TestBundleRanges resumes a blob as an interrupted download does.
func TestBundleRanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 100_000, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, img)
	satelliteID, launchID := w.launch(ref)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf(t, layers[0])
	path := "/v2/satellites/" + satelliteID + "/blobs/" + digest
	response, whole := w.do("GET", path, nil)
	if response.StatusCode != 200 || bundle.Digest([]byte(whole)) != digest || response.ContentLength != int64(len(whole)) {
		t.Fatalf("GET answers %d with %d bytes of %s", response.StatusCode, len(whole), bundle.Digest([]byte(whole)))
	}
	etag := response.Header.Get("ETag")
	if got := response.Header.Get("Docker-Content-Digest"); got != digest || etag != `"`+digest+`"` {
		t.Errorf("digest header %q and ETag %q, want %q", got, etag, digest)
	}
	response, rest := w.do("GET", path, nil, "Range", "bytes=40000-", "If-Range", etag)
	if want := fmt.Sprintf("bytes 40000-%d/%d", len(whole)-1, len(whole)); response.StatusCode != 206 || response.Header.Get("Content-Range") != want || rest != whole[40000:] {
		t.Errorf("a resumed GET answers %d %q with %d bytes, want %q", response.StatusCode, response.Header.Get("Content-Range"), len(rest), want)
	}
	if response, all := w.do("GET", path, nil, "Range", "bytes=40000-", "If-Range", `"other"`); response.StatusCode != 200 || all != whole {
		t.Errorf("If-Range of another content answers %d with %d bytes, want all", response.StatusCode, len(all))
	}
	w.wantAnswer(416, "", "GET", path, nil, "Range", "bytes=9999999-")
	w.wantAnswer(304, "", "GET", path, nil, "If-None-Match", etag)
	if response, body := w.do("HEAD", path, nil); response.ContentLength != int64(len(whole)) || body != "" {
		t.Errorf("HEAD says %d bytes and sends %d, want %d and 0", response.ContentLength, len(body), len(whole))
	}
	response, body := w.do("GET", "/v2/satellites/"+satelliteID+"/manifests/"+launchID, nil)
	if got := response.Header.Get("Docker-Content-Digest"); got != bundle.Digest([]byte(body)) || response.Header.Get("Content-Type") != string(types.OCIImageIndex) {
		t.Errorf("the index comes as %s %s", response.Header.Get("Content-Type"), got)
	}
}

// TestBundleHoldsNothingElse asks a satellite for what is not its own.
func TestBundleHoldsNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, secret := image(t, 100, nil), image(t, 100, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, mine)
	w.mustPush("neo/secret:"+hash(2), secret)
	satelliteID, launchID := w.launch(ref)
	layers, err := secret.Layers()
	if err != nil {
		t.Fatal(err)
	}
	base := "/v2/satellites/" + satelliteID
	w.wantAnswer(404, "MANIFEST_UNKNOWN", "GET", base+"/manifests/"+digestOf(t, secret), nil)
	w.wantAnswer(404, "BLOB_UNKNOWN", "GET", base+"/blobs/"+digestOf(t, layers[0]), nil)
	w.wantAnswer(404, "MANIFEST_UNKNOWN", "GET", base+"/manifests/latest", nil)
	w.wantAnswer(404, "MANIFEST_UNKNOWN", "GET", base+"/manifests/"+satelliteID, nil)
	w.wantAnswer(404, "", "GET", "/v2/satellites/"+launchID+"/manifests/"+launchID, nil)
	w.wantAnswer(403, "DENIED", "PUT", base+"/manifests/"+launchID, strings.NewReader("{}"))
	w.wantAnswer(403, "DENIED", "POST", base+"/blobs/uploads/", nil)
	w.wantAnswer(403, "DENIED", "DELETE", base+"/manifests/"+launchID, nil)
	wantRefused(t, w.push("satellites/"+satelliteID+":"+hash(1), mine), http.StatusForbidden, "read-only")
}

func TestExpiredSatellite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, image(t, 100, nil))
	soon := w.clock().Add(time.Hour)
	satellite, err := w.control.CreateSatellite(t.Context(), w.adminPrincipal(), control.NewSatellite{
		Name: "short", ExpiresAt: &soon, Algorithms: []control.AlgorithmSpec{{Algorithm: strings.Replace(ref, ":", "/", 1), VanityURL: "foo/bar", Replicas: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	launch, err := w.control.CreateLaunch(t.Context(), w.adminPrincipal(), satellite.ID, control.NewLaunch{Name: "l"})
	if err != nil {
		t.Fatal(err)
	}
	path := "/v2/satellites/" + satellite.ID + "/manifests/" + launch.ID
	w.wantAnswer(200, "", "GET", path, nil)
	w.advance(2 * time.Hour)
	response, text := w.do("GET", path, nil)
	if response.StatusCode != 403 || !strings.Contains(text, "DENIED") || !strings.Contains(text, "expired") {
		t.Errorf("an expired satellite's bundle answers %d %s", response.StatusCode, text)
	}
}

// TestSkopeo pushes an algorithm with skopeo, pulls the bundle with crane's
// library and with skopeo, and finds every digest unchanged.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("needs skopeo: apt-get install skopeo")
	}
	w := newWorld(t)
	dir := t.TempDir()
	img := mutate.ConfigMediaType(mutate.MediaType(image(t, 5000, nil), types.OCIManifestSchema1), types.OCIConfigJSON)
	source, err := layout.Write(filepath.Join(dir, "source"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := source.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "img"})); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		args = append([]string{"--policy", policy, "--tmpdir", dir}, args...)
		if out, err := exec.CommandContext(t.Context(), skopeo, args...).CombinedOutput(); err != nil { //nolint:gosec // a test's own arguments
			t.Fatalf("skopeo %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	ref := "neo/hello:" + hash(1)
	run("copy", "--dest-tls-verify=false", "--dest-creds", "admin:"+w.admin, "oci:"+filepath.Join(dir, "source")+":img", "docker://"+w.host+"/"+ref)
	version, err := w.version(ref)
	if err != nil || version.Image.Digest != digestOf(t, img) {
		t.Fatalf("registered %+v, %v, want digest %s", version, err, digestOf(t, img))
	}

	satelliteID, launchID := w.launch(ref)
	bundleRef := w.host + "/satellites/" + satelliteID + ":" + launchID
	digest, err := crane.Digest(bundleRef, crane.Insecure, crane.WithAuth(&authn.Basic{Username: "admin", Password: w.admin}))
	if err != nil {
		t.Fatal(err)
	}
	run("copy", "--all", "--preserve-digests", "--src-tls-verify=false", "--src-creds", "admin:"+w.admin, "docker://"+bundleRef, "oci:"+filepath.Join(dir, "bundle")+":bundle")
	copied, err := layout.ImageIndexFromPath(filepath.Join(dir, "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := copied.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != digest {
		t.Errorf("skopeo pulled %+v, %v, want %s", manifest, err, digest)
	}
	if err := validate.Index(copied); err != nil {
		t.Errorf("what skopeo pulled is not whole: %v", err)
	}
}
