package render_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// surrounded is the example launch, whose first algorithm has settings of the
// satellite's, and of the operator's over them.
func surrounded() render.Input {
	in := launchtest.Input()
	in.Plan.Algorithms[0].PodSettings = constellation.PodSettings{
		Env:     map[string]string{"LEVEL": "info", "TOKEN": "of the plan", "COST": "5$(X) $"},
		EnvFrom: []constellation.EnvFrom{{Secret: "hub"}, {Name: "USER", Secret: "hub", Key: "user"}, {ConfigMap: "labels"}},
		Volumes: []constellation.Volume{
			{Name: "shm", Type: constellation.VolumeEmpty, Size: "64Mi", Memory: true, MountPath: "/dev/shm"},
			{Name: "models", Type: constellation.VolumePVC, Source: "models", MountPath: "/models", ReadOnly: true},
		},
	}
	in.Settings.Pods = map[string]render.PodOverrides{"foo/bar": {
		PodSettings: constellation.PodSettings{
			Env:     map[string]string{"LEVEL": "debug", "USER": "here"},
			EnvFrom: []constellation.EnvFrom{{ConfigMap: "labels"}, {Name: "KEY", ConfigMap: "labels", Key: "key"}},
			Volumes: []constellation.Volume{
				{Name: "models", Type: constellation.VolumeSecret, Source: "keys", MountPath: "/models"},
				{Name: "labels", Type: constellation.VolumeConfigMap, Source: "labels", MountPath: "/labels"},
			},
		},
		Secrets: []string{"TOKEN"},
	}}
	in.Settings.SecretMarks = map[string]string{"foo/bar": "1a2b"}
	return in
}

// podOf returns the pod of an algorithm.
func podOf(t *testing.T, objects []*unstructured.Unstructured, stem string) corev1.PodTemplateSpec {
	t.Helper()
	var pod corev1.PodTemplateSpec
	for _, o := range objects {
		if o.GetKind() == "Deployment" && strings.HasPrefix(o.GetName(), stem) {
			template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod); err != nil {
				t.Fatal(err)
			}
			return pod
		}
	}
	t.Fatalf("no Deployment %s", stem)
	return pod
}

func TestPodSettings(t *testing.T) {
	t.Parallel()
	objects := launchtest.Render(t, surrounded())
	pod := podOf(t, objects, "algo-foo-bar")
	container := pod.Spec.Containers[0]
	var env []string
	for _, e := range container.Env[2:] { // after those of the platform
		text := e.Name + "=" + e.Value
		if from := e.ValueFrom; from != nil && from.SecretKeyRef != nil {
			text += "secret:" + from.SecretKeyRef.Name + "/" + from.SecretKeyRef.Key
		} else if from != nil {
			text += "configmap:" + from.ConfigMapKeyRef.Name + "/" + from.ConfigMapKeyRef.Key
		}
		env = append(env, text)
	}
	// $$ is how Kubernetes is told of a $.
	if diff := cmp.Diff([]string{"COST=5$$(X) $$", "LEVEL=debug", "USER=here", "KEY=configmap:labels/key", "TOKEN=secret:algorithm-secrets/algo-foo-bar.TOKEN"}, env); diff != "" {
		t.Error(diff)
	}
	if len(container.EnvFrom) != 2 || container.EnvFrom[0].SecretRef.Name != "hub" || container.EnvFrom[1].ConfigMapRef.Name != "labels" {
		t.Errorf("envFrom = %+v, want all of the Secret hub, then of the ConfigMap labels, once", container.EnvFrom)
	}
	mounts := map[string]bool{}
	for _, m := range container.VolumeMounts {
		mounts[m.MountPath] = m.ReadOnly
	}
	if diff := cmp.Diff(map[string]bool{"/dev/shm": false, "/models": true, "/labels": true}, mounts); diff != "" {
		t.Error(diff)
	}
	for _, v := range pod.Spec.Volumes {
		if v.Name == "volume-shm" && (v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory || v.EmptyDir.SizeLimit.String() != "64Mi") {
			t.Errorf("shm = %+v, want 64Mi of memory", v)
		}
		if v.Name == "volume-models" && (v.Secret == nil || v.Secret.SecretName != "keys") {
			t.Errorf("models = %+v, want the operator's", v)
		}
	}
	other := podOf(t, objects, "algo-deep-thought-1")
	if len(other.Spec.Volumes) != 0 || len(other.Spec.Containers[0].Env) != 2 {
		t.Errorf("the neighbour has %+v", other.Spec)
	}
	data, err := json.Marshal(launchtest.Find(objects, "Secret/"+render.SecretsName))
	if err != nil || strings.Contains(string(data), `"data"`) {
		t.Errorf("the Secret of secrets is rendered as %s, want it without its values", data)
	}
}

// A new secret, variable or volume brings its algorithm up anew, and no other.
func TestPodSettingsRoll(t *testing.T) {
	t.Parallel()
	names := func(in render.Input) (foo, deep string) {
		for _, o := range launchtest.Render(t, in) {
			switch {
			case o.GetKind() == "Deployment" && strings.HasPrefix(o.GetName(), "algo-foo"):
				foo = o.GetName()
			case o.GetKind() == "Deployment" && strings.HasPrefix(o.GetName(), "algo-deep"):
				deep = o.GetName()
			}
		}
		return foo, deep
	}
	foo, deep := names(surrounded())
	for what, change := range map[string]func(in *render.Input){
		"a variable": func(in *render.Input) { in.Plan.Algorithms[0].Env["NEW"] = "" },
		"a secret":   func(in *render.Input) { in.Settings.SecretMarks["foo/bar"] = "3c4d" },
		"a volume":   func(in *render.Input) { in.Plan.Algorithms[0].Volumes[0].Size = "1Gi" },
	} {
		in := surrounded()
		change(&in)
		if f, d := names(in); f == foo || d != deep {
			t.Errorf("%s: %s and %s were %s and %s", what, f, d, foo, deep)
		}
	}
}

// What the plan and the operator say may fit alone, and not together.
func TestPodSettingsThatDisagree(t *testing.T) {
	t.Parallel()
	in := surrounded()
	in.Settings.Pods["foo/bar"].Volumes[1].MountPath = "/dev/shm"
	if _, err := render.Launch(in); err == nil || !strings.Contains(err.Error(), "overlap") || !strings.Contains(err.Error(), "foo/bar") {
		t.Errorf("Launch = %v, want that mounts overlap", err)
	}
}
