package launchtest

import (
	"embed"
	"encoding/json"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

//go:embed testdata/*.json
var testdata embed.FS

// Releases returns the releases that testdata has answers of: 1.18 and on.
func Releases(t *testing.T) []string {
	t.Helper()
	entries, err := testdata.ReadDir("testdata")
	if err != nil || len(entries) == 0 {
		t.Fatalf("testdata: %v, %v", entries, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name()[:len(e.Name())-len(filepath.Ext(e.Name()))])
	}
	return names
}

// Answers is testdata/NAME.json: what a server of that version answers on
// /version and /apis, as testdata/record takes it from the release's sources.
type Answers struct {
	Version version.Info
	APIs    metav1.APIGroupList
}

// Discovered returns what a server of a release answers.
func Discovered(t *testing.T, name string) Answers {
	t.Helper()
	data, err := testdata.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var d Answers
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// APIsOf returns the APIs of a release.
func APIsOf(t *testing.T, name string) render.APIs {
	t.Helper()
	d := Discovered(t, name)
	apis, err := cluster.DiscoverAPIs(&d.Version, &d.APIs)
	if err != nil {
		t.Fatal(err)
	}
	return apis
}
