package importer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/space"
)

// TestImport: an index of two platforms with what belongs to it comes from a registry
// with a login, by one request, and the source is not needed afterwards.
func TestImport(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		w, s := newWorld(t), startSource(t, "robot:secret", tls)
		s.add(w)
		amd64 := image(t, 100_000, 3, map[string]string{"constellation.concurrency": "3", "org.opencontainers.image.version": "1.2.3"})
		arm64 := on(t, image(t, 50_000, 2, nil), "linux", "arm64", nil)
		index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: amd64}, mutate.IndexAddendum{Add: arm64})
		if err := remote.WriteIndex(s.ref("team/model:v1"), index, s.options()...); err != nil {
			t.Fatal(err)
		}
		digest, err := index.Digest()
		if err != nil {
			t.Fatal(err)
		}
		root, err := remote.Head(s.ref("team/model:v1"), s.options()...)
		if err != nil {
			t.Fatal(err)
		}
		signature := mutate.Subject(mutate.ConfigMediaType(mutate.MediaType(image(t, 1000, 1, nil), types.OCIManifestSchema1), "application/vnd.example.signature"), *root)
		if err := remote.Write(s.ref("team/model:signature"), signature.(v1.Image), s.options()...); err != nil {
			t.Fatal(err)
		}
		cosigned := s.push("team/model:"+strings.Replace(digest.String(), ":", "-", 1)+".sig", mutate.ConfigMediaType(image(t, 500, 1, nil), "application/vnd.example.cosign"))

		w.serve()
		v := w.ask(s.host+"/team/model:v1", 1)
		if v.State != constellation.VersionImporting || v.Import == nil {
			t.Fatalf("ImportVersion = %+v, want it importing", v)
		}
		v = w.ready(1)
		if v.Image.Digest != digest.String() || v.Runtime.Concurrency != 3 || v.SemanticVersion != "1.2.3" || strings.Join(v.Image.Platforms, " ") != "linux/amd64 linux/arm64" {
			t.Errorf("the version is %+v", v)
		}
		if v.Import.BytesDone != v.Import.Bytes || v.Import.Bytes < 150_000 || v.Import.Digest != digest.String() {
			t.Errorf("the import is %+v", v.Import)
		}
		s.server.Close()
		w.whole("neo/hello", digest.String())
		signed, err := signature.(v1.Image).Digest()
		if err != nil {
			t.Fatal(err)
		}
		w.whole("neo/hello", signed.String())
		w.whole("neo/hello", cosigned)

		again, asked, err := w.control.ImportVersion(t.Context(), w.admin, control.ImportRequest{Ref: ref(1), Image: s.host + "/team/model:v1"})
		if err != nil || asked || again.State != constellation.VersionReady {
			t.Errorf("the same request again = %+v, %v, %v, want the version", again, asked, err)
		}
		_, _, err = w.control.ImportVersion(t.Context(), w.admin, control.ImportRequest{Ref: ref(1), Image: s.host + "/team/model:v2"})
		if constellation.KindOf(err) != constellation.KindConflict {
			t.Errorf("another image under the same hash: %v, want a conflict", err)
		}
		// Nothing of it is garbage.
		collected, err := w.control.Collect(t.Context(), w.admin, space.CollectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if collected.Blobs != 0 || collected.Manifests != 0 {
			t.Errorf("a garbage collection took %+v", collected.Collection)
		}
		w.whole("neo/hello", digest.String())
		w.whole("neo/hello", signed.String())
	}
}

// TestGoesOnWhereItWas: a registry that breaks off in a layer, over and over, sends each
// byte about once.
func TestGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 4<<20, 1, nil)
	digest := s.push("team/model:v1", img)
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet {
			inner.ServeHTTP(&breaking{rw, 700_000}, r)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	v := w.ready(1)
	if v.Image.Digest != digest {
		t.Errorf("the digest is %s, want %s", v.Image.Digest, digest)
	}
	w.whole("neo/hello", digest)
	if sent := s.sent(); sent > 5<<20 {
		t.Errorf("the registry sent %d bytes for an image of %d", sent, v.Import.Bytes)
	}
	if n := s.asked("/manifests/v1"); n != 2 { // the push's, and one
		t.Logf("the tag was asked for %d times", n)
	}
}

type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

// holdLayer holds back the answers to whoever asks for a layer of an image, until what
// it returns is closed.
func (s *source) holdLayer(img v1.Image, layer int) chan struct{} {
	s.t.Helper()
	layers, err := img.Layers()
	if err != nil {
		s.t.Fatal(err)
	}
	held, err := layers[layer].Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	hold := make(chan struct{})
	s.answer(func(rw http.ResponseWriter, r *http.Request, inner http.Handler) {
		if strings.Contains(r.URL.Path, held.String()) && r.Method == http.MethodGet {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			case <-time.After(time.Minute):
			}
		}
		inner.ServeHTTP(rw, r)
	})
	return hold
}

// TestCancel: an import that is cancelled ends, and one that is asked for anew goes on.
func TestCancel(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 1<<20, 2, nil)
	digest := s.push("team/model:v1", img)
	hold := s.holdLayer(img, 1)
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	w.until(1, "copying", func(v *constellation.AlgorithmVersion) bool { return v.Import.Phase == constellation.ImportCopies })
	if err := w.control.CancelImport(t.Context(), w.admin, ref(1)); err != nil {
		t.Fatal(err)
	}
	if v := w.failed(1); !strings.Contains(said(v), "cancelled by Admin") {
		t.Errorf("the version says %q", said(v))
	}
	if err := w.control.CancelImport(t.Context(), w.admin, ref(1)); constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("cancelled twice: %v, want a conflict", err)
	}
	close(hold)
	w.ask(s.host+"/team/model:v1", 1)
	if v := w.ready(1); v.Image.Digest != digest {
		t.Errorf("the digest is %s, want %s", v.Image.Digest, digest)
	}
}
