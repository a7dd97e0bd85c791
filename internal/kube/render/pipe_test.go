package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// pipeInput makes foo/bar a pipe image.
func pipeInput(p render.Process, readOnly bool) render.Input {
	in := launchtest.Input()
	in.Plan.Algorithms[0].Runtime = constellation.Runtime{Protocol: constellation.ProtocolPipe, ReadOnlyRoot: readOnly}.WithDefaults()
	in.Stable = true
	in.Processes = map[string]render.Process{in.Plan.Algorithms[0].Image.Digest: p}
	return in
}

func TestRenderPipe(t *testing.T) {
	t.Parallel()
	runner := []any{"/constellation/mothership", "satellite", "runner", "--listen", ":9999"}
	for _, test := range []struct {
		name    string
		process render.Process
		want    []any
	}{
		{"no command", render.Process{}, append(runner, "--find")},
		{"a base image's command", render.Process{Cmd: []string{"bash"}}, append(runner, "--find", "--", "bash")},
		{"an entrypoint", render.Process{Entrypoint: []string{"/bin/sh", "-c", "echo $(HOME) $$"}, Cmd: []string{"x"}},
			append(runner, "--", "/bin/sh", "-c", "echo $$(HOME) $$$$", "x")},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := launchtest.Find(launchtest.Render(t, pipeInput(test.process, false)), "Deployment/algo-foo-bar")
			if diff := cmp.Diff(test.want, launchtest.At(d, "spec.template.spec.containers.0.command")); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
		})
	}
	objects := launchtest.Render(t, pipeInput(render.Process{}, true))
	d := launchtest.Find(objects, "Deployment/algo-foo-bar")
	for path, want := range map[string]any{
		"spec.template.spec.initContainers.0.image":                                  "registry.example.com/execution-engine@" + launchtest.Digest("e"),
		"spec.template.spec.initContainers.0.command":                                []any{"/usr/bin/mothership", "satellite", "runner", "--copy-to", "/constellation"},
		"spec.template.spec.initContainers.0.securityContext.runAsNonRoot":           true,
		"spec.template.spec.initContainers.0.securityContext.readOnlyRootFilesystem": true,
		"spec.template.spec.containers.0.image":                                      "registry.example.com/s@" + launchtest.Digest("a"),
		"spec.template.spec.containers.0.readinessProbe.httpGet.path":                "/",
		"spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem":     true,
		"spec.template.spec.containers.0.volumeMounts.0":                             map[string]any{"name": "runner", "mountPath": "/constellation", "readOnly": true},
		"spec.template.spec.containers.0.volumeMounts.1":                             map[string]any{"name": "tmp", "mountPath": "/tmp"},
	} {
		if diff := cmp.Diff(want, launchtest.At(d, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	routes, err := config.ParseRoutes([]byte(launchtest.At(launchtest.Find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil {
		t.Fatal(err)
	}
	if got := routes.Algorithms[0].Protocol; got != constellation.ProtocolLangserver {
		t.Errorf("the engine is told protocol %q, want langserver: the runner speaks it", got)
	}
	if got := launchtest.Find(launchtest.Render(t, launchtest.Input()), "Deployment/algo-foo-bar"); launchtest.At(got, "spec.template.spec.initContainers") != nil {
		t.Error("a langserver image has an init container")
	}
}
