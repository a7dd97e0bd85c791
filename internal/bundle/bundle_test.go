package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// memory is manifests by repository@digest.
type memory map[string][]byte

func (m memory) Manifest(_ context.Context, repository, digest string) ([]byte, error) {
	data, ok := m[repository+"@"+digest]
	if !ok {
		return nil, fmt.Errorf("no manifest %s@%s", repository, digest)
	}
	return data, nil
}

func (m memory) image(t *testing.T, repository string) Image {
	t.Helper()
	image, err := random.Image(512, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m.add(t, repository, image)
}

func (m memory) add(t *testing.T, repository string, image v1.Image) Image {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	data, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	mediaType, err := image.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	m[repository+"@"+digest.String()] = data
	return Image{Repository: repository, Digest: digest.String(), MediaType: string(mediaType), Platforms: []string{"linux/amd64"}}
}

func testPlan(t *testing.T) (*Plan, memory) {
	t.Helper()
	content := memory{}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	hello := content.image(t, "neo/hello")
	return &Plan{
		SchemaVersion: SchemaVersion,
		Satellite:     Satellite{ID: "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab", Name: "Edge <1>", Version: 3, VersionCreatedAt: at, ExpiresAt: at.AddDate(1, 0, 0)},
		Launch:        Launch{ID: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", Name: "shop", Token: "t0ken"},
		Mothership:    Mothership{URL: "https://m.example", Version: "1"},
		System:        System{Version: "1", Image: content.image(t, "constellation/system")},
		Algorithms: []Algorithm{
			{VanityURL: "demo/hello", Algorithm: "neo/hello/" + strings.Repeat("a", 40), Replicas: 2, Image: hello, Runtime: constellation.Runtime{}.WithDefaults()},
			{VanityURL: "demo/again", Algorithm: "neo/hello/" + strings.Repeat("a", 40), Replicas: 1, Image: hello, Runtime: constellation.Runtime{}.WithDefaults()},
		},
	}, content
}

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func TestBuildIsReproducibleAndComplete(t *testing.T) {
	t.Parallel()
	plan, content := testPlan(t)
	first, err := Build(t.Context(), plan, content, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	second, err := Build(t.Context(), plan, content, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two builds of one plan differ (-first +second):\n%s", diff)
	}
	if bytes.Contains(first.Plan, []byte(`\u003c`)) {
		t.Errorf("plan escapes HTML: %s", first.Plan)
	}
	root, err := ParseRoot(first.Root)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := root.Plan.Digest, Digest(first.Plan); got != want {
		t.Errorf("root's plan digest = %s, want %s", got, want)
	}
	// Two images, each a manifest, a config and three layers; hello is there
	// twice and counted once.
	if got, want := len(root.Images), 2; got != want {
		t.Errorf("root has %d images, want %d", got, want)
	}
	if got, want := len(root.Blobs), 2*5; got != want {
		t.Errorf("root has %d blobs, want %d", got, want)
	}
	for _, blob := range root.Blobs {
		if first.Repositories[blob.Digest] == "" || blob.Size == 0 {
			t.Errorf("blob %+v has no repository or size", blob)
		}
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(first.Index))
	if err != nil {
		t.Fatal(err)
	}
	last := index.Manifests[len(index.Manifests)-1]
	if last.Annotations[AnnotationPlan] != "true" || last.Digest.String() != Digest(first.Manifest) {
		t.Errorf("the index's last manifest is %+v, want the plan", last)
	}
	for _, digest := range []string{Digest(first.Plan), Digest(first.Root), Digest(first.Manifest), Digest(first.Index), Digest([]byte("{}"))} {
		if first.Documents[digest] == nil {
			t.Errorf("document %s is missing", digest)
		}
	}
}

func TestBuildOfIndexTakesItsChildren(t *testing.T) {
	t.Parallel()
	plan, content := testPlan(t)
	child, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(256, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: child})
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifest.Manifests {
		image, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		content.add(t, "neo/multi", image)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	content["neo/multi@"+digest.String()] = raw
	plan.Algorithms = append(plan.Algorithms, Algorithm{VanityURL: "demo/multi", Algorithm: "neo/multi/" + strings.Repeat("b", 40), Image: Image{Repository: "neo/multi", Digest: digest.String(), MediaType: string(manifest.MediaType)}})
	b, err := Build(t.Context(), plan, content, testKey(1))
	if err != nil {
		t.Fatal(err)
	}
	root, err := ParseRoot(b.Root)
	if err != nil {
		t.Fatal(err)
	}
	// Beside the two plain images: the index, and two children of a manifest,
	// a config and a layer each.
	if got, want := len(root.Blobs), 2*5+1+2*3; got != want {
		t.Errorf("root has %d blobs, want %d", got, want)
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	root := []byte(`{"schema_version":1}`)
	good := Sign(testKey(1), root)
	pinned := testKey(1).Public().(ed25519.PublicKey)
	other := testKey(2).Public().(ed25519.PublicKey)
	tests := []struct {
		name      string
		signature Signature
		root      []byte
		pinned    ed25519.PublicKey
		ok        bool
	}{
		{"good, nothing pinned", good, root, nil, true},
		{"good, pinned", good, root, pinned, true},
		{"another key pinned", good, root, other, false},
		{"a byte changed", good, []byte(`{"schema_version":2}`), pinned, false},
		{"signature cut", Signature{KeyID: good.KeyID, PublicKey: good.PublicKey, Signature: good.Signature[:10]}, root, pinned, false},
		{"no key", Signature{Signature: good.Signature}, root, nil, false},
	}
	for _, test := range tests {
		err := test.signature.Verify(test.root, test.pinned)
		if (err == nil) != test.ok || (err != nil && !errors.Is(err, ErrSignature)) {
			t.Errorf("%s: Verify = %v, want ok %v", test.name, err, test.ok)
		}
	}
}

func TestParseRefusesOtherSchemas(t *testing.T) {
	t.Parallel()
	for _, data := range []string{``, `{}`, `{"schema_version":99}`, `[]`, `{"schema_version":1}`} {
		if _, err := ParsePlan([]byte(data)); err == nil {
			t.Errorf("ParsePlan(%q) = nil, want an error", data)
		}
	}
	if _, err := ParseRoot([]byte(`{"schema_version":99}`)); err == nil || !strings.Contains(err.Error(), "use the algo-install of the mothership") {
		t.Errorf("ParseRoot of a newer schema = %v, want what to do", err)
	}
}

func TestInternalKeyFollowsTheToken(t *testing.T) {
	t.Parallel()
	a, b := Plan{Launch: Launch{Token: "a"}}, Plan{Launch: Launch{Token: "b"}}
	again := Plan{Launch: Launch{Token: "a"}}
	if a.InternalKey() != again.InternalKey() || a.InternalKey() == b.InternalKey() {
		t.Errorf("InternalKey: %q, again %q, of another token %q; want one a token", a.InternalKey(), again.InternalKey(), b.InternalKey())
	}
}
