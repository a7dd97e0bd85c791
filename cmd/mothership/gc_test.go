package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// TestCollectSurvivesKills pushes versions of the same few layers and removes them,
// while garbage collections without any grace are killed with SIGKILL, and the server
// now and then too. CONSTELLATION_CRASH_ROUNDS says how often; the default is 3.
func TestCollectSurvivesKills(t *testing.T) {
	t.Parallel()
	g := newGCCrasher(t, newCrasher(t))
	g.survives(t, func() int64 { return storedBytes(t, g.dir) })
	uploads := filepath.Join(g.dir, "registry/docker/registry/v2/repositories/neo/crash/_uploads")
	if left, err := os.ReadDir(uploads); err == nil && len(left) > 0 {
		t.Errorf("%d uploads are left", len(left))
	}
}

// TestCollectInABucketSurvivesKills is TestCollectSurvivesKills where the images are in
// an object store.
func TestCollectInABucketSurvivesKills(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	g := newGCCrasher(t, newCrasherIn(t, dataDir(t), "--storage", store.Text("registry")))
	g.survives(t, func() int64 { return store.Bytes(t, "registry/docker/registry/v2/blobs/") })
}

// crashRounds is how often things are killed: CONSTELLATION_CRASH_ROUNDS, or 3.
func crashRounds(t *testing.T) int {
	t.Helper()
	s := os.Getenv("CONSTELLATION_CRASH_ROUNDS")
	if s == "" {
		return 3
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("CONSTELLATION_CRASH_ROUNDS is a number of rounds; not %q", s)
	}
	return n
}

// newGCCrasher makes the layers that are pushed.
func newGCCrasher(t *testing.T, c *crasher) *gcCrasher {
	t.Helper()
	g := &gcCrasher{crasher: c}
	for range 6 {
		layer, err := random.Layer(64<<10, types.DockerLayer)
		if err != nil {
			t.Fatal(err)
		}
		g.layers = append(g.layers, layer)
	}
	return g
}

// survives kills in rounds and wants every image whole, and in the end as many bytes
// stored as before.
func (g *gcCrasher) survives(t *testing.T, stored func() int64) {
	t.Helper()
	rounds := crashRounds(t)
	_, kill := g.begin(t)
	g.gcWhole(t)
	before := stored()
	for round := range rounds {
		if kill == nil {
			_, kill = g.begin(t)
		}
		g.Check(t, 0, 10)
		g.round(t, round%4 == 3, kill)
		if round%4 == 3 {
			kill = nil
		}
	}
	if kill == nil {
		_, kill = g.begin(t)
	}
	g.Check(t, 0, 0)
	t.Logf("%d rounds: %d versions pushed, %d pushes sent a layer again, %d removed, %d stay and are whole", rounds, g.pushed, g.again, g.removed, len(g.Images))
	if g.pushed == 0 || g.removed == 0 {
		t.Error("nothing was pushed or removed between the kills, so nothing was tested")
	}
	g.verify(t)
	g.removeAll(t)
	age(t, filepath.Join(g.dir, "registry/docker/registry/v2/repositories/neo/crash/_uploads"))
	g.gcWhole(t)
	if after := stored(); after != before {
		t.Errorf("%d bytes of blobs are stored after all versions went; %d were before", after, before)
	}
	g.verify(t)
	kill()
}

// gcCrasher pushes the same layers over and over.
type gcCrasher struct {
	*crasher
	layers                 []v1.Layer
	env                    []string // of garbage collections
	pushed, again, removed int
}

func (g *gcCrasher) begin(t *testing.T) (*instance, func()) {
	t.Helper()
	i, kill := g.serve(t)
	g.Client = loadtest.Client{URL: i.url, Key: g.Key}
	return i, kill
}

// gc is a garbage collection without grace, as a process.
func (g *gcCrasher) gc(ctx context.Context, more ...string) *exec.Cmd {
	args := append([]string{"gc", "--gc-grace", "0s", "--gc-tag-grace", "0s", "--data-dir", g.dir, "-o", "json"}, g.args...)
	cmd := exec.CommandContext(ctx, os.Args[0], append(args, more...)...)
	cmd.Env = append(os.Environ(), append(g.env, "MOTHERSHIP_TEST_MAIN=1")...)
	return cmd
}

// verify finds every image whole, and every sum that is kept as it is.
func (g *gcCrasher) verify(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"storage", "verify", "--data-dir", g.dir}, g.args...)...)
	cmd.Env = append(os.Environ(), append(g.env, "MOTHERSHIP_TEST_MAIN=1")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("storage verify: %v: %s", err, out)
	}
}

