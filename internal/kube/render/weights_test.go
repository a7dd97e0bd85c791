package render_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// weightsInput has foo/bar read an image of weights and weights that are files.
func weightsInput(mount, claim string) render.Input {
	in := launchtest.Input()
	in.Stable = true
	in.Settings.Weights = render.Weights{Mount: mount, Claim: claim, CA: "PEM", Insecure: true}
	for i, form := range []constellation.WeightsForm{constellation.WeightsImage, constellation.WeightsFiles} {
		digest := launchtest.Digest(string(rune('c' + i)))
		in.Images[digest] = "registry.example.com/s@" + digest
		in.Plan.Algorithms[0].Weights = append(in.Plan.Algorithms[0].Weights, bundle.Weights{
			Artifact: "Neo/Bert/" + strings.Repeat("c", 40), Path: "/models/" + string(form), Form: form, UnpackedSize: 1000, Files: 3,
			Image: bundle.Image{Repository: "neo/bert", Digest: digest},
		})
	}
	return in
}

func TestRenderWeights(t *testing.T) {
	t.Parallel()
	hex := func(c string) string { return strings.Repeat(c, 64) }
	unpack := func(c string) []any {
		return []any{"/usr/bin/mothership", "satellite", "weights", "--image=registry.example.com/s@" + launchtest.Digest(c), "--into=/weights",
			"--max-bytes=1000", "--max-files=3", "--auth-file=/registry/login/.dockerconfigjson", "--ca-file=/registry/ca/ca.crt", "--insecure"}
	}
	copied := func(c, path string) any {
		return map[string]any{"name": "weights", "mountPath": path, "subPath": hex(c), "readOnly": true}
	}
	const pod = "spec.template.spec."
	for _, tt := range []struct {
		name, mount, claim string
		want               map[string]any
	}{
		{"unpacked", render.WeightsCopy, "", map[string]any{
			"initContainers.0.command": unpack("c"), "initContainers.1.command": unpack("d"),
			"initContainers.0.resources.requests.ephemeral-storage":   "67110864",
			"initContainers.0.securityContext.readOnlyRootFilesystem": true, "initContainers.0.securityContext.runAsNonRoot": true,
			"initContainers.0.securityContext.allowPrivilegeEscalation": false,
			"containers.0.volumeMounts":                                 []any{copied("c", "/models/image"), copied("d", "/models/files")},
			"volumes.0.emptyDir.sizeLimit":                              "67110864", "securityContext.fsGroup": nil,
		}},
		{"shared", render.WeightsCopy, "models", map[string]any{
			"volumes.0.persistentVolumeClaim.claimName": "models", "securityContext.fsGroup": int64(65532),
			"initContainers.0.resources.requests.ephemeral-storage": nil,
		}},
		{"mounted", render.WeightsImage, "", map[string]any{
			"volumes.0":                 map[string]any{"name": "weights-0", "image": map[string]any{"reference": "registry.example.com/s@" + launchtest.Digest("c"), "pullPolicy": "IfNotPresent"}},
			"containers.0.volumeMounts": []any{map[string]any{"name": "weights-0", "mountPath": "/models/image", "readOnly": true}, copied("d", "/models/files")},
			"initContainers.0.command":  unpack("d"), "initContainers.1.command": nil,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			objects := launchtest.Render(t, weightsInput(tt.mount, tt.claim))
			d := launchtest.Find(objects, "Deployment/algo-foo-bar")
			for path, want := range tt.want {
				if diff := cmp.Diff(want, launchtest.At(d, pod+path)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
			images := render.Images(objects)
			for _, c := range []string{"c", "d"} {
				if !slices.Contains(images, "registry.example.com/s@"+launchtest.Digest(c)) {
					t.Errorf("the images are %q, want the weights among them", images)
				}
			}
			if launchtest.Find(objects, "ConfigMap/registry-ca") == nil {
				t.Error("there is no ConfigMap of the registry's authority")
			}
		})
	}
	plain := launchtest.Input()
	plain.Settings.Weights = render.Weights{Mount: render.WeightsCopy, CA: "PEM"}
	if objects := launchtest.Render(t, plain); launchtest.Find(objects, "ConfigMap/registry-ca") != nil {
		t.Error("a launch without weights has the registry's authority")
	}
}
