package install_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

const (
	satelliteID = "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab"
	launchID    = "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345"
	goodKey     = "cst_good"
)

// mother serves one launch as a mothership does: a real bundle of real images
// behind its REST and registry paths.
type mother struct {
	*httptest.Server
	key    ed25519.PrivateKey
	bundle *bundle.Bundle
	plan   *bundle.Plan
	layers []string // digests of the algorithm's layers, largest first

	blobs    map[string][]byte
	requests atomic.Int64
	largest  atomic.Int64 // requests for the first layer

	mu     sync.Mutex
	ranges []string // Range headers of blob requests
	served map[string]int64
	fault  func(w http.ResponseWriter, r *http.Request) bool // true: it answered
}

type content map[string][]byte

func (c content) Manifest(_ context.Context, _, digest string) ([]byte, error) {
	if data, ok := c[digest]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("no manifest %s", digest)
}

// newMother makes a launch of version with images of layerSize bytes; changes
// are made to its plan.
func newMother(t *testing.T, key ed25519.PrivateKey, version int, layerSize int64, changes ...func(*bundle.Plan)) *mother {
	t.Helper()
	m := &mother{key: key, blobs: map[string][]byte{}, served: map[string]int64{}}
	algorithm := m.image(t, layerSize, 3)
	system := m.image(t, 1000, 1)
	m.plan = testPlan(version, algorithm, system)
	for _, change := range changes {
		change(m.plan)
	}
	b, err := bundle.Build(t.Context(), m.plan, content(m.blobs), key)
	if err != nil {
		t.Fatal(err)
	}
	m.bundle = b
	for digest, data := range b.Documents {
		m.blobs[digest] = data
	}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Close)
	return m
}

func testPlan(version int, algorithm, system bundle.Image) *bundle.Plan {
	return &bundle.Plan{
		SchemaVersion: bundle.SchemaVersion,
		Satellite:     bundle.Satellite{ID: satelliteID, Name: "edge", Version: version, ExpiresAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
		Launch:        bundle.Launch{ID: launchID, Name: "plant", Token: "cst_token"},
		Mothership:    bundle.Mothership{URL: "https://mothership.example.com", Version: "test"},
		System:        bundle.System{Version: "test", Image: system},
		Algorithms: []bundle.Algorithm{{
			VanityURL: "foo/bar", Algorithm: "Neo/Hello/" + strings.Repeat("a", 40), Replicas: 2, Image: algorithm,
			Runtime: constellation.Runtime{}.WithDefaults(),
		}},
	}
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// image makes an image and stores its parts.
func (m *mother) image(t *testing.T, size int64, layers int64) bundle.Image {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for range layers {
		layer, err := random.Layer(size, types.OCIUncompressedLayer)
		if err != nil {
			t.Fatal(err)
		}
		if base, err = mutate.AppendLayers(base, layer); err != nil {
			t.Fatal(err)
		}
	}
	image, err := mutate.Config(base, v1.Config{User: "65532"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := image.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	list, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range list {
		r, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		m.blobs[bundle.Digest(data)] = data
		if layers > 1 {
			m.layers = append(m.layers, bundle.Digest(data))
		}
	}
	m.blobs[bundle.Digest(raw)], m.blobs[bundle.Digest(config)] = raw, config
	mediaType, err := image.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	return bundle.Image{Repository: "neo/hello", Digest: bundle.Digest(raw), MediaType: string(mediaType), Platforms: []string{"linux/amd64"}}
}

func (m *mother) setFault(f func(http.ResponseWriter, *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func (m *mother) serve(w http.ResponseWriter, r *http.Request) {
	m.requests.Add(1)
	if r.Header.Get("Authorization") != "Bearer "+goodKey {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"code":2002,"message":"the API key is not known"}}`)
		return
	}
	m.mu.Lock()
	fault := m.fault
	m.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if r.URL.Path == "/v1/satellites/"+satelliteID+"/launches/"+launchID+"/plan" {
		m.servePlan(w, r)
		return
	}
	digest := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if len(m.layers) > 0 && digest == m.layers[0] {
		m.largest.Add(1)
	}
	data, ok := m.blobs[digest]
	if !ok || !strings.HasPrefix(r.URL.Path, "/v2/satellites/"+satelliteID+"/") {
		http.NotFound(w, r)
		return
	}
	m.mu.Lock()
	if header := r.Header.Get("Range"); header != "" {
		m.ranges = append(m.ranges, header)
	}
	m.mu.Unlock()
	w.Header().Set("ETag", `"`+digest+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (m *mother) blobRequests() int64 { return m.largest.Load() }

func (m *mother) servePlan(w http.ResponseWriter, r *http.Request) {
	etag := `"` + bundle.PlanTag(m.bundle.Root, m.bundle.Signature) + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	signature, _ := json.Marshal(m.bundle.Signature)
	_ = json.NewEncoder(w).Encode(apiv1.SignedPlan{
		Launch: string(m.bundle.Root), Signature: signature, Plan: string(m.bundle.Plan),
		Bundle: "satellites/" + satelliteID + ":" + launchID, Index: bundle.Digest(m.bundle.Index),
	})
}

// layout writes the bundle as another tool lays it out, with whatever root and
// signature it has now.
func (m *mother) layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	blob := func(mediaType string, data []byte) map[string]any {
		write("blobs/sha256/"+strings.TrimPrefix(bundle.Digest(data), "sha256:"), data)
		return map[string]any{"mediaType": mediaType, "digest": bundle.Digest(data), "size": len(data)}
	}
	encode := func(value any) []byte {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for digest, data := range m.blobs {
		write("blobs/sha256/"+strings.TrimPrefix(digest, "sha256:"), data)
	}
	root := blob(bundle.MediaTypeRoot, m.bundle.Root)
	root["annotations"] = map[string]string{bundle.AnnotationSignature: string(encode(m.bundle.Signature))}
	carrier := blob(string(types.OCIManifestSchema1), encode(map[string]any{"schemaVersion": 2, "mediaType": types.OCIManifestSchema1,
		"config": blob("application/vnd.oci.empty.v1+json", []byte("{}")), "layers": []any{blob(bundle.MediaTypePlan, m.bundle.Plan), root}}))
	carrier["annotations"] = map[string]string{bundle.AnnotationPlan: "true"}
	var index v1.IndexManifest
	if err := json.Unmarshal(m.bundle.Index, &index); err != nil {
		t.Fatal(err)
	}
	manifests := []any{}
	for _, d := range index.Manifests[:len(index.Manifests)-1] {
		manifests = append(manifests, d)
	}
	whole := blob(string(types.OCIImageIndex), encode(map[string]any{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": append(manifests, carrier)}))
	write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	write("index.json", encode(map[string]any{"schemaVersion": 2, "manifests": []any{whole}}))
	return dir
}

func folder(t *testing.T) store.Folder {
	t.Helper()
	return store.Folder{Root: t.TempDir(), SatelliteID: satelliteID, LaunchID: launchID}
}

// options gets from m without waiting between attempts.
func (m *mother) options() install.GetOptions {
	return install.GetOptions{
		Mothership: m.URL, Key: goodKey, Progress: progress.New(io.Discard),
		Backoff: func(int) time.Duration { return 0 },
	}
}
