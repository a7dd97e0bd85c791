package importer_test

import (
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/space"
)

// TestCollectedMeanwhile: garbage collections without any grace, over and over while an
// image is imported, take nothing of it.
func TestCollectedMeanwhile(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newSource(t, "")
	s.add(w)
	img := image(t, 300_000, 6, nil)
	digest := s.push("team/model:v1", img)
	hold := s.holdLayer(img, 5)
	w.serve()
	w.ask(s.host+"/team/model:v1", 1)
	collect := func() {
		t.Helper()
		collected, err := w.control.Collect(t.Context(), w.admin, space.CollectOptions{Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		if collected.Blobs != 0 || collected.Manifests != 0 {
			t.Errorf("a collection in an import took %+v", collected.Collection)
		}
	}
	w.until(1, "with five of its layers", func(v *constellation.AlgorithmVersion) bool {
		collect()
		return v.Import.BytesDone >= 1_500_000
	})
	sent := s.sent()
	close(hold)
	w.until(1, "ready", func(v *constellation.AlgorithmVersion) bool {
		collect()
		return v.State == constellation.VersionReady
	})
	collect()
	w.whole("neo/hello", digest)
	if n := s.sent(); n > sent+400_000 {
		t.Errorf("%d bytes came after the collections, want the last layer alone", n-sent)
	}
}
