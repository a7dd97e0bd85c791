package transfer

import (
	"context"
	"fmt"
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
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

// importSize is how large the image is that is imported: CONSTELLATION_IMPORT_BYTES, or
// 64 MiB.
func importSize(t *testing.T) int64 {
	t.Helper()
	text := os.Getenv("CONSTELLATION_IMPORT_BYTES")
	if text == "" {
		return 64 << 20
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size < 8<<20 {
		t.Fatalf("CONSTELLATION_IMPORT_BYTES is %q, want a number of bytes from 8 MiB on", text)
	}
	return size
}

// source is a registry elsewhere with a login, behind a wire that counts.
type source struct {
	*stack.CustomerRegistry
	wire *wire
}

func newSource(t *testing.T, w *world) *source {
	t.Helper()
	registry, err := stack.StartCustomerRegistry(t.Context(), filepath.Join(w.dir, "source"), "127.0.0.1:0", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Stop() })
	s := &source{registry, newWire(t, registry.Address)}
	_, err = w.client.CreateRegistry(t.Context(), apiv1.RegistryCreate{Host: s.wire.address, PlainHTTP: true, Username: registry.Username, Password: registry.Password})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// push pushes an image for linux/amd64 of layers with so many bytes in all.
func (s *source) push(t *testing.T, path string, size int64, layers int64) {
	t.Helper()
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var list []v1.Layer
	for range layers {
		list = append(list, layer(t, size/layers))
	}
	image, err := mutate.AppendLayers(base, list...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Author = "linux", "amd64", path
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(s.Address+"/"+path, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context()), remote.WithAuth(&authn.Basic{Username: s.Username, Password: s.Password})); err != nil {
		t.Fatal(err)
	}
}

// ready waits for a version that is being imported.
func (w *world) ready(t *testing.T, owner, algorithm, hash string) *apiv1.AlgorithmVersion {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	for {
		v, err := w.client.GetAlgorithmVersion(ctx, owner, algorithm, hash)
		if err != nil {
			t.Fatal(err)
		}
		if v.State != "importing" {
			if v.State != "ready" {
				t.Fatalf("the version is %s: %s", v.State, *v.Import.Error)
			}
			return v
		}
		time.Sleep(50 * time.Millisecond) // a poll, with an end
	}
}

// An import of a registry with a login goes on when its mothership is killed half way,
// and nearly nothing comes twice; afterwards the registry is gone, and the bundle is
// downloaded and pushed all the same.
func TestImportKilledInTheMiddle(t *testing.T) {
	size := importSize(t)
	w := newWorld(t, "--outbound-allow", "127.0.0.1")
	s := newSource(t, w)
	s.push(t, "team/model:v1", size, 4)
	hash := strings.Repeat("ab", 20)
	s.wire.reset()
	begun := time.Now()
	_, err := w.client.ImportVersion(t.Context(), account, "imported", apiv1.AlgorithmVersionImport{GitHash: hash, Image: s.wire.address + "/team/model:v1"})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := begun.Add(5 * time.Minute); s.wire.down.Load() < size/2; {
		if time.Now().After(deadline) {
			t.Fatalf("after five minutes %d bytes of %d came", s.wire.down.Load(), size)
		}
		time.Sleep(time.Millisecond) // a poll, with an end
	}
	if err := w.mothership.Kill(); err != nil {
		t.Fatal(err)
	}
	killed, half := s.wire.down.Load(), time.Since(begun)
	begun = time.Now()
	w.serveAgain(t)
	up := time.Since(begun)
	w.ready(t, account, "imported", hash)
	total := s.wire.down.Load()
	t.Logf("%d bytes: %d came in %s until the kill; the server was up after %s and the version ready %s later; %d bytes came in all",
		size, killed, half.Round(time.Millisecond), up.Round(time.Millisecond), (time.Since(begun) - up).Round(time.Millisecond), total)
	// Three layers are fetched at once, of each of which what was in memory comes again.
	if most := size + size/4 + talk; total > most {
		t.Errorf("%d bytes came in all for an image of %d, want at most %d", total, size, most)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	w.launches(t, []apiv1.SatelliteAlgorithm{{Algorithm: fmt.Sprintf("%s/imported/%s", account, hash), VanityURL: "ten/imported", Replicas: 1}})
	if got := w.get(t); got < size {
		t.Errorf("get took %d bytes, want at least the image's %d", got, size)
	}
	if got := w.pushTo(t, w.registry, "single"); got < size {
		t.Errorf("push took %d bytes, want at least the image's %d", got, size)
	}
}

// A mirror of distribution's registry makes versions of its tags; afterwards the
// registry is gone, and their bundle is downloaded and pushed all the same.
func TestMirroredBundle(t *testing.T) {
	w := newWorld(t, "--outbound-allow", "127.0.0.1")
	s := newSource(t, w)
	s.push(t, "team/model:v1.0.0", 1<<20, 1)
	s.push(t, "team/model:v1.1.0", 1<<20, 1)
	s.push(t, "team/model:latest", 1<<20, 1)
	m, err := w.client.CreateMirror(t.Context(), apiv1.MirrorCreate{Algorithm: account + "/mirrored", Source: s.wire.address + "/team/model", Tags: []string{"v*"}})
	if err != nil {
		t.Fatal(err)
	}
	var list []apiv1.SatelliteAlgorithm
	for deadline := time.Now().Add(time.Minute); ; {
		tags, err := w.client.MirrorTags(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		list = nil
		for _, tag := range tags {
			if tag.State != nil && *tag.State == "ready" {
				list = append(list, apiv1.SatelliteAlgorithm{Algorithm: account + "/mirrored/" + *tag.GitHash, VanityURL: "ten/" + tag.Tag, Replicas: 1})
			}
		}
		if len(tags) == 2 && len(list) == 2 {
			break
		}
		if time.Now().After(deadline) {
			m, err := w.client.GetMirror(t.Context(), m.ID)
			t.Fatalf("after a minute the tags are %+v, of %+v, %v", tags, m, err)
		}
		time.Sleep(50 * time.Millisecond) // a poll, with an end
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	w.launches(t, list)
	w.get(t)
	w.pushTo(t, w.registry, "single")
}
