// Package transfer counts the bytes of a launch's whole way: from a real
// mothership into an operator's folder, and from there into a real registry.
package transfer

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/stack"
)

const account = "ada"

// world is a mothership and a customer's registry, each behind a wire, and an
// operator between them.
type world struct {
	bin, dir   string
	flags      []string // of serve
	mothership *stack.Mothership
	client     *client.Client
	key        string
	away       *wire // to the mothership, as get goes
	registry   *wire // to the customer's registry
	itself     *wire // to the mothership as a registry that is pushed to

	satellite, launch string
}

func newWorld(t *testing.T, flags ...string) *world {
	t.Helper()
	w := &world{bin: os.Getenv("CONSTELLATION_BIN"), flags: flags}
	if w.bin == "" {
		t.Skip("needs CONSTELLATION_BIN (the folder with the built programs): run make test")
	}
	var err error
	if w.dir, err = os.MkdirTemp("", "constellation-transfer-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(w.dir) })
	if err := os.Chmod(w.dir, 0o755); err != nil { // PostgreSQL's user must reach its data
		t.Fatal(err)
	}
	w.startMothership(t)
	customer, err := stack.StartCustomerRegistry(t.Context(), filepath.Join(w.dir, "registry"), "127.0.0.1:0", "zion")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = customer.Stop() })
	w.away, w.itself, w.registry = newWire(t, w.mothership.Host), newWire(t, w.mothership.Host), newWire(t, customer.Address)
	w.logIn(t, map[string]string{w.registry.address: customer.Username + ":" + customer.Password, w.itself.address: account + ":" + w.key})
	return w
}

func (w *world) startMothership(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var err error
	if w.mothership, err = stack.StartMothership(ctx, filepath.Join(w.bin, "mothership"), filepath.Join(w.dir, "mothership"), "127.0.0.1:0", w.flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.mothership.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err = w.mothership.Administer(ctx, "a long enough password\n", "account", "create", account, "--role", "admin", "--password-stdin"); err == nil {
		w.key, err = w.mothership.Administer(ctx, "", "api-key", "create", "--account", account, "--role", "admin")
	}
	if err != nil {
		t.Fatal(err)
	}
	w.client = client.New(w.mothership.URL, w.key, &http.Client{Timeout: time.Minute})
}

// serveAgain starts a mothership that was killed, where it was.
func (w *world) serveAgain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	again, err := stack.StartMothership(ctx, filepath.Join(w.bin, "mothership"), filepath.Join(w.dir, "mothership"), w.mothership.Host, w.flags...)
	if err != nil {
		t.Fatal(err)
	}
	w.mothership = again
}

// logIn writes what `docker login` would.
func (w *world) logIn(t *testing.T, logins map[string]string) {
	t.Helper()
	auths := map[string]any{}
	for host, login := range logins {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// layer makes one of random bytes, which nothing compresses.
func layer(t *testing.T, size int64) v1.Layer {
	t.Helper()
	l, err := random.Layer(size, types.OCIUncompressedLayer)
	if err != nil {
		t.Fatal(err)
	}
	// Packed and not compressed, which takes longer than all that becomes of it.
	packed, err := tarball.LayerFromOpener(l.Uncompressed, tarball.WithCompressionLevel(gzip.NoCompression), tarball.WithMediaType(types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// publish pushes an image of layers as a version of the algorithm NAME; it
// gives the version's reference, and how large the layers of its own are with
// its configuration and manifest.
func (w *world) publish(t *testing.T, algorithm string, number int, shared, own v1.Layer) (reference string, size int64) {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(base, shared, own)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Author = "linux", "amd64", fmt.Sprint(algorithm, number)
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	hash := strings.Repeat(fmt.Sprintf("%02x", number), 20)
	ref, err := name.ParseReference(w.mothership.Host+"/"+account+"/"+algorithm+":"+hash, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context()), remote.WithAuth(&authn.Basic{Username: account, Password: w.key})); err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	written, err := image.Size()
	if err != nil {
		t.Fatal(err)
	}
	return account + "/" + algorithm + "/" + hash, written + manifest.Config.Size + manifest.Layers[1].Size
}

// launches makes a satellite of the algorithms and a launch of it.
func (w *world) launches(t *testing.T, list []apiv1.SatelliteAlgorithm) {
	t.Helper()
	satellite, err := w.client.CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "ten", Algorithms: list})
	if err != nil {
		t.Fatal(err)
	}
	launch, err := w.client.CreateLaunch(t.Context(), satellite.ID, apiv1.LaunchCreate{SatelliteVersion: 1, Name: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	w.satellite, w.launch = satellite.ID, launch.ID
}

// edit gives the satellite a next version, and the launch that one.
func (w *world) edit(t *testing.T, list []apiv1.SatelliteAlgorithm) {
	t.Helper()
	version, err := w.client.CreateSatelliteVersion(t.Context(), w.satellite, "", list)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.client.UpdateLaunch(t.Context(), w.satellite, w.launch, "", apiv1.LaunchUpdate{SatelliteVersion: &version.Number}); err != nil {
		t.Fatal(err)
	}
}

// command is a verb on the launch, as the operator gives it.
func (w *world) command(args ...string) stack.Command {
	return stack.Command{
		Args: append([]string{filepath.Join(w.bin, "algo-install"), "satellite", w.satellite, w.launch}, args...),
		Env: []string{"ALGO_DEPLOYMENT_DIR=" + filepath.Join(w.dir, "deployment"), "ALGO_MOTHERSHIP=http://" + w.away.address,
			"ALGO_ADMIN_API_KEY=" + w.key, "DOCKER_CONFIG=" + w.dir},
	}
}

// operate runs a verb and reads its result.
func (w *world) operate(t *testing.T, result any, args ...string) {
	t.Helper()
	out, err := w.command(append(args, "-o", "json")...).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), result); err != nil {
		t.Fatalf("%v: %v in %s", args, err, out)
	}
}