// gcWhole runs a garbage collection to its end.
func (g *gcCrasher) gcWhole(t *testing.T) {
	t.Helper()
	cmd := g.gc(t.Context())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gc: %v: %s", err, stderr.String())
	}
	var done collectedOutput
	if err := json.Unmarshal(out, &done); err != nil {
		t.Fatalf("gc -o json prints %q: %v", out, err)
	}
}

// round pushes and removes under a garbage collection that is killed, with the server
// or alone.
func (g *gcCrasher) round(t *testing.T, server bool, kill func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second+rand.N(2*time.Second))
	defer cancel()
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() { g.repeat(ctx, t, g.pushAndRemove) })
	}
	collecting, stop := context.WithCancel(t.Context())
	workers.Go(func() {
		for collecting.Err() == nil {
			limited, end := context.WithTimeout(collecting, 200*time.Millisecond+rand.N(1500*time.Millisecond))
			_ = g.gc(limited).Run() // killed, mostly
			end()
		}
	})
	<-ctx.Done()
	stop()
	if server {
		kill()
	}
	workers.Wait()
}

// pushAndRemove pushes a version of two of the layers, as often as it is told to send
// one again, and removes most versions again.
func (g *gcCrasher) pushAndRemove(ctx context.Context) error {
	first := rand.N(len(g.layers))
	image, err := imageOf(g.layers[first], g.layers[(first+1)%len(g.layers)])
	if err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%016x%016x%08x", rand.Uint64(), rand.Uint64(), rand.Uint32())
	reference, err := g.Reference(hash)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := remote.Write(reference, image, g.Options(ctx)...)
		if err == nil {
			break
		}
		if !sendsAgain(err) || attempt == 20 {
			return err
		}
		g.Mu.Lock()
		g.again++
		g.Mu.Unlock()
	}
	g.Mu.Lock()
	g.Images[hash], g.Newest = digest.String(), hash
	g.pushed++
	oldest := ""
	if len(g.Images) > 5 {
		for oldest = range g.Images {
			if oldest != hash {
				break
			}
		}
		delete(g.Images, oldest)
	}
	g.Mu.Unlock()
	if oldest == "" {
		return nil
	}
	if err := g.delete(ctx, oldest); err != nil {
		return err
	}
	g.Mu.Lock()
	g.removed++
	g.Mu.Unlock()
	return nil
}

func (g *gcCrasher) delete(ctx context.Context, hash string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, g.URL+"/v1/algorithms/neo/crash/versions/"+hash, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Simple "+g.Key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("DELETE version %s: %d", hash, response.StatusCode)
	}
	return nil
}

// removeAll checks and removes every version that there is, also of those that nobody
// heard about.
func (g *gcCrasher) removeAll(t *testing.T) {
	t.Helper()
	for {
		var page struct {
			Results []struct {
				GitHash string `json:"git_hash"`
			}
		}
		if _, err := g.Call(t.Context(), http.MethodGet, "/v1/algorithms/neo/crash/versions?limit=100", "", &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Results) == 0 {
			return
		}
		for _, v := range page.Results {
			reference, err := g.Reference(v.GitHash)
			if err != nil {
				t.Fatal(err)
			}
			image, err := remote.Image(reference, g.Options(t.Context())...)
			if err == nil {
				err = validate.Image(image)
			}
			if err != nil {
				t.Errorf("the image of version %s: %v", v.GitHash, err)
			}
			if err := g.delete(t.Context(), v.GitHash); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sendsAgain reports whether a push is told that a layer is not there any more, so
// that its client sends it again.
func sendsAgain(err error) bool {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return false
	}
	for _, d := range refused.Errors {
		switch d.Code {
		case transport.ManifestBlobUnknownErrorCode, transport.BlobUnknownErrorCode:
			return true
		}
	}
	return refused.StatusCode == http.StatusServiceUnavailable
}

// imageOf is an image that nobody has pushed before, of layers that others have.
func imageOf(layers ...v1.Layer) (v1.Image, error) {
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Author = strconv.FormatUint(rand.Uint64(), 36)
	return mutate.ConfigFile(image, config)
}

// plainLayer is a layer of random bytes that is packed and not compressed: with the race
// detector that takes longer than all that becomes of the layer.
func plainLayer(size int64) (v1.Layer, error) {
	layer, err := random.Layer(size, types.DockerLayer)
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(layer.Uncompressed, tarball.WithCompressionLevel(gzip.NoCompression))
}

// storedBytes adds up the blobs of a data dir's registry.
func storedBytes(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "registry/docker/registry/v2/blobs"), func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was pushed yet
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// age makes the files of a folder, if there is one, a day old.
func age(t *testing.T, dir string) {
	t.Helper()
	yesterday := time.Now().Add(-24 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, yesterday, yesterday)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
