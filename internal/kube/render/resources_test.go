package render_test

import (
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// The engine's pod has a memory limit, and the Go runtime knows it.
func TestEngineResources(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                                  string
		set                                   render.Resources
		cpu, cpuLimit, memory, limit, goLimit any
	}{
		{"by default", render.Resources{}, "100m", nil, "64Mi", "1Gi", "966367620"},
		{"with memory", render.Resources{Memory: "512Mi"}, "100m", nil, "512Mi", "512Mi", "483183810"},
		{"with processors", render.Resources{CPU: "2", CPULimit: "4"}, "2", "4", "64Mi", "1Gi", "966367620"},
		{"with a small CPU limit alone", render.Resources{CPULimit: "50m"}, "50m", "50m", "64Mi", "1Gi", "966367620"},
	} {
		in := launchtest.Input()
		in.Settings.Engine = test.set
		engine := launchtest.Find(launchtest.Render(t, in), "Deployment/execution-engine")
		const container = "spec.template.spec.containers.0."
		for path, want := range map[string]any{
			"resources.requests.cpu": test.cpu, "resources.limits.cpu": test.cpuLimit,
			"resources.requests.memory": test.memory, "resources.limits.memory": test.limit,
			"env.2.name": "GOMEMLIMIT", "env.2.value": test.goLimit,
		} {
			if got := launchtest.At(engine, container+path); got != want {
				t.Errorf("%s: %s = %v, want %v", test.name, path, got, want)
			}
		}
	}
	in := launchtest.Input()
	in.Settings.Engine = render.Resources{CPU: "2", CPULimit: "1"}
	if _, err := render.Launch(in); err == nil || err.Error() != "stage.resources.engine.cpu_limit=1 is less than the 2 that .cpu asks for" {
		t.Errorf("a limit below the request: %v", err)
	}
}

// A quota that counts a resource wants it said of init containers too.
func TestRunnerAsksForWhatItsContainerDoes(t *testing.T) {
	t.Parallel()
	in := pipeInput(render.Process{}, false)
	in.Settings.Resources = map[string]render.Resources{"foo/bar": {CPU: "500m", CPULimit: "2", Memory: "1Gi"}}
	d := launchtest.Find(launchtest.Render(t, in), "Deployment/algo-foo-bar")
	for _, of := range []string{"containers.0", "initContainers.0"} {
		for path, want := range map[string]any{"requests.cpu": "500m", "limits.cpu": "2", "requests.memory": "1Gi", "limits.memory": "1Gi"} {
			if got := launchtest.At(d, "spec.template.spec."+of+".resources."+path); got != want {
				t.Errorf("%s %s = %v, want %v", of, path, got, want)
			}
		}
	}
}
