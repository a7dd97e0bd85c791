package constellation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestWeightsText(t *testing.T) {
	t.Parallel()
	ref := constellation.AlgorithmRef{Owner: "neo", Name: "bert", Hash: strings.Repeat("a", 40)}
	mounts := []constellation.WeightsMount{{Artifact: ref, Path: "/models/a"}, {Artifact: ref, Path: "/models/b"}}
	got, err := constellation.ParseWeights(constellation.WeightsText(mounts))
	if diff := cmp.Diff(mounts, got); diff != "" || err != nil {
		t.Errorf("ParseWeights(constellation.WeightsText()) = %v; (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		ref.String():              "with a space between",
		"\n\nneo/bert /models/x":  "line 3",
		"neo/bert/HASH /models/x": "is not OWNER/NAME/HASH",
	} {
		_, err := constellation.ParseWeights(text)
		var refused *constellation.Error
		if !errors.As(err, &refused) || !strings.Contains(fmt.Sprint(refused.Fields), want) {
			t.Errorf("ParseWeights(%q) = %v, want an error that says %q", text, err, want)
		}
	}
	from := constellation.SatelliteAlgorithm{Algorithm: ref, Weights: mounts, RuntimeRevision: 1}
	to := constellation.SatelliteAlgorithm{Algorithm: ref, Weights: mounts[:1], RuntimeRevision: 2}
	want := []constellation.SettingChange{{What: "weights at /models/b", Was: ref.String()}, {What: "runtime settings", Was: "revision 1", Now: "revision 2"}}
	if diff := cmp.Diff(want, constellation.DiffBesides(from, to)); diff != "" {
		t.Errorf("DiffBesides() (-want +got):\n%s", diff)
	}
}
