package registry_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/space"
)

// wantLost asks for what the storage lost: 404 with the endpoint's own code, so that
// clients neither ask again nor take it for another fault, in words of its own.
func (w *world) wantLost(code, path, what string) {
	w.t.Helper()
	response, text := w.do("GET", path, nil)
	for _, want := range []string{`"code":"` + code + `"`, "the mothership's storage lost " + what, "restores the images from a backup", "mothership storage verify", `"lost":true`} {
		if response.StatusCode != 404 || !strings.Contains(text, want) {
			w.t.Errorf("GET %s answers %d %s, want 404 with %s", path, response.StatusCode, text, want)
		}
	}
	response, _ = w.do("HEAD", path, nil)
	if response.StatusCode != 404 { // so that a push sends it anew
		w.t.Errorf("HEAD %s answers %d", path, response.StatusCode)
	}
}

// wantNeverThere asks for what nobody ever pushed.
func (w *world) wantNeverThere(code, path string) {
	w.t.Helper()
	response, text := w.do("GET", path, nil)
	if response.StatusCode != 404 || !strings.Contains(text, `"code":"`+code+`"`) || strings.Contains(text, "lost") {
		w.t.Errorf("GET %s answers %d %s, want 404 of what never was there", path, response.StatusCode, text)
	}
}

// TestLostIsToldFromNeverThere loses a layer, a manifest, a tag, and a blob that is only
// pushed; each is told, in the bundle too, before and after a garbage collection. What is
// not lost is not said to be.
func TestLostIsToldFromNeverThere(t *testing.T) {
	t.Parallel()
	onEveryStorage(t, func(t *testing.T, w *world) {
		layered, gone, untagged, whole := image(t, 1000, nil), image(t, 1000, nil), image(t, 1000, nil), image(t, 1000, nil)
		w.mustPush("neo/layer:"+hash(1), layered)
		w.mustPush("neo/gone:"+hash(2), gone)
		w.mustPush("neo/tag:"+hash(3), untagged)
		w.mustPush("neo/whole:"+hash(4), whole)
		satelliteID, launchID := w.launch("neo/layer:"+hash(1), "neo/gone:"+hash(2))
		layer, manifest := firstLayer(t, layered), digestOf(t, gone)
		w.loseBlob(layer)
		w.loseBlob(manifest)
		if err := w.storage.Driver().Delete(t.Context(), "/docker/registry/v2/repositories/neo/tag/_manifests/tags/"+hash(3)); err != nil {
			t.Fatal(err)
		}

		needed := " of neo/layer, which algorithm version neo/layer/" + hash(1) + " needs"
		ofVersion := manifest + " of neo/gone, which algorithm version neo/gone/" + hash(2) + " needs"
		check := func() {
			t.Helper()
			w.wantLost("BLOB_UNKNOWN", "/v2/neo/layer/blobs/"+layer, layer+needed)
			w.wantLost("MANIFEST_UNKNOWN", "/v2/neo/gone/manifests/"+hash(2), ofVersion)
			w.wantLost("MANIFEST_UNKNOWN", "/v2/neo/gone/manifests/"+manifest, ofVersion)
			w.wantLost("MANIFEST_UNKNOWN", "/v2/neo/tag/manifests/"+hash(3), "the tag "+hash(3)+" of neo/tag")
			w.wantAnswer(200, "", "GET", "/v2/neo/tag/manifests/"+digestOf(t, untagged), nil)
			// The bundle cannot be made without the manifest.
			response, text := w.do("GET", "/v2/satellites/"+satelliteID+"/manifests/"+launchID, nil)
			if response.StatusCode != 404 || !strings.Contains(text, "the mothership's storage lost "+ofVersion) {
				t.Errorf("the bundle answers %d %s", response.StatusCode, text)
			}
			for code, path := range map[string]string{
				"BLOB_UNKNOWN":     "/v2/neo/whole/blobs/" + layer, // which another repository has
				"MANIFEST_UNKNOWN": "/v2/neo/whole/manifests/" + hash(9),
			} {
				w.wantNeverThere(code, path)
			}
			w.wantNeverThere("BLOB_UNKNOWN", "/v2/neo/layer/blobs/sha256:"+strings.Repeat("0", 64))
			w.wantNeverThere("BLOB_UNKNOWN", "/v2/nobody/nothing/blobs/"+layer)
			w.wantNeverThere("MANIFEST_UNKNOWN", "/v2/neo/whole/manifests/"+manifest)
			w.wantAnswer(200, "", "HEAD", "/v2/neo/whole/blobs/"+firstLayer(t, whole), nil)
		}
		check()
		w.collect(space.CollectOptions{}) // which neither forgets what versions need, nor removes what a lost manifest names
		check()
		for _, layer := range layersOf(t, gone) {
			w.wantAnswer(200, "", "HEAD", "/v2/neo/gone/blobs/"+layer, nil)
		}

		// An image that is pushed again is whole again.
		w.mustPush("neo/gone:"+hash(2), gone)
		w.mustPush("neo/tag:"+hash(3), untagged)
		w.mustPush("neo/layer:"+hash(5), layered)
		for _, ref := range []string{"neo/gone:" + hash(2), "neo/tag:" + hash(3), "neo/layer:" + hash(1)} {
			if err := w.pull(ref); err != nil {
				t.Errorf("pull %s after it was pushed again: %v", ref, err)
			}
		}
		if done := w.verify(); len(done.Faults) != 0 {
			t.Errorf("Verify after the images were pushed again = %+v", done.Faults)
		}
		w.wantAnswer(200, "", "GET", "/v2/satellites/"+satelliteID+"/manifests/"+launchID, nil)
	})
}

