package registry_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestPushRegisters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 1000, map[string]string{
		"constellation.protocol": "http", "constellation.port": "8081", "constellation.concurrency": "4",
		"org.opencontainers.image.version": "v1.2.3-rc1",
	})
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, img)
	got, err := w.version(ref)
	if err != nil {
		t.Fatal(err)
	}
	want := &constellation.AlgorithmVersion{
		Owner: "neo", Name: "hello", GitHash: hash(1), SemanticVersion: "1.2.3-rc1", State: constellation.VersionReady, CreatedBy: "Admin",
		Image: constellation.Image{
			Repository: "neo/hello", Digest: digestOf(t, img), MediaType: string(types.DockerManifestSchema2), Size: wholeSize(t, img), Platforms: []string{"linux/amd64"},
		},
		Runtime:         constellation.Runtime{Protocol: "http", Port: 8081, Path: "/", Concurrency: 4, Network: "full"},
		RuntimeRevision: 1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(constellation.AlgorithmVersion{}, "ID", "CreatedAt")); diff != "" {
		t.Errorf("version (-want +got):\n%s", diff)
	}
	pulled, err := remote.Image(w.reference(ref), as("admin", w.admin))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := digestOf(t, pulled), digestOf(t, img); got != want {
		t.Errorf("pulled digest %s, want %s", got, want)
	}
}

// wholeSize is the size of the manifest, the config and every layer.
func wholeSize(t *testing.T, img v1.Image) int64 {
	t.Helper()
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	total, err := img.Size()
	if err != nil {
		t.Fatal(err)
	}
	total += manifest.Config.Size
	for _, layer := range manifest.Layers {
		total += layer.Size
	}
	return total
}

func TestPushIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	arm := image(t, 100, map[string]string{"constellation.concurrency": "3"})
	amd := image(t, 100, map[string]string{"constellation.concurrency": "2"})
	attestation := image(t, 100, map[string]string{"constellation.nonsense": "read by nobody"})
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}}},
		mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
	)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, index)
	got, err := w.version(ref)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64/v8"}, got.Image.Platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if got.Runtime.Concurrency != 3 {
		t.Errorf("concurrency %d, want the first platform's 3", got.Runtime.Concurrency)
	}
	size, err := index.Size()
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range []v1.Image{arm, amd, attestation} {
		size += wholeSize(t, img)
	}
	if got.Image.Size != size {
		t.Errorf("size %d, want %d", got.Image.Size, size)
	}
}

func TestHashTagNeverMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := image(t, 100, nil), image(t, 100, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, one)
	w.mustPush(ref, one) // the same again is no move
	wantRefused(t, w.push(ref, two), http.StatusConflict, "DENIED")
	pulled, err := remote.Image(w.reference(ref), as("admin", w.admin))
	if err != nil || digestOf(t, pulled) != digestOf(t, one) {
		t.Errorf("the tag is at %v, %v, want %s", pulled, err, digestOf(t, one))
	}
	w.mustPush("neo/hello:latest", one)
	w.mustPush("neo/hello:latest", two)
	if pulled, err = remote.Image(w.reference("neo/hello:latest"), as("admin", w.admin)); err != nil || digestOf(t, pulled) != digestOf(t, two) {
		t.Errorf("latest is at %v, %v, want %s", pulled, err, digestOf(t, two))
	}
}

// TestConcurrentPushes pushes different images under one hash: one wins, and
// the tag and the version agree on which.
func TestConcurrentPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ref := "neo/hello:" + hash(1)
	const pushers = 8
	images, errs := make([]v1.Image, pushers), make([]error, pushers)
	for i := range images {
		images[i] = image(t, 100, nil)
	}
	var group errgroup.Group
	for i := range images {
		group.Go(func() error { errs[i] = w.push(ref, images[i]); return nil })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var won []string
	for i, err := range errs {
		if err == nil {
			won = append(won, digestOf(t, images[i]))
		} else {
			wantRefused(t, err, http.StatusConflict, "DENIED")
		}
	}
	version, err := w.version(ref)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(w.reference(ref), as("admin", w.admin))
	if err != nil {
		t.Fatal(err)
	}
	if len(won) != 1 || version.Image.Digest != won[0] || digestOf(t, pulled) != won[0] {
		t.Errorf("pushes of %v won, the version is %s and the tag %s", won, version.Image.Digest, digestOf(t, pulled))
	}
}

func TestPushRefusesImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	artifact := mutate.ConfigMediaType(image(t, 100, nil), "application/vnd.example.config")
	tests := map[string]struct {
		what remote.Taggable
		text string
	}{
		"unknown label":  {image(t, 100, map[string]string{"constellation.protcol": "http"}), "constellation.protcol is unknown"},
		"bad number":     {image(t, 100, map[string]string{"constellation.port": "http"}), "constellation.port is a whole number"},
		"bad port":       {image(t, 100, map[string]string{"constellation.port": "70000"}), "1 to 65535"},
		"path of lines":  {image(t, 100, map[string]string{"constellation.path": "/x\r\nHost: evil"}), `no space and no '?' or '#'; not "/x\r\nHost: evil"`},
		"health path":    {image(t, 100, map[string]string{"constellation.health-path": "/a b"}), "no space"},
		"an artifact":    {artifact, "artifact"},
		"an empty index": {mutate.IndexMediaType(empty.Index, types.OCIImageIndex), "no image of any platform"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref := "neo/bad:" + hash(len(name))
			wantRefused(t, w.push(ref, tt.what), http.StatusBadRequest, tt.text)
			w.mustNotExist(ref)
			w.wantAnswer(404, "MANIFEST_UNKNOWN", "GET", "/v2/neo/bad/manifests/"+hash(len(name)), nil)
		})
	}
}

func TestPushRefusesManifest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const oci = "application/vnd.oci.image.manifest.v1+json"
	missing := `{"schemaVersion":2,"mediaType":"` + oci + `","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:` + strings.Repeat("a", 64) + `","size":2},"layers":[]}`
	path := "/v2/neo/hello/manifests/" + hash(1)
	w.wantAnswer(400, "MANIFEST_BLOB_UNKNOWN", "PUT", path, strings.NewReader(missing), "Content-Type", oci)
	w.wantAnswer(400, "MANIFEST_INVALID", "PUT", path, strings.NewReader("no JSON"), "Content-Type", oci)
	w.wantAnswer(400, "MANIFEST_INVALID", "PUT", path, strings.NewReader("[]"), "Content-Type", oci)
	w.wantAnswer(400, "MANIFEST_INVALID", "PUT", path, strings.NewReader("{}"), "Content-Type", "text/plain")
	w.wantAnswer(413, "SIZE_INVALID", "PUT", path, bytes.NewReader(make([]byte, 5<<20)), "Content-Type", oci)
	w.wantAnswer(413, "SIZE_INVALID", "PUT", "/v2/neo/hello/manifests/latest", bytes.NewReader(make([]byte, 5<<20)), "Content-Type", oci)
	w.mustNotExist("neo/hello:" + hash(1))
	w.wantAnswer(405, "UNSUPPORTED", "DELETE", path, nil)
	w.wantAnswer(400, "NAME_INVALID", "PUT", "/v2/alone/manifests/latest", strings.NewReader(missing), "Content-Type", oci)
	w.wantAnswer(400, "NAME_INVALID", "PUT", "/v2/one/two/three/manifests/latest", strings.NewReader(missing), "Content-Type", oci)
	w.wantAnswer(403, "DENIED", "PUT", "/v2/constellation/system/manifests/latest", strings.NewReader(missing), "Content-Type", oci)
	w.wantAnswer(404, "NAME_UNKNOWN", "GET", "/v2/neo/hello/nothing/here", nil)
}

// TestFaultKeepsPathsToItself breaks the storage under distribution, whose
// own answer names the file.
func TestFaultKeepsPathsToItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := filepath.Join(w.dir, "docker", "registry", "v2", "repositories", "neo")
	if err := os.MkdirAll(filepath.Dir(owner), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(owner, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	response, body := w.do("POST", "/v2/neo/hello/blobs/uploads/", nil)
	if response.StatusCode != 500 || !strings.Contains(body, "the server's log says why") || strings.Contains(body, w.dir) {
		t.Errorf("broken storage = %d %s, want 500 without a path", response.StatusCode, body)
	}
}

// TestStoreFails shows that an image which could not be stored registers
// nothing, and can be pushed once storage is well again.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ref, img := "neo/hello:"+hash(1), image(t, 100, nil)
	repository := filepath.Join(w.dir, "docker/registry/v2/repositories/neo/hello")
	if err := os.MkdirAll(repository, 0o700); err != nil {
		t.Fatal(err)
	}
	obstacle := filepath.Join(repository, "_manifests")
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.push(ref, img); err == nil {
		t.Error("the push succeeds with no place for its manifest")
	}
	w.mustNotExist(ref)
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	w.mustPush(ref, img)
	if _, err := w.version(ref); err != nil {
		t.Error(err)
	}
}
