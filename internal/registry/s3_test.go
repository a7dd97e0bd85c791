package registry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// newS3World is a registry whose content is in an object store.
func newS3World(t *testing.T, redirect bool) *world {
	t.Helper()
	store := storagetest.New(t)
	w := newWorldOn(t, registry.StorageConfig{Location: store.Location(t, "registry"), Redirect: redirect})
	w.store = store
	return w
}

// TestPushToStore pushes layers of several parts by one stream and in chunks, and
// pulls them back.
func TestPushToStore(t *testing.T) {
	t.Parallel()
	onEveryStorage(t, func(t *testing.T, w *world) {
		img := image(t, 18<<20, nil)
		ref := "neo/large:" + hash(1)
		w.mustPush(ref, img)
		pulled, err := remote.Image(w.reference(ref), as("admin", w.admin), remote.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(pulled); err != nil {
			t.Errorf("what is pulled is not whole: %v", err)
		}
		w.mustPush(ref, img) // which is there already

		content := strings.Repeat("0123456789abcdef", 1<<20)
		response, _ := w.do("POST", "/v2/neo/large/blobs/uploads/", nil)
		at := response.Header.Get("Location")
		for i := 0; i < len(content); i += 6 << 20 {
			end := min(len(content), i+6<<20)
			response, text := w.do("PATCH", at, strings.NewReader(content[i:end]), "Content-Range", fmt.Sprintf("%d-%d", i, end-1))
			if response.StatusCode != 202 || response.Header.Get("Range") != fmt.Sprintf("0-%d", end-1) {
				t.Fatalf("a chunk answers %d %s with range %q", response.StatusCode, text, response.Header.Get("Range"))
			}
			at = response.Header.Get("Location")
		}
		digest := bundle.Digest([]byte(content))
		separator := "?"
		if strings.Contains(at, "?") {
			separator = "&"
		}
		if response, text := w.do("PUT", at+separator+"digest="+url.QueryEscape(digest), nil); response.StatusCode != 201 {
			t.Fatalf("the end of the upload answers %d %s", response.StatusCode, text)
		}
		w.wantAnswer(200, "", "HEAD", "/v2/neo/large/blobs/"+digest, nil)
	})
}

// TestRedirect follows a blob to the store: by one who may read it, whose
// credentials stay here, and for a part of it.
func TestRedirect(t *testing.T) {
	t.Parallel()
	w := newS3World(t, true)
	img := image(t, 100_000, nil)
	ref := "neo/hello:" + hash(1)
	w.mustPush(ref, img)
	satelliteID, _ := w.launch(ref)
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf(t, layers[0])
	for _, path := range []string{"/v2/satellites/" + satelliteID + "/blobs/" + digest, "/v2/neo/hello/blobs/" + digest} {
		response, text := w.do("GET", path, nil)
		to, err := response.Location()
		if err != nil || response.StatusCode != 307 || !strings.HasPrefix(to.String(), w.store.URL) || to.Query().Get("X-Amz-Signature") == "" {
			t.Fatalf("GET %s answers %d %s, to %v", path, response.StatusCode, text, to)
		}
		for header, status := range map[string]int{"": 200, "bytes=40000-": 206} {
			checkFetched(t, to, header, status, digest)
		}
		tampered := *to
		tampered.RawQuery = ""
		checkFetched(t, &tampered, "", 403, "")
		w.wantAnswer(200, "", "HEAD", path, nil)
		w.wantAnswer(401, "UNAUTHORIZED", "GET", path, nil, "Authorization", "")
		w.wantAnswer(404, "", "GET", path[:len(path)-4]+"0000", nil)
	}
	// The plan is made here, and is served from here.
	response, _ := w.do("GET", "/v2/neo/hello/manifests/"+hash(1), nil)
	if response.StatusCode != 200 {
		t.Errorf("a manifest answers %d, want it from here", response.StatusCode)
	}
}

func checkFetched(t *testing.T, from *url.URL, byteRange string, status int, digest string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || status == 200 && bundle.Digest(body) != digest {
		t.Errorf("the store answers %d with %d bytes, %v; want %d", response.StatusCode, len(body), err, status)
	}
}

// TestObjectStoreFails breaks the store under a registry: requests end with a sentence
// and can be repeated, and nothing of the store is told.
func TestObjectStoreFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"unavailable": func(w http.ResponseWriter, _ *http.Request) bool {
			storagetest.Refuse(w, 503, "SlowDown")
			return true
		},
		"cut": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"read-only": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet || r.Method == http.MethodHead {
				return false
			}
			storagetest.Refuse(w, 403, "AccessDenied")
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newS3World(t, false)
			img := image(t, 1000, nil)
			w.mustPush("neo/hello:"+hash(1), img)
			satelliteID, _ := w.launch("neo/hello:" + hash(1))
			layers, err := img.Layers()
			if err != nil {
				t.Fatal(err)
			}
			path := "/v2/satellites/" + satelliteID + "/blobs/" + digestOf(t, layers[0])
			if _, err := w.system.System(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.store.Fault(fault)
			if name != "read-only" {
				w.wantUnavailable("GET", path)
				w.wantUnavailable("GET", "/v2/neo/hello/blobs/"+digestOf(t, layers[0]))
			}
			w.wantUnavailable("POST", "/v2/neo/hello/blobs/uploads/")
			w.store.Fault(nil)
			w.wantAnswer(200, "", "GET", path, nil)
			w.mustPush("neo/hello:"+hash(2), image(t, 1000, nil))
		})
	}
}

