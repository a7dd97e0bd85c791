package render_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

func TestAlgorithmName(t *testing.T) {
	t.Parallel()
	for vanity, want := range map[string]string{
		"foo/bar":                         "algo-foo-bar",
		"foo/bar/baz":                     "algo-foo-bar-baz",
		"foo/bar-baz":                     "algo-foo-bar-baz--cd6ffb27a4f1",
		"Foo/bar":                         "algo-foo-bar--",
		"a_b/c.d":                         "algo-a-b-c-d--",
		"1/2":                             "algo-1-2",
		"x/---":                           "algo-x--",
		"foo/" + strings.Repeat("y", 190): "algo-foo-" + strings.Repeat("y", 31) + "--",
	} {
		got := render.AlgorithmName(vanity)
		if !strings.HasPrefix(got, want) || len(got) > 54 {
			t.Errorf("AlgorithmName(%q) = %q, want %q", vanity, got, want)
		}
	}
	seen := map[string]string{}
	for _, vanity := range []string{"foo/bar", "Foo/bar", "foo/Bar", "foo/bar-", "foo/bar_", "foo/bar.", "foo_/bar", "foo/b/ar", "foo/b-ar"} {
		if other, ok := seen[render.AlgorithmName(vanity)]; ok {
			t.Errorf("%q and %q share the name %s", vanity, other, render.AlgorithmName(vanity))
		}
		seen[render.AlgorithmName(vanity)] = vanity
	}
}

// Vanity URLs that differ only by case or sign never share a name: also not
// one that was made for it, with another one's hash as its last segment, nor
// any two of so many that a short hash would have some meet.
func TestAlgorithmNamesNeverMeet(t *testing.T) {
	t.Parallel()
	other := render.AlgorithmName("Foo/Bar")
	made := "foo/bar/" + other[strings.LastIndex(other, "-")+1:]
	if render.AlgorithmName(made) == other {
		t.Errorf("%q and Foo/Bar share the name %s", made, other)
	}
	const letters = "abcdefghijklmnopq"
	seen := map[string]string{}
	for bits := range 1 << len(letters) {
		spelled := []byte("x/" + letters)
		for i := range letters {
			if bits>>i&1 == 1 {
				spelled[2+i] -= 'a' - 'A'
			}
		}
		name := render.AlgorithmName(string(spelled))
		if other, ok := seen[name]; ok {
			t.Fatalf("%s and %s share the name %s", spelled, other, name)
		}
		seen[name] = string(spelled)
	}
}

