package preflight

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Nodes are the cluster's, not a test's, so this asks what the check makes of them.
func TestNodesThatMountImages(t *testing.T) {
	t.Parallel()
	images := []bundle.Weights{{Artifact: "neo/bert/1", Image: bundle.Image{Platforms: []string{"linux/amd64"}}}}
	for _, test := range []struct{ runtime, architecture, want string }{
		{"containerd://2.1.0", "amd64", ""},
		{"containerd://v3.0.1-rc.1", "amd64", ""},
		{"cri-o://1.31.2", "amd64", ""},
		{"containerd://1.6.20~ds1", "amd64", "containerd 1.6.20~ds1"},
		{"containerd://2.0.9", "amd64", "containerd 2.0.9"},
		{"docker://27.1.1", "amd64", "docker 27.1.1"},
		{"", "amd64", "from 2.1 on"},
		{"containerd://2.1.0", "arm64", "not for linux/arm64"},
	} {
		node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{
			ContainerRuntimeVersion: test.runtime, OperatingSystem: "linux", Architecture: test.architecture,
		}}}
		got := unmountable([]corev1.Node{node}, images)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("unmountable(%s, %s) = %q, want %q", test.runtime, test.architecture, got, test.want)
		}
	}
}

// An isolated algorithm's pods cannot get weights from the registry.
func TestWeightsOfIsolated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		network string
		set     render.Weights
		form    constellation.WeightsForm
		want    State
	}{
		{"isolated", render.Weights{Mount: render.WeightsCopy}, constellation.WeightsImage, Problem},
		{"isolated", render.Weights{Mount: render.WeightsImage}, constellation.WeightsFiles, Problem},
		{"isolated", render.Weights{Mount: render.WeightsImage}, constellation.WeightsImage, ""},
		{"isolated", render.Weights{Mount: render.WeightsCopy, Claim: "models"}, constellation.WeightsImage, Warning},
		{"full", render.Weights{Mount: render.WeightsCopy}, constellation.WeightsImage, ""},
	} {
		a := bundle.Algorithm{VanityURL: "foo/bar", Runtime: constellation.Runtime{Network: test.network}, Weights: []bundle.Weights{{Form: test.form}}}
		p := &preflight{input: render.Input{Plan: &bundle.Plan{Algorithms: []bundle.Algorithm{a}}, Settings: render.Settings{Weights: test.set}}}
		p.isolatedWeights()
		var got State
		for _, c := range p.checks {
			got = c.State
		}
		if got != test.want {
			t.Errorf("%s with %+v and %s: %q, want %q", test.network, test.set, test.form, got, test.want)
		}
	}
}
