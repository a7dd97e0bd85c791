package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/space"
)

// collect runs a garbage collection without grace.
func (w *world) collect(o space.CollectOptions) *space.Collected {
	w.t.Helper()
	c, err := w.control.Collect(w.t.Context(), control.Shell(), o)
	if err != nil {
		w.t.Fatalf("collect: %v", err)
	}
	return c
}

// stored are the bytes of blobs in the store, by what distribution has in its folders.
func (w *world) stored() (total int64, repositories map[string]int64) {
	w.t.Helper()
	root := filepath.Join(w.dir, "docker/registry/v2")
	sizes := map[string]int64{}
	repositories = map[string]int64{}
	err := filepath.WalkDir(filepath.Join(root, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "data" {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		sizes[filepath.Base(filepath.Dir(path))] = info.Size()
		total += info.Size()
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(filepath.Join(root, "repositories"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "link" || strings.Contains(path, "/tags/") {
			return err
		}
		rest, _ := filepath.Rel(filepath.Join(root, "repositories"), path)
		name, _, _ := strings.Cut(rest, "/_")
		hex := filepath.Base(filepath.Dir(path))
		if key := name + "@" + hex; !seen[key] {
			seen[key] = true
			repositories[name] += sizes[hex]
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return total, repositories
}

// checkUsage holds what is counted against what is stored.
func (w *world) checkUsage() {
	w.t.Helper()
	total, repositories := w.stored()
	usage, err := w.control.Usage(w.t.Context(), control.Shell(), control.UsageShown)
	if err != nil {
		w.t.Fatal(err)
	}
	if usage.Total.Bytes != total {
		w.t.Errorf("%d bytes are counted, %d are stored", usage.Total.Bytes, total)
	}
	counted := map[string]int64{}
	for _, r := range usage.Repositories {
		counted[r.Name] = r.Bytes
	}
	for name, bytes := range repositories {
		if bytes == 0 {
			delete(repositories, name)
		}
	}
	if diff := cmp.Diff(repositories, counted); diff != "" {
		w.t.Errorf("bytes by repository (-stored +counted):\n%s", diff)
	}
	if faults, err := w.control.SumFaults(w.t.Context(), control.Shell(), 10); err != nil || len(faults) > 0 {
		w.t.Errorf("sums differ: %+v, %v", faults, err)
	}
}

// pull validates an image as a client gets it.
func (w *world) pull(ref string) error {
	image, err := remote.Image(w.reference(ref), as("admin", w.admin), remote.WithContext(w.t.Context()))
	if err != nil {
		return err
	}
	return validate.Image(image)
}

// base is an image of some layers, for the platform that algorithms have.
func layered(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func layerOf(t *testing.T, size int64) v1.Layer {
	t.Helper()
	layer, err := random.Layer(size, types.DockerLayer)
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func gitHash(n int) string { return fmt.Sprintf("%040x", n) }

func TestCollectFreesWhatNoVersionNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared, own, other := layerOf(t, 5000), layerOf(t, 3000), layerOf(t, 2000)
	w.mustPush("acme/one:"+gitHash(1), layered(t, shared, own))
	w.mustPush("acme/one:"+gitHash(2), layered(t, shared, other))
	w.mustPush("acme/two:"+gitHash(3), layered(t, shared))
	w.mustPush("acme/two:latest", layered(t, layerOf(t, 1000)))
	w.systemReady()
	w.collect(space.CollectOptions{TagGrace: time.Hour}) // counts what the system image takes
	w.checkUsage()
	before, _ := w.stored()

	ref := constellation.AlgorithmRef{Owner: "acme", Name: "one", Hash: gitHash(1)}
	if err := w.control.DeleteAlgorithmVersion(t.Context(), control.Shell(), ref, nil); err != nil {
		t.Fatal(err)
	}
	if c := w.collect(space.CollectOptions{Grace: time.Hour, TagGrace: time.Hour}); c.Blobs != 0 {
		t.Errorf("within the grace, %d blobs went", c.Blobs)
	}
	w.remembers(0)
	if err := w.control.FindGarbage(t.Context()); err != nil { // what this server leaves is all that is new
		t.Fatal(err)
	}
	w.remembers(0)
	dry := w.collect(space.CollectOptions{TagGrace: time.Hour, DryRun: true})
	if now, _ := w.stored(); now != before {
		t.Errorf("a dry run removed %d bytes", before-now)
	}
	if len(dry.Repositories) != 1 || dry.Repositories[0].Name != "acme/one" {
		t.Errorf("a dry run finds %+v, want something of acme/one alone", dry.Repositories)
	}
	c := w.collect(space.CollectOptions{TagGrace: time.Hour})
	after, _ := w.stored()
	if c.Bytes != before-after || c.Bytes != dry.Expected || c.Bytes < 3000 || c.Manifests != 1 {
		t.Errorf("it says that %d manifests and %d bytes went, expected %d; %d bytes are gone", c.Manifests, c.Bytes, dry.Expected, before-after)
	}
	for _, ref := range []string{"acme/one:" + gitHash(2), "acme/two:" + gitHash(3), "acme/two:latest"} {
		if err := w.pull(ref); err != nil {
			t.Errorf("pull %s: %v", ref, err)
		}
	}
	w.checkUsage()
	w.remembers(0)
	if err := w.pull("acme/one:" + gitHash(1)); err == nil {
		t.Error("the removed version can still be pulled")
	}
	w.mustPush("acme/one:"+gitHash(1), layered(t, shared, own)) // the hash is free
	if err := w.pull("acme/one:" + gitHash(1)); err != nil {
		t.Errorf("pushed again: %v", err)
	}
	w.collect(space.CollectOptions{}) // no grace for tags either
	if err := w.pull("acme/two:latest"); err == nil {
		t.Error("a tag that is no version is there after its grace")
	}
	w.checkUsage()
}

// remembers holds what is remembered of what a collection would free.
func (w *world) remembers(bytes int64) {
	w.t.Helper()
	usage, err := w.control.Usage(w.t.Context(), control.Shell(), 1)
	if err != nil || usage.Garbage == nil || usage.Garbage.Bytes != bytes || time.Since(usage.Garbage.FoundAt) > time.Hour {
		w.t.Errorf("what is remembered of garbage is %+v, %v, want %d bytes found out of late", usage.Garbage, err, bytes)
	}
}

// systemReady waits for the system image, so that it changes nothing meanwhile.
func (w *world) systemReady() {
	w.t.Helper()
	if _, err := w.system.System(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestCollectKeepsWhatBelongsToVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.systemReady()
	image := layered(t, layerOf(t, 2000))
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	w.mustPush("acme/index:"+gitHash(1), index)
	signature := layered(t, layerOf(t, 100))
	w.mustPush("acme/index:sha256-"+digest.Hex+".sig", signature)
	artifact := layered(t, layerOf(t, 200))
	size, err := index.Size()
	if err != nil {
		t.Fatal(err)
	}
	referrer := mutate.Subject(artifact, v1.Descriptor{MediaType: types.OCIImageIndex, Digest: digest, Size: size}).(v1.Image)
	referrerDigest, err := referrer.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(w.reference("acme/index@"+referrerDigest.String()), referrer, as("admin", w.admin)); err != nil {
		t.Fatal(err)
	}
	w.collect(space.CollectOptions{})
	for _, ref := range []string{"acme/index:" + gitHash(1), "acme/index:sha256-" + digest.Hex + ".sig", "acme/index@" + referrerDigest.String()} {
		if err := w.pull(ref); err != nil {
			t.Errorf("pull %s: %v", ref, err)
		}
	}
	ref := constellation.AlgorithmRef{Owner: "acme", Name: "index", Hash: gitHash(1)}
	if err := w.control.DeleteAlgorithmVersion(t.Context(), control.Shell(), ref, nil); err != nil {
		t.Fatal(err)
	}
	w.collect(space.CollectOptions{})
	if _, repositories := w.stored(); repositories["acme/index"] != 0 {
		t.Errorf("%d bytes of acme/index are left, of what belonged to the removed version", repositories["acme/index"])
	}
	response, body := w.do(http.MethodGet, "/v2/acme/index/referrers/"+digest.String(), nil)
	if response.StatusCode != http.StatusOK || strings.Contains(body, "digest") {
		t.Errorf("referrers of the removed version: %d %s", response.StatusCode, body)
	}
	w.checkUsage()
}

// TestCollectUnderPushes pushes, removes and collects without any grace, all at once
// and of the same few layers: the hardest that there is. A push may be told to send a
// layer again; what was acknowledged is whole.
func TestCollectUnderPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.systemReady()
	layers := make([]v1.Layer, 6)
	for i := range layers {
		layers[i] = layerOf(t, 4000)
	}
	ctx, stop := context.WithCancel(t.Context())
	var pushing, collecting sync.WaitGroup
	var collections, refused, pushed int
	collecting.Go(func() {
		for ctx.Err() == nil {
			if _, err := w.control.Collect(t.Context(), control.Shell(), space.CollectOptions{}); err != nil {
				t.Errorf("collect: %v", err)
				return
			}
			collections++
		}
	})
	var mu sync.Mutex
	for worker := range 3 {
		pushing.Go(func() {
			for i := range 15 {
				n := 1 + worker*1000 + i
				first := rand.N(len(layers))
				image := layered(t, layers[first], layers[(first+1+rand.N(len(layers)-1))%len(layers)])
				ref := fmt.Sprintf("acme/r%d:%s", worker%2, gitHash(n))
				err := w.push(ref, image)
				mu.Lock()
				if pushed++; err != nil {
					refused++
				}
				mu.Unlock()
				if err != nil {
					if !asksAgain(err) {
						t.Errorf("push %s: %v", ref, err)
					}
					continue
				}
				if err := w.pull(ref); err != nil {
					t.Errorf("the acknowledged %s: %v", ref, err)
				}
				if i%3 == 0 {
					continue // stays
				}
				parsed := constellation.AlgorithmRef{Owner: "acme", Name: fmt.Sprintf("r%d", worker%2), Hash: gitHash(n)}
				if err := w.control.DeleteAlgorithmVersion(t.Context(), control.Shell(), parsed, nil); err != nil {
					t.Errorf("remove %s: %v", ref, err)
				}
			}
		})
	}
	pushing.Wait()
	stop()
	collecting.Wait()
	t.Logf("%d pushes, %d asked to push again, under %d collections", pushed, refused, collections)
	w.collect(space.CollectOptions{})
	for _, name := range []string{"r0", "r1"} {
		versions, err := w.control.ListAlgorithmVersions(t.Context(), control.Shell(), "acme", name, control.ListQuery{Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions.Items {
			if err := w.pull("acme/" + name + ":" + v.GitHash); err != nil {
				t.Errorf("%s of acme/%s: %v", v.GitHash, name, err)
			}
		}
	}
	w.checkUsage()
}

// asksAgain reports whether a push was refused because a layer of it went, so that
// the client pushes it again.
func asksAgain(err error) bool {
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return false
	}
	if refused.StatusCode == http.StatusServiceUnavailable {
		return true
	}
	for _, d := range refused.Errors {
		if d.Code == transport.ManifestBlobUnknownErrorCode || d.Code == transport.BlobUnknownErrorCode || d.Code == transport.BlobUploadUnknownErrorCode {
			return true
		}
	}
	return false
}

// ageFiles makes the files of a folder older.
func ageFiles(t *testing.T, dir string, age time.Duration) {
	t.Helper()
	before := time.Now().Add(-age)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, before, before)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCollectRemovesUploadsThatWereLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.leaveUpload()
	uploads := filepath.Join(w.dir, "docker/registry/v2/repositories/acme/left/_uploads")
	if c := w.collect(space.CollectOptions{}); c.Uploads.Blobs != 0 {
		t.Errorf("%d uploads went that are under way", c.Uploads.Blobs)
	}
	ageFiles(t, uploads, 24*time.Hour)
	if c := w.collect(space.CollectOptions{}); c.Uploads.Blobs != 1 || c.Uploads.Bytes < 15 {
		t.Errorf("uploads that went: %+v, want the one", c.Uploads)
	}
	if left, err := os.ReadDir(uploads); err != nil || len(left) != 0 {
		t.Errorf("uploads that are left: %v, %v", left, err)
	}
}

// leaveUpload begins an upload and sends a part of it.
func (w *world) leaveUpload() {
	w.t.Helper()
	response, _ := w.do(http.MethodPost, "/v2/acme/left/blobs/uploads/", nil)
	if response.StatusCode != http.StatusAccepted {
		w.t.Fatalf("begin an upload: %d", response.StatusCode)
	}
	location := response.Header.Get("Location")
	if response, body := w.do(http.MethodPatch, strings.TrimPrefix(location, w.server.URL), strings.NewReader("half of a layer")); response.StatusCode != http.StatusAccepted {
		w.t.Fatalf("go on with the upload: %d %s", response.StatusCode, body)
	}
}

// TestLeftUploadsGoWithoutCollections: where no garbage collection is made, an upload
// stays for a week after the last of it came.
func TestLeftUploadsGoWithoutCollections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.leaveUpload()
	w.systemReady()
	uploads := filepath.Join(w.dir, "docker/registry/v2/repositories/acme/left/_uploads")
	begun := filepath.Join(uploads, "begun")
	if err := os.Mkdir(begun, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{6 * 24 * time.Hour, 8 * 24 * time.Hour} {
		ageFiles(t, uploads, age)
		removed, err := w.control.RemoveLeftUploads(t.Context())
		if want := int64(age / (7 * 24 * time.Hour)); err != nil || removed.Blobs != want {
			t.Errorf("after %s, %d uploads go, %v; want %d", age, removed.Blobs, err, want)
		}
	}
	if _, err := os.Stat(begun); err != nil {
		t.Errorf("an upload that begins in this moment: %v", err)
	}
}
