package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/stack"
)

// weightsMB is how large the weights are. CONSTELLATION_WEIGHTS_MB has others tried:
// make weights takes a gigabyte.
const weightsMB = 64

// weights has three algorithms read the same weights, in a namespace that enforces
// the restricted Pod Security standard, then brings new code: none of the
// weights moves again.
func (j *journey) weights(t *testing.T) {
	size := int64(weightsMB << 20)
	if text := os.Getenv("CONSTELLATION_WEIGHTS_MB"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		size = n * 1e6
	}
	artifact, sum := j.pushWeights(t, size)
	var table strings.Builder
	fmt.Fprintf(&table, "weights of %d MB, read by 3 algorithms\n%-28s %14s %14s %10s\n", size/1e6, "", "get, bytes", "push, bytes", "ready in")
	bring := func(what, code string, mounts []apiv1.WeightsMount) (moved int64) {
		got, pushed, took := j.bring(t, code, mounts)
		fmt.Fprintf(&table, "%-28s %14d %14d %9.1fs\n", what, got, pushed, took.Seconds())
		return max(got, pushed)
	}
	mounts := []apiv1.WeightsMount{{Artifact: artifact, Path: "/models/m"}}
	bring("without weights", j.hello, []apiv1.WeightsMount{})
	if moved := bring("with weights", j.hello, mounts); moved < size || moved > size+size/10 {
		t.Errorf("weights of %d bytes moved %d, want them once for three algorithms", size, moved)
	}
	j.readWeights(t, sum)
	next, err := j.PushExample(t.Context(), "python", "neo", stack.HashB)
	if err != nil {
		t.Fatal(err)
	}
	if moved := bring("new code, same weights", next, mounts); moved > size/10 {
		t.Errorf("new code moved %d bytes, want none of the weights' %d", moved, size)
	}
	j.readWeights(t, sum)
	t.Log(table.String())
}

// bring makes the next version of the satellite, and brings it to the cluster.
func (j *journey) bring(t *testing.T, code string, mounts []apiv1.WeightsMount) (got, pushed int64, took time.Duration) {
	t.Helper()
	var list []apiv1.SatelliteAlgorithm
	for _, url := range []string{"pipe/python", "pipe/second", "pipe/third"} {
		list = append(list, apiv1.SatelliteAlgorithm{Algorithm: code, VanityURL: url, Replicas: 1, Weights: mounts})
	}
	version, err := j.Client.CreateSatelliteVersion(t.Context(), j.satelliteID, "", list)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Client.UpdateLaunch(t.Context(), j.satelliteID, j.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &version.Number}); err != nil {
		t.Fatal(err)
	}
	var fetched install.GetResult
	j.decoded(t, &fetched, "get", j.AdminKey, "-o", "json")
	var sent install.PushResult
	j.decoded(t, &sent, "push", "-o", "json")
	began := time.Now()
	j.operate(t, "deploy")
	return fetched.Fetched, sent.Bytes, time.Since(began)
}

func (j *journey) decoded(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(j.operate(t, args...)), into); err != nil {
		t.Fatalf("%v: %v", args[0], err)
	}
}

func (j *journey) readWeights(t *testing.T, sum string) {
	t.Helper()
	for _, url := range []string{"pipe/python", "pipe/second", "pipe/third"} {
		j.callUntil(t, j.key, url, "application/json", `{"read":"/models/m/model/weights.bin"}`, 200, `"sha256":"`+sum+`"`, `"writable":false`)
	}
}

// pushWeights pushes one file of size bytes as weights, as oras does. It returns
// OWNER/NAME/HASH and the file's sum.
func (j *journey) pushWeights(t *testing.T, size int64) (artifact, sum string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weights.bin")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(file, hash), rand.NewChaCha8([32]byte{1}), size); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	layer, err := partial.CompressedToLayer(fileLayer{path, sum, size})
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.oci.empty.v1+json"),
		mutate.Addendum{Layer: layer, MediaType: types.OCIUncompressedLayer, Annotations: map[string]string{"org.opencontainers.image.title": "model/weights.bin"}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(j.Mothership.Host+"/neo/weights:"+stack.HashA, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context()), remote.WithAuth(&authn.Basic{Username: stack.AdminUsername, Password: j.AdminKey})); err != nil {
		t.Fatal(err)
	}
	return "neo/weights/" + stack.HashA, sum
}

// fileLayer is a file as a layer, as it is.
type fileLayer struct {
	path, sum string
	size      int64
}

func (f fileLayer) Digest() (v1.Hash, error) {
	return v1.Hash{Algorithm: "sha256", Hex: f.sum}, nil
}
func (f fileLayer) Compressed() (io.ReadCloser, error)  { return os.Open(f.path) }
func (f fileLayer) Size() (int64, error)                { return f.size, nil }
func (f fileLayer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }
func (f fileLayer) DiffID() (v1.Hash, error)            { return f.Digest() }
