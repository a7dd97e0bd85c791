package preflight_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// TestPreflightOfWeights looks at the claim of a cache, and has a real API server
// take what is rendered for each way to the weights.
func TestPreflightOfWeights(t *testing.T) {
	t.Parallel()
	s := launchtest.NewSpace(t, "1.37.2")
	in := launchtest.Input()
	digest := launchtest.Digest("c")
	in.Images[digest] = "registry.example.com/s@" + digest
	in.Plan.Algorithms[0].Weights = []bundle.Weights{{
		Artifact: "Neo/Bert/" + strings.Repeat("c", 40), Path: "/models/m", Form: constellation.WeightsImage, UnpackedSize: 12e9, Files: 1,
		Image: bundle.Image{Repository: "neo/bert", Digest: digest, Platforms: []string{"linux/amd64"}},
	}}
	in.Settings.Weights = render.Weights{Mount: render.WeightsCopy, Claim: "models"}
	said := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "weights")
	if !strings.Contains(said, "has no PersistentVolumeClaim models") {
		t.Errorf("a claim that is not there: %q", said)
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "models"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}},
	}}
	if _, err := s.Admin.CoreV1().PersistentVolumeClaims(s.Namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if said := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "weights"); said != "" {
		t.Errorf("a claim that is there: %q", said)
	}
	for _, set := range []render.Weights{{Mount: render.WeightsCopy}, {Mount: render.WeightsCopy, Claim: "models", CA: "PEM"}, {Mount: render.WeightsImage}} {
		in.Settings.Namespace, in.Settings.Weights = s.Namespace, set
		var deployment appsv1.Deployment
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(launchtest.Find(launchtest.Render(t, in), "Deployment/algo-foo-bar").Object, &deployment); err != nil {
			t.Fatal(err)
		}
		_, err := s.Admin.AppsV1().Deployments(s.Namespace).Create(t.Context(), &deployment, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			t.Errorf("the API server refuses weights that are %+v: %v", set, err)
		}
	}
}
