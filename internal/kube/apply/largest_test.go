package apply_test

import (
	"fmt"
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// The largest satellite that a mothership takes is kept for a rollback, and the
// inventory has room for two versions of it beside each other, of which nothing
// is the same, with all the history that is kept.
func TestLargestSatelliteIsKept(t *testing.T) {
	t.Parallel()
	in := launchtest.Largest(500, 1000)
	objects := launchtest.Render(t, in)
	if _, err := apply.HistoryConfigMap(in.Plan, "algorithms", objects); err != nil {
		t.Errorf("the history of 500 algorithms: %v", err)
	}
	old, _ := apply.NextInventory(in.Plan, false, nil, apply.ObjectsOf(objects))
	old.Installed = 1
	for version := range 10 {
		old.History = append(old.History, apply.PastVersion{Version: 1_000_000_000 + version, RolledBack: true})
	}
	in.Plan.Satellite.Version = 2
	for i := range in.Plan.Algorithms { // other names, and so other objects
		a := &in.Plan.Algorithms[i]
		a.VanityURL = "bar" + a.VanityURL[3:]
	}
	in.Plan.Keys = nil
	both, _ := apply.NextInventory(in.Plan, false, &old, apply.ObjectsOf(launchtest.Render(t, in)))
	if len(both.Objects) < 4*500 {
		t.Fatalf("the inventory has %d objects, want two of each algorithm in each version", len(both.Objects))
	}
	object, err := apply.InventoryObject(in.Plan, "algorithms", both)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(fmt.Sprint(launchtest.At(object, "data"))); size > 1<<20 {
		t.Errorf("%s has %d bytes, and a cluster takes %d", render.Name(object), size, 1<<20)
	}
}