func layersOf(t *testing.T, img v1.Image) []string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digests := make([]string, len(layers))
	for i, layer := range layers {
		digests[i] = digestOf(t, layer)
	}
	return digests
}

// TestRemovedIsNotLost: what was removed, with its version and by a garbage collection,
// is unknown and no more.
func TestRemovedIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 1000, nil)
	w.mustPush("neo/old:"+hash(1), img)
	ref, err := constellation.ParseAlgorithmRef("neo/old/" + hash(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.control.DeleteAlgorithmVersion(t.Context(), control.Shell(), ref, nil); err != nil {
		t.Fatal(err)
	}
	w.collect(space.CollectOptions{})
	w.wantNeverThere("BLOB_UNKNOWN", "/v2/neo/old/blobs/"+firstLayer(t, img))
	w.wantNeverThere("MANIFEST_UNKNOWN", "/v2/neo/old/manifests/"+hash(1))
	w.wantNeverThere("MANIFEST_UNKNOWN", "/v2/neo/old/manifests/"+digestOf(t, img))
}

// TestLostIsRemembered: it is in the log once, and in /readyz and on the System page
// until it is back.
func TestLostIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 1000, nil)
	w.mustPush("neo/hello:"+hash(1), img)
	layer := firstLayer(t, img)
	w.loseBlob(layer)
	if err := w.control.CheckLost(t.Context()); err != nil {
		t.Errorf("CheckLost before anybody found out = %v", err)
	}
	w.advance(time.Minute)
	w.wantAnswer(404, "", "HEAD", "/v2/neo/hello/blobs/"+layer, nil) // as a push begins, and tells nothing
	if n := w.log.count("storage lost"); n != 0 {
		t.Errorf("the log tells %d times of what a push asks for", n)
	}
	for range 3 {
		w.wantLost("BLOB_UNKNOWN", "/v2/neo/hello/blobs/"+layer, layer)
	}
	if n := w.log.count("storage lost"); n != 1 {
		t.Errorf("the log tells of it %d times, want once", n)
	}
	err := w.control.CheckLost(t.Context())
	if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "1 found lost") || strings.Contains(err.Error(), "neo/hello") {
		t.Errorf("CheckLost = %v, want how much and, since anybody may read it, not what", err)
	}
	system, err := w.control.System(t.Context(), w.adminPrincipal())
	if err != nil || len(system.Lost) != 1 || system.Lost[0].Digest != layer {
		t.Errorf("System = %+v, %v, want what is lost", system, err)
	}

	w.mustPush("neo/hello:"+hash(2), img)
	w.advance(time.Minute)
	if err := w.control.CheckLost(t.Context()); err != nil {
		t.Errorf("CheckLost once it was pushed again = %v", err)
	}
	if _, err := remote.Image(w.reference("neo/hello:"+hash(1)), as("admin", w.admin), remote.WithContext(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestCollectionFindsLost: a garbage collection tells what versions need and is lost.
func TestCollectionFindsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := image(t, 1000, nil)
	w.mustPush("neo/hello:"+hash(1), img)
	w.loseBlob(firstLayer(t, img))
	for range 2 {
		w.collect(space.CollectOptions{})
	}
	if n := w.log.count("storage lost"); n != 1 {
		t.Errorf("the log tells of it %d times, want once", n)
	}
	if lost, err := w.control.LostContent(t.Context()); err != nil || len(lost) != 1 || len(lost[0].Versions) != 1 {
		t.Errorf("LostContent = %+v, %v", lost, err)
	}
}

// keptLog keeps what is logged.
type keptLog struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (l *keptLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	return len(line), nil
}

// count counts the lines that have a text.
func (l *keptLog) count(text string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}