func TestRenderObjects(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range launchtest.Render(t, launchtest.Input()) {
		got = append(got, launchtest.Stem(render.Name(o)))
		for label, want := range map[string]string{
			"app.kubernetes.io/managed-by": "algo-install", render.LabelSatellite: "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab",
			render.LabelLaunch: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", render.LabelVersion: "1",
		} {
			if o.GetLabels()[label] != want {
				t.Errorf("%s has label %s=%q, want %q", render.Name(o), label, o.GetLabels()[label], want)
			}
		}
		if o.GetNamespace() != "algorithms" {
			t.Errorf("%s is in namespace %q", render.Name(o), o.GetNamespace())
		}
	}
	deep := render.AlgorithmName("Deep/Thought_1")
	want := []string{
		"ServiceAccount/execution-engine", "Role/execution-engine", "RoleBinding/execution-engine",
		"ConfigMap/execution-engine", "Secret/execution-engine", "Secret/execution-engine-kept", "Secret/algorithm-key", "Secret/registry-pull",
		"NetworkPolicy/default-deny", "NetworkPolicy/execution-engine", "NetworkPolicy/algo-foo-bar", "NetworkPolicy/" + deep,
		"Service/algo-foo-bar", "Service/" + deep, "Service/execution-engine",
		"PodDisruptionBudget/execution-engine", "PodDisruptionBudget/algo-foo-bar",
		"Deployment/algo-foo-bar", "Deployment/" + deep, "Deployment/execution-engine", "Ingress/execution-engine",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestRenderIsDeterministic(t *testing.T) {
	t.Parallel()
	text := func() string {
		var b strings.Builder
		for _, o := range launchtest.Render(t, launchtest.Input()) {
			data, err := render.YAML(o)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(data)
		}
		return b.String()
	}
	if diff := cmp.Diff(text(), text()); diff != "" {
		t.Errorf("two renderings differ:\n%s", diff)
	}
	if strings.Contains(text(), "creationTimestamp") || strings.Contains(text(), "status:") {
		t.Error("the manifests have fields that are the server's")
	}
}

// The engine must be able to read what is rendered for it.
func TestRenderedConfigurationIsTheEngines(t *testing.T) {
	t.Parallel()
	objects := launchtest.Render(t, launchtest.Input())
	routes, err := config.ParseRoutes([]byte(launchtest.At(launchtest.Find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil {
		t.Fatal(err)
	}
	if r := routes.Algorithms[0]; r.VanityURL != "foo/bar" || launchtest.Stem("/"+r.Service) != "/algo-foo-bar" || r.Port != 9999 || r.Concurrency != 1 {
		t.Errorf("route = %+v", r)
	}
	if routes.OwnKey != "" {
		t.Errorf("own_key = %q, want it left out for the default", routes.OwnKey)
	}
	in := launchtest.Input()
	in.Settings.OwnKey = config.OwnKeyAny
	anywhere, err := config.ParseRoutes([]byte(launchtest.At(launchtest.Find(launchtest.Render(t, in), "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil || anywhere.OwnKey != config.OwnKeyAny {
		t.Errorf("stage.own_key=any: own_key = %q, %v", anywhere.OwnKey, err)
	}
	if routes.Mothership.URL != "https://mothership.example.com" {
		t.Errorf("mothership = %q", routes.Mothership.URL)
	}
	secret := launchtest.At(launchtest.Find(objects, "Secret/execution-engine"), "data.keys~json").(string)
	var raw []byte
	if err := json.Unmarshal([]byte(`"`+secret+`"`), &raw); err != nil {
		t.Fatal(err)
	}
	keys, err := config.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys.Keys) != 2 || keys.Keys[1].SHA256 != config.HashKey(launchtest.Input().Plan.InternalKey()) {
		t.Errorf("keys = %+v, want the caller's and the internal one", keys.Keys)
	}
}

// What the restricted Pod Security standard asks for.
func TestSystemPodsAreRestricted(t *testing.T) {
	t.Parallel()
	engine := launchtest.Find(launchtest.Render(t, launchtest.Input()), "Deployment/execution-engine")
	for path, want := range map[string]any{
		"spec.template.spec.securityContext.runAsNonRoot":                          true,
		"spec.template.spec.securityContext.seccompProfile.type":                   "RuntimeDefault",
		"spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation": false,
		"spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem":   true,
		"spec.template.spec.containers.0.securityContext.capabilities.drop.0":      "ALL",
		"spec.template.spec.automountServiceAccountToken":                          true,
		"spec.template.spec.containers.0.image":                                    "registry.example.com/execution-engine@" + launchtest.Digest("e"),
		"spec.strategy.rollingUpdate.maxUnavailable":                               int64(0),
		"spec.replicas": int64(2),
		"spec.template.spec.imagePullSecrets.0.name":                       render.PullSecretName,
		"spec.template.spec.topologySpreadConstraints.0.whenUnsatisfiable": "ScheduleAnyway",
	} {
		if got := launchtest.At(engine, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}

func TestAlgorithmPods(t *testing.T) {
	t.Parallel()
	in := launchtest.Input()
	gpu := 0
	in.Settings.Replicas = map[string]int{"foo/bar": 5}
	in.Settings.Resources = map[string]render.Resources{"Deep/Thought_1": {Memory: "2Gi", GPU: &gpu}}
	objects := launchtest.Render(t, in)
	const pod = "spec.template.spec."
	hello, deep := launchtest.Find(objects, "Deployment/algo-foo-bar"), launchtest.Find(objects, "Deployment/"+render.AlgorithmName("Deep/Thought_1"))
	tests := []struct {
		object *unstructured.Unstructured
		path   string
		want   any
	}{
		{hello, "spec.replicas", int64(5)},
		{hello, pod + "automountServiceAccountToken", false},
		{hello, pod + "enableServiceLinks", false},
		{hello, pod + "containers.0.securityContext.runAsNonRoot", true}, // USER 2222
		{deep, pod + "containers.0.securityContext.runAsNonRoot", nil},   // USER algo
		{hello, pod + "containers.0.securityContext.runAsUser", nil},
		{hello, pod + "containers.0.readinessProbe.tcpSocket.port", "algorithm"},
		{deep, pod + "containers.0.readinessProbe.httpGet.path", "/healthy"},
		{hello, pod + "containers.0.env.0.value", "http://execution-engine"},
		{hello, pod + "containers.0.env.1.valueFrom.secretKeyRef.name", render.AlgorithmKey},
		{hello, pod + "containers.0.resources", nil},
		{deep, pod + "containers.0.resources.requests.cpu", "500m"},
		{deep, pod + "containers.0.resources.limits.cpu", nil},
		{deep, pod + "containers.0.resources.limits.memory", "2Gi"},
		{deep, pod + "containers.0.resources.limits.nvidia~com/gpu", nil},
		{launchtest.Find(objects, "Service/algo-foo-bar"), "spec.clusterIP", "None"},
	}
	for _, test := range tests {
		if got := launchtest.At(test.object, test.path); got != test.want {
			t.Errorf("%s %s = %v, want %v", render.Name(test.object), test.path, got, test.want)
		}
	}
}

// Pods restart when what they run changes, and not when a neighbour does.
func TestPodTemplatesChangeOnlyWithWhatTheyRun(t *testing.T) {
	t.Parallel()
	templates := func(in render.Input) map[string]string {
		m := map[string]string{}
		for _, o := range launchtest.Render(t, in) {
			if o.GetKind() == "Deployment" {
				data, err := json.Marshal(launchtest.At(o, "spec.template"))
				if err != nil {
					t.Fatal(err)
				}
				m[o.GetName()] = string(data)
			}
		}
		return m
	}
	before := templates(launchtest.Input())
	in := launchtest.Input()
	in.Plan.Satellite.Version, in.Plan.Satellite.Name = 2, "renamed"
	in.Plan.Keys = nil
	in.Plan.Algorithms[0].Replicas = 9
	if diff := cmp.Diff(before, templates(in)); diff != "" {
		t.Errorf("pods would restart for a change of configuration:\n%s", diff)
	}
	in.Images[launchtest.Digest("a")] = "registry.example.com/s@" + launchtest.Digest("f")
	old, next := keysLike(before, "algo-foo-bar"), keysLike(templates(in), "algo-foo-bar")
	if len(old) != 1 || len(next) != 1 || old[0] == next[0] {
		t.Errorf("with a new image: %q, then %q; want it beside the old one under another name", old, next)
	}
	after := templates(in)
	for name, template := range before {
		if name != old[0] && after[name] != template {
			t.Errorf("%s would restart for another algorithm's image", name)
		}
	}
	in.Stable = true
	if names := keysLike(templates(in), "algo-foo-bar"); len(names) != 1 || names[0] != "algo-foo-bar" {
		t.Errorf("stable names: %q", names)
	}
}

func keysLike(m map[string]string, prefix string) []string {
	var keys []string
	for key := range m {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// A pod that ends takes calls until the engines know: the runner of a pipe
// image sees to that, and for the others the kubelet, where it can.
func TestRenderedAlgorithmsDrain(t *testing.T) {
	t.Parallel()
	const hook = "spec.template.spec.containers.0.lifecycle.preStop.sleep.seconds"
	for _, test := range []struct {
		name  string
		input render.Input
		minor int
		want  any
	}{
		{"a langserver", launchtest.Input(), 37, int64(5)},
		{"on the first that can sleep", launchtest.Input(), 30, int64(5)},
		{"on the last that cannot", launchtest.Input(), 29, nil},
		{"a pipe image", pipeInput(render.Process{}, false), 37, nil},
	} {
		test.input.APIs.Minor = test.minor
		d := launchtest.Find(launchtest.Render(t, test.input), "Deployment/algo-foo-bar")
		if diff := cmp.Diff(test.want, launchtest.At(d, hook)); diff != "" {
			t.Errorf("%s: seconds (-want +got):\n%s", test.name, diff)
		}
		if grace := launchtest.At(d, "spec.template.spec.terminationGracePeriodSeconds"); grace != int64(310) {
			t.Errorf("%s: %v seconds to end, want 310: the drain's and a call's", test.name, grace)
		}
	}
}
