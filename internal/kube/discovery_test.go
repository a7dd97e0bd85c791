package kube_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"

	"github.com/constellation-serving/constellation/internal/kube"
)

// discovered is testdata/NAME.json: what a server of that version answers on
// /version and /apis, as testdata/record takes it from the release's sources.
type discovered struct {
	Version version.Info
	APIs    metav1.APIGroupList
}

func readDiscovered(t *testing.T, name string) discovered {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d discovered
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func apisOf(t *testing.T, name string) kube.APIs {
	t.Helper()
	d := readDiscovered(t, name)
	apis, err := kube.DiscoverAPIs(&d.Version, &d.APIs)
	if err != nil {
		t.Fatal(err)
	}
	return apis
}

func TestDiscoverAPIs(t *testing.T) {
	t.Parallel()
	const ingress, policy, discovery = "networking.k8s.io/", "policy/", "discovery.k8s.io/"
	want := map[string]kube.APIs{
		"1.18": {18, ingress + "v1beta1", policy + "v1beta1", discovery + "v1beta1"},
		"1.19": {19, ingress + "v1", policy + "v1beta1", discovery + "v1beta1"},
		"1.20": {20, ingress + "v1", policy + "v1beta1", discovery + "v1beta1"},
		"1.21": {21, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.22": {22, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.24": {24, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.25": {25, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.29": {29, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.32": {32, ingress + "v1", policy + "v1", discovery + "v1"},
		"1.37": {37, ingress + "v1", policy + "v1", discovery + "v1"},
	}
	for name, apis := range want {
		if diff := cmp.Diff(apis, apisOf(t, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestDiscoverAPIsRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, info := range []version.Info{{}, {Major: "2", Minor: "1"}, {Major: "1", Minor: "x"}} {
		if apis, err := kube.DiscoverAPIs(&info, &metav1.APIGroupList{}); err == nil {
			t.Errorf("DiscoverAPIs(%+v) = %+v, want an error", info, apis)
		}
	}
}

// A server that serves neither kind of slice has Endpoints, and the engine may
// read those.
func TestEngineRulesFollowDiscovery(t *testing.T) {
	t.Parallel()
	for slice, want := range map[string]string{"discovery.k8s.io/v1beta1": "endpointslices", "": "endpoints"} {
		in := testInput()
		in.APIs.EndpointSlice = slice
		if got := at(find(render(t, in), "Role/execution-engine"), "rules.0.resources.0"); got != want {
			t.Errorf("with EndpointSlice %q the engine reads %v, want %s", slice, got, want)
		}
	}
}

// What a server of 1.18 does not know must not be sent to it.
func TestRenderForEachVersion(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %v, %v", files, err)
	}
	for _, file := range files {
		name := file[len("testdata/") : len(file)-len(".json")]
		in := testInput()
		in.APIs = apisOf(t, name)
		in.Settings.Ingress = kube.Ingress{Provider: "nginx"}
		objects := render(t, in)
		for kind, want := range map[string]string{"Ingress": in.APIs.Ingress, "PodDisruptionBudget": in.APIs.PDB} {
			if got := find(objects, kind+"/execution-engine").GetAPIVersion(); got != want {
				t.Errorf("%s: %s is %s, want %s", name, kind, got, want)
			}
		}
		old := in.APIs.Minor == 18
		engine, ingress := find(objects, "Deployment/execution-engine"), find(objects, "Ingress/execution-engine")
		checks := map[string]bool{
			"seccomp by annotation":      at(engine, "spec.template.metadata.annotations.seccomp~security~alpha~kubernetes~io/pod") == "runtime/default",
			"no seccomp field":           at(engine, "spec.template.spec.securityContext.seccompProfile") == nil,
			"class by annotation":        ingress.GetAnnotations()["kubernetes.io/ingress.class"] == "nginx",
			"no class field":             at(ingress, "spec.ingressClassName") == nil,
			"backend of the old form":    at(ingress, "spec.rules.0.http.paths.0.backend.serviceName") == "execution-engine",
			"no backend of the new form": at(ingress, "spec.rules.0.http.paths.0.backend.service") == nil,
		}
		for what, got := range checks {
			if got != old {
				t.Errorf("%s: %s is %v, want %v", name, what, got, old)
			}
		}
	}
}
