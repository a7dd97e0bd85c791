package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/registry"
)

// TestVerify finds nothing in a registry as it was pushed; then a lost layer, a
// rotten one and a lost manifest, each with what needs it.
func TestVerify(t *testing.T) {
	t.Parallel()
	onEveryStorage(t, func(t *testing.T, w *world) {
		whole, lost, rotten, gone := image(t, 1000, nil), image(t, 1000, nil), image(t, 1000, nil), image(t, 1000, nil)
		w.mustPush("neo/whole:"+hash(1), whole)
		w.mustPush("neo/lost:"+hash(2), lost)
		w.mustPush("neo/rotten:"+hash(3), rotten)
		w.mustPush("neo/gone:"+hash(4), gone)
		satelliteID, launchID := w.launch("neo/whole:"+hash(1), "neo/lost:"+hash(2))
		satellite, err := w.control.GetSatellite(t.Context(), control.Shell(), satelliteID)
		if err != nil {
			t.Fatal(err)
		}
		if done := w.verify(); len(done.Faults) != 0 || done.Versions != 4 || done.Blobs < 16 || done.Bytes < 8000 {
			t.Fatalf("Verify of a whole registry = %+v", done)
		}

		lostLayer, rottenLayer := firstLayer(t, lost), firstLayer(t, rotten)
		w.loseBlob(lostLayer)
		w.loseBlob(digestOf(t, gone))
		artifact := image(t, 1000, nil) // under a tag that is no version
		w.mustPush("neo/whole:notes", artifact)
		w.loseBlob(firstLayer(t, artifact))
		_, hex, _ := strings.Cut(rottenLayer, ":")
		if err := w.storage.Driver().PutContent(t.Context(), "/docker/registry/v2/blobs/sha256/"+hex[:2]+"/"+hex+"/data", []byte("rotten")); err != nil {
			t.Fatal(err)
		}
		got := map[string]registry.BlobFault{}
		for _, fault := range w.verify().Faults {
			got[fault.Digest] = fault
		}
		want := map[string]registry.BlobFault{
			lostLayer: {Digest: lostLayer, Fault: registry.FaultLost, Repositories: []string{"neo/lost"}, Versions: []string{"neo/lost/" + hash(2)}, Launches: []registry.Launched{{
				SatelliteID: satelliteID, SatelliteName: satellite.Name, LaunchID: launchID, LaunchName: "launch",
			}}},
			rottenLayer:             {Digest: rottenLayer, Fault: registry.FaultDamaged, Repositories: []string{"neo/rotten"}, Versions: []string{"neo/rotten/" + hash(3)}},
			firstLayer(t, artifact): {Digest: firstLayer(t, artifact), Fault: registry.FaultLost, Repositories: []string{"neo/whole"}},
			digestOf(t, gone):       {Digest: digestOf(t, gone), Fault: registry.FaultLost, Repositories: []string{"neo/gone"}, Versions: []string{"neo/gone/" + hash(4)}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func firstLayer(t *testing.T, img v1.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return digestOf(t, layers[0])
}

func (w *world) verify() *registry.Verified {
	w.t.Helper()
	done, err := registry.Verify(w.t.Context(), w.control, w.storage, func(registry.Verified) {})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}
