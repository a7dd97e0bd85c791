package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// pipeInput makes foo/bar a pipe image.
func pipeInput(p kube.Process, readOnly bool) kube.Input {
	in := testInput()
	in.Plan.Algorithms[0].Runtime = constellation.Runtime{Protocol: constellation.ProtocolPipe, ReadOnlyRoot: readOnly}.WithDefaults()
	in.Stable = true
	in.Processes = map[string]kube.Process{in.Plan.Algorithms[0].Image.Digest: p}
	return in
}

func TestRenderPipe(t *testing.T) {
	t.Parallel()
	runner := []any{"/constellation/mothership", "satellite", "runner", "--listen", ":9999"}
	for _, test := range []struct {
		name    string
		process kube.Process
		want    []any
	}{
		{"no command", kube.Process{}, append(runner, "--find")},
		{"a base image's command", kube.Process{Cmd: []string{"bash"}}, append(runner, "--find", "--", "bash")},
		{"an entrypoint", kube.Process{Entrypoint: []string{"/bin/sh", "-c", "echo $(HOME) $$"}, Cmd: []string{"x"}},
			append(runner, "--", "/bin/sh", "-c", "echo $$(HOME) $$$$", "x")},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := find(render(t, pipeInput(test.process, false)), "Deployment/algo-foo-bar")
			if diff := cmp.Diff(test.want, at(d, "spec.template.spec.containers.0.command")); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
		})
	}
	objects := render(t, pipeInput(kube.Process{}, true))
	d := find(objects, "Deployment/algo-foo-bar")
	for path, want := range map[string]any{
		"spec.template.spec.initContainers.0.image":                                  "registry.example.com/execution-engine@" + digest("e"),
		"spec.template.spec.initContainers.0.command":                                []any{"/usr/bin/mothership", "satellite", "runner", "--copy-to", "/constellation"},
		"spec.template.spec.initContainers.0.securityContext.runAsNonRoot":           true,
		"spec.template.spec.initContainers.0.securityContext.readOnlyRootFilesystem": true,
		"spec.template.spec.containers.0.image":                                      "registry.example.com/s@" + digest("a"),
		"spec.template.spec.containers.0.readinessProbe.httpGet.path":                "/",
		"spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem":     true,
		"spec.template.spec.containers.0.volumeMounts.0":                             map[string]any{"name": "runner", "mountPath": "/constellation", "readOnly": true},
		"spec.template.spec.containers.0.volumeMounts.1":                             map[string]any{"name": "tmp", "mountPath": "/tmp"},
	} {
		if diff := cmp.Diff(want, at(d, path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	routes, err := config.ParseRoutes([]byte(at(find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil {
		t.Fatal(err)
	}
	if got := routes.Algorithms[0].Protocol; got != constellation.ProtocolLangserver {
		t.Errorf("the engine is told protocol %q, want langserver: the runner speaks it", got)
	}
	if got := find(render(t, testInput()), "Deployment/algo-foo-bar"); at(got, "spec.template.spec.initContainers") != nil {
		t.Error("a langserver image has an init container")
	}
}
