package loadtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// Written is what servers acknowledged.
type Written struct {
	Client

	Mu         sync.Mutex        // guards what follows
	Satellites map[string]string // name of each id
	Images     map[string]string // digest of each Git hash
	Newest     string            // the Git hash of the last image
}

// NewWritten returns nothing that was written yet.
func NewWritten(c Client) *Written {
	return &Written{Client: c, Satellites: map[string]string{}, Images: map[string]string{}}
}

// WriteSatellite makes a satellite, and notes it once it is acknowledged.
func (w *Written) WriteSatellite(ctx context.Context) error {
	label := "satellite " + strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // a name
	var made struct{ ID string }
	status, err := w.Call(ctx, "POST", "/v1/satellites", `{"name":"`+label+`","algorithms":[]}`, &made)
	if err != nil {
		return err
	}
	if status != http.StatusCreated {
		return fmt.Errorf("POST /v1/satellites: %d", status)
	}
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Satellites[made.ID] = label
	return nil
}

// PushImage pushes a new image, and notes it once it is acknowledged.
func (w *Written) PushImage(ctx context.Context) error {
	image, err := RandomImage()
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32()) //nolint:gosec // a name
	reference, err := w.Reference(hash)
	if err != nil {
		return err
	}
	if err := remote.Write(reference, image, w.Options(ctx)...); err != nil {
		return err
	}
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Images[hash], w.Newest = digest.String(), hash
	return nil
}

// RandomImage returns one that nobody has pushed before.
func RandomImage() (v1.Image, error) {
	image, err := random.Image(32<<10, 2)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	return mutate.ConfigFile(image, config)
}

// Check looks for what was acknowledged: at most so many satellites and
// images, 0 for all.
func (w *Written) Check(t testing.TB, satellites, images int) {
	t.Helper()
	seen := 0
	for id, label := range w.Satellites {
		if seen++; satellites > 0 && seen > satellites {
			break
		}
		var got struct{ Name string }
		status, err := w.Call(t.Context(), "GET", "/v1/satellites/"+id, "", &got)
		if err != nil || status != 200 || got.Name != label {
			t.Fatalf("the acknowledged %s: %d %q, %v", label, status, got.Name, err)
		}
	}
	seen = 0
	for hash := range w.Images {
		if seen++; images > 0 && seen > images {
			break
		}
		w.checkImage(t, hash)
	}
	if w.Newest != "" {
		w.checkImage(t, w.Newest)
	}
}

func (w *Written) checkImage(t testing.TB, hash string) {
	t.Helper()
	var version struct{ State string }
	status, err := w.Call(t.Context(), "GET", "/v1/algorithms/neo/crash/versions/"+hash, "", &version)
	if err != nil || status != 200 || version.State != "ready" {
		t.Fatalf("the acknowledged version %s: %d %q, %v", hash, status, version.State, err)
	}
	reference, err := w.Reference(hash)
	if err != nil {
		t.Fatal(err)
	}
	var image v1.Image
	if image, err = remote.Image(reference, w.Options(t.Context())...); err == nil {
		err = validate.Image(image)
	}
	if err != nil {
		t.Fatalf("the pushed image %s: %v", hash, err)
	}
	if got, err := image.Digest(); err != nil || got.String() != w.Images[hash] {
		t.Fatalf("the pushed image %s has the digest %s, want %s (%v)", hash, got, w.Images[hash], err)
	}
}
