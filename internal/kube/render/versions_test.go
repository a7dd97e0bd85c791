package render_test

import (
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// A server that serves neither kind of slice has Endpoints, and the engine may
// read those.
func TestEngineRulesFollowDiscovery(t *testing.T) {
	t.Parallel()
	for slice, want := range map[string]string{"discovery.k8s.io/v1beta1": "endpointslices", "": "endpoints"} {
		in := launchtest.Input()
		in.APIs.EndpointSlice = slice
		if got := launchtest.At(launchtest.Find(launchtest.Render(t, in), "Role/execution-engine"), "rules.0.resources.0"); got != want {
			t.Errorf("with EndpointSlice %q the engine reads %v, want %s", slice, got, want)
		}
	}
}

// What a server of 1.18 does not know must not be sent to it.
func TestRenderForEachVersion(t *testing.T) {
	t.Parallel()
	for _, name := range launchtest.Releases(t) {
		in := launchtest.Input()
		in.APIs = launchtest.APIsOf(t, name)
		in.Settings.Ingress = render.Ingress{Provider: "nginx"}
		objects := launchtest.Render(t, in)
		for kind, want := range map[string]string{"Ingress": in.APIs.Ingress, "PodDisruptionBudget": in.APIs.PDB} {
			if got := launchtest.Find(objects, kind+"/execution-engine").GetAPIVersion(); got != want {
				t.Errorf("%s: %s is %s, want %s", name, kind, got, want)
			}
		}
		old := in.APIs.Minor == 18
		engine, ingress := launchtest.Find(objects, "Deployment/execution-engine"), launchtest.Find(objects, "Ingress/execution-engine")
		checks := map[string]bool{
			"seccomp by annotation":      launchtest.At(engine, "spec.template.metadata.annotations.seccomp~security~alpha~kubernetes~io/pod") == "runtime/default",
			"no seccomp field":           launchtest.At(engine, "spec.template.spec.securityContext.seccompProfile") == nil,
			"class by annotation":        ingress.GetAnnotations()["kubernetes.io/ingress.class"] == "nginx",
			"no class field":             launchtest.At(ingress, "spec.ingressClassName") == nil,
			"backend of the old form":    launchtest.At(ingress, "spec.rules.0.http.paths.0.backend.serviceName") == "execution-engine",
			"no backend of the new form": launchtest.At(ingress, "spec.rules.0.http.paths.0.backend.service") == nil,
		}
		for what, got := range checks {
			if got != old {
				t.Errorf("%s: %s is %v, want %v", name, what, got, old)
			}
		}
	}
}
