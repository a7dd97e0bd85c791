package preflight_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// noted returns what was noted of variables and volumes in a state.
func noted(checks []preflight.Check, state preflight.State) string {
	var told []string
	for _, c := range checks {
		if c.Name == "variables and volumes" && c.State == state {
			told = append(told, c.Message+" → "+c.Fix)
		}
	}
	return strings.Join(told, "\n")
}

// What algorithms are given and the namespace lacks is named with who needs it and
// what to do; what is there is no problem.
func TestPreflightOfReferences(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input() // foo/bar has two replicas
		in.Plan.Algorithms[0].PodSettings = constellation.PodSettings{
			EnvFrom: []constellation.EnvFrom{{Name: "TOKEN", Secret: "hub", Key: "token"}, {ConfigMap: "labels"}},
			Volumes: []constellation.Volume{{Name: "models", Type: constellation.VolumePVC, Source: "models", MountPath: "/models"}},
		}
		in.Settings.Pods = map[string]render.PodOverrides{"foo/bar": {Secrets: []string{"PASSWORD"}}}
		want := func(state preflight.State, texts ...string) {
			t.Helper()
			got := noted(launchtest.Preflight(t, s.Cluster, in), state)
			for _, text := range texts {
				if !strings.Contains(got, text) {
					t.Errorf("%s: %s\nlacks %q", state, got, text)
				}
			}
		}
		want(preflight.Problem,
			"there is no Secret hub in namespace "+s.Namespace+", which foo/bar needs for the variable TOKEN", "create secret generic hub",
			"there is no ConfigMap labels", "create configmap labels",
			"there is no PersistentVolumeClaim models", "foo/bar needs for the volume models",
			"has no value of the secrets stage.env.foo/bar.PASSWORD", "configure --secret stage.env.foo/bar.PASSWORD -")

		core := s.Admin.CoreV1()
		claim := func(mode corev1.PersistentVolumeAccessMode) {
			t.Helper()
			_ = core.PersistentVolumeClaims(s.Namespace).Delete(t.Context(), "models", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
			made := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "models"}, Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{mode},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
			}}
			created, err := core.PersistentVolumeClaims(s.Namespace).Create(t.Context(), made, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			created.Finalizers = nil // nobody protects it here, nor lets it go
			if _, err := core.PersistentVolumeClaims(s.Namespace).Update(t.Context(), created, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		claim(corev1.ReadWriteOnce)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "hub"}, Data: map[string][]byte{"user": []byte("hunter2")}}
		if _, err := core.Secrets(s.Namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := core.ConfigMaps(s.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "labels"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		in.Settings.Pods = nil
		want(preflight.Problem, "Secret hub of namespace "+s.Namespace+" has no key token", "its keys: user")
		if got := noted(launchtest.Preflight(t, s.Cluster, in), preflight.Problem); strings.Contains(got, "hunter2") || strings.Count(got, "→") != 1 {
			t.Errorf("problems: %s", got)
		}
		want(preflight.Warning, "models is read-write-once: all 2 pods that use it have to run on one node", "stage.replicas.VANITY_URL=1")
		claim(corev1.ReadWriteOncePod)
		want(preflight.Problem, "ReadWriteOncePod, and 2 pods are to use it")
		claim(corev1.ReadWriteMany)
		in.Plan.Algorithms[0].EnvFrom[0].Key = "user"
		want(preflight.OK, "1 ConfigMap, 1 PersistentVolumeClaim, 1 Secret")
		if got := noted(launchtest.Preflight(t, s.Cluster, in), preflight.Problem); got != "" {
			t.Errorf("problems of what is there: %s", got)
		}

		// Another pod holds it on a node.
		claim(corev1.ReadWriteOnce)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: corev1.PodSpec{
			NodeName: "node-7", Containers: []corev1.Container{{Name: "c", Image: "x"}},
			Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "models"}}}},
		}}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}} // no controller makes it here
		if _, err := core.ServiceAccounts(s.Namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		if _, err := core.Pods(s.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		want(preflight.Warning, "on node node-7 (in use by pod other)")
	})
}