// TestSystemImageIsMadeAgain: a store that fails when a server begins keeps it
// without a system image until the store is back, and no longer.
func TestSystemImageIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := newS3World(t, false)
	if _, err := w.system.System(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.store.Fault(func(answer http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return false
		}
		storagetest.Refuse(answer, 403, "AccessDenied")
		return true
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	image := registry.StartSystemImage(ctx, w.storage, registry.SystemImageConfig{Control: w.control, Version: "v0.0.2", Executable: program(t), CABundle: w.ca, Retry: time.Millisecond})
	if _, err := image.System(ctx); err == nil {
		t.Fatal("an image that the store does not take is there")
	}
	w.store.Fault(nil)
	image.Wait()
	if _, err := image.System(ctx); err != nil {
		t.Errorf("when the store is back: %v", err)
	}
}

func (w *world) wantUnavailable(method, path string) {
	w.t.Helper()
	response, text := w.do(method, path, nil)
	if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || !strings.Contains(text, "storage does not answer as it should") || strings.Contains(text, "localhost") {
		w.t.Errorf("%s %s answers %d %s, want 503 that tells nothing of the store", method, path, response.StatusCode, text)
	}
}

// TestStorageLosesBlob takes a blob from the store: its pull says so, and other
// images are as before.
func TestStorageLosesBlob(t *testing.T) {
	t.Parallel()
	onEveryStorage(t, func(t *testing.T, w *world) {
		lost, kept := image(t, 1000, nil), image(t, 1000, nil)
		w.mustPush("neo/lost:"+hash(1), lost)
		w.mustPush("neo/kept:"+hash(2), kept)
		satelliteID, launchID := w.launch("neo/lost:"+hash(1), "neo/kept:"+hash(2))
		layers, err := lost.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest := digestOf(t, layers[0])
		w.loseBlob(digest)
		for _, path := range []string{"/v2/satellites/" + satelliteID + "/blobs/" + digest, "/v2/neo/lost/blobs/" + digest} {
			w.wantLost("BLOB_UNKNOWN", path, digest+" of neo/lost, which algorithm version neo/lost/"+hash(1)+" needs")
		}
		w.wantAnswer(200, "", "GET", "/v2/satellites/"+satelliteID+"/manifests/"+launchID, nil)
		var image v1.Image
		if image, err = remote.Image(w.reference("neo/kept:"+hash(2)), as("admin", w.admin)); err == nil {
			err = validate.Image(image)
		}
		if err != nil {
			t.Errorf("the other image is not whole: %v", err)
		}
		w.mustPush("neo/lost:"+hash(3), lost) // under another tag, since clients send nothing for one that is there
		if response, _ := w.do("HEAD", "/v2/neo/lost/blobs/"+digest, nil); response.StatusCode != 200 {
			t.Errorf("pushed again, the blob answers %d", response.StatusCode)
		}
	})
}

// loseBlob removes a blob's bytes behind the registry's back.
func (w *world) loseBlob(digest string) {
	w.t.Helper()
	_, hex, _ := strings.Cut(digest, ":")
	if err := w.storage.Driver().Delete(w.t.Context(), "/docker/registry/v2/blobs/sha256/"+hex[:2]+"/"+hex); err != nil {
		w.t.Fatal(err)
	}
}
