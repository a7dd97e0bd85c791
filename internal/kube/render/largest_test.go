package render_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// dataSize is what an API server counts against the mebibyte that a ConfigMap
// or a Secret may have.
func dataSize(t *testing.T, o *unstructured.Unstructured) (size int) {
	t.Helper()
	data, _, _ := unstructured.NestedMap(o.Object, "data")
	for _, value := range data {
		text := value.(string)
		if o.GetKind() == "Secret" {
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(raw)
		}
		size += len(text)
	}
	return size
}

// The largest satellite that a mothership takes fits into a cluster's objects,
// and says the same to its engines.
func TestLargestSatelliteFits(t *testing.T) {
	t.Parallel()
	in := launchtest.Largest(500, 1000)
	objects := launchtest.Render(t, in)
	for _, o := range objects {
		if size := dataSize(t, o); size > 1<<20 {
			t.Errorf("%s has %d bytes, and a cluster takes %d", render.Name(o), size, 1<<20)
		}
	}
	routes, err := config.ParseRoutes([]byte(launchtest.At(launchtest.Find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil || len(routes.Algorithms) != 500 {
		t.Errorf("ParseRoutes: %v, want 500 algorithms", err)
	}
	raw, err := base64.StdEncoding.DecodeString(launchtest.At(launchtest.Find(objects, "Secret/execution-engine"), "data.keys~json").(string))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := config.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	var want, got [][]string
	room, vanity := constellation.KeyRoom{Keys: len(in.Plan.Keys)}, map[string]bool{}
	for i, key := range in.Plan.Keys {
		room.Names += len(key.Name) + 2
		room.Algorithms += len(key.Algorithms)
		for _, url := range key.Algorithms {
			if !vanity[url] {
				room.VanityURLs, room.VanityNames, vanity[url] = room.VanityURLs+1, room.VanityNames+len(url), true
			}
		}
		want, got = append(want, key.Algorithms), append(got, keys.Keys[i].Algorithms)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("algorithms of the keys (-want +got):\n%s", diff)
	}
	if err := room.Check(); err != nil || room.Bytes() < len(raw) {
		t.Errorf("KeyRoom has %d bytes for the %d of keys.json, %v; want at least as many, and them to fit", room.Bytes(), len(raw), err)
	}
	if len(keys.Keys) != 1001 {
		t.Errorf("%d keys, want the 1000 and the satellite's own", len(keys.Keys))
	}
}

// The longest names with as many bytes of schedules as a mothership takes beside
// them fit as well, with room for the mothership's certificates.
func TestLargestSatelliteWithSchedulesFits(t *testing.T) {
	t.Parallel()
	in := launchtest.Largest(500, 0)
	var room constellation.RouteRoom
	for i := range in.Plan.Algorithms {
		a := &in.Plan.Algorithms[i]
		a.MinReplicas, a.MaxReplicas = new(constellation.MaxReplicas), constellation.MaxReplicas
		ref, err := constellation.ParseAlgorithmRef(a.Algorithm)
		if err != nil {
			t.Fatal(err)
		}
		room.AddRoute(a.VanityURL, &constellation.AlgorithmVersion{Owner: ref.Owner, Name: ref.Name, GitHash: ref.Hash, SemanticVersion: a.SemanticVersion, Runtime: a.Runtime})
	}
	var v constellation.Validation
	room.Check(&v)
	if v.Err() != nil {
		t.Fatalf("the longest names alone: %v", v.Err())
	}
	for i := range constellation.MaxSchedules {
		s := constellation.Schedule{
			Name: fmt.Sprintf("s%062d", i), Cron: "0 6 * * 1-5" + strings.Repeat(" ", 150), TimeZone: "America/Argentina/ComodRivadavia", VanityURL: in.Plan.Algorithms[i].VanityURL,
			ContentType: constellation.ContentText, Missed: constellation.MissedOnce,
		}
		left := (constellation.MaxRouteRoom - room.Bytes()) / (constellation.MaxSchedules - i)
		s.Input = strings.Repeat("\n", max(0, left-800)/2) // two bytes each as JSON
		room.AddSchedule(s)
		in.Plan.Schedules = append(in.Plan.Schedules, s)
	}
	if room.Check(&v); v.Err() != nil || room.Bytes() < constellation.MaxRouteRoom*9/10 {
		t.Fatalf("%d bytes, %v; want it nearly full", room.Bytes(), v.Err())
	}
	objects := launchtest.Render(t, in)
	if size := dataSize(t, launchtest.Find(objects, "ConfigMap/execution-engine")); size > room.Bytes() {
		t.Errorf("the routes take %d bytes, and RouteRoom says %d at most", size, room.Bytes())
	}
}
