package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestPushIndexWithArtifacts pushes an image with what build tools put beside
// it, under the platforms that they give it, and carries it in a bundle.
func TestPushIndexWithArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	amd := image(t, 100, map[string]string{"constellation.concurrency": "2"})
	sbom := mutate.ConfigMediaType(mutate.MediaType(image(t, 100, map[string]string{"constellation.nonsense": "no image"}), types.OCIManifestSchema1), "application/vnd.example.sbom+json")
	unknown := platformless(t, image(t, 100, nil), "unknown", "unknown") // as buildx makes them
	for name, platform := range map[string]*v1.Platform{
		"none":            nil,
		"linux/":          {OS: "linux"},
		"linux/amd64":     {OS: "linux", Architecture: "amd64"},
		"unknown/unknown": {OS: "unknown", Architecture: "unknown"},
	} {
		for kind, artifact := range map[string]v1.Image{"an SBOM": sbom, "an attestation": unknown} {
			t.Run(kind+" of platform "+name, func(t *testing.T) {
				index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
					mutate.IndexAddendum{Add: artifact, Descriptor: v1.Descriptor{Platform: platform}},
					mutate.IndexAddendum{Add: amd, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
				)
				ref := "neo/hello:" + digestOf(t, index)[7:]
				w.mustPush(ref, index)
				got, err := w.version(ref)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"linux/amd64"}, got.Image.Platforms); diff != "" || got.Runtime.Concurrency != 2 {
					t.Errorf("concurrency %d, want 2; platforms (-want +got):\n%s", got.Runtime.Concurrency, diff)
				}
				satelliteID, launchID := w.launch(ref)
				pulled, err := remote.Index(w.reference("satellites/"+satelliteID+":"+launchID), as("admin", w.admin))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := layout.Write(t.TempDir(), pulled); err != nil {
					t.Errorf("the bundle is not whole: %v", err)
				}
			})
		}
	}
}

// TestPushIndexOfArtifacts pushes an index in which nothing can run.
func TestPushIndexOfArtifacts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: platformless(t, image(t, 100, nil), "", ""), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux"}}})
	wantRefused(t, w.push("neo/hello:"+hash(1), index), http.StatusBadRequest, "no image of any platform")
	wantRefused(t, w.push("neo/hello:"+hash(2), platformless(t, image(t, 100, nil), "", "")), http.StatusBadRequest, "names no os and architecture")
}

// platformless puts another platform, or none, into an image's config.
func platformless(t *testing.T, img v1.Image, os, architecture string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = os, architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// TestPushForeignLayer pushes images with layers that do not travel.
func TestPushForeignLayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config := `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`
	configDigest, layerDigest := w.upload("neo/hello", config), w.upload("neo/hello", "a layer")
	for mediaType, text := range map[string]string{
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "leave out or refuse",
		"application/vnd.oci.image.layer.nondistributable.v1.tar":      "leave out or refuse",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    "leave out or refuse",
	} {
		manifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
			`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + configDigest + `","size":` + itoa(len(config)) + `},` +
			`"layers":[{"mediaType":"` + mediaType + `","digest":"` + layerDigest + `","size":7}]}`
		response, body := w.do("PUT", "/v2/neo/hello/manifests/"+hash(1), strings.NewReader(manifest), "Content-Type", "application/vnd.oci.image.manifest.v1+json")
		if response.StatusCode != http.StatusBadRequest || !strings.Contains(body, text) || !strings.Contains(body, mediaType) {
			t.Errorf("a layer of type %s = %d %s, want 400 that says %q", mediaType, response.StatusCode, body, text)
		}
	}
	w.mustNotExist("neo/hello:" + hash(1))
}
