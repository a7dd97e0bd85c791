package kube_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// testInput is a satellite of two algorithms: foo/bar with all the network
// and two replicas, Deep/Thought_1 isolated.
func testInput() kube.Input {
	algorithm := func(vanity, c string, replicas int, run constellation.Runtime) bundle.Algorithm {
		return bundle.Algorithm{
			VanityURL: vanity, Algorithm: "Neo/Hello/" + strings.Repeat(c, 40), Replicas: replicas,
			Image: bundle.Image{Repository: "neo/hello", Digest: digest(c)}, Runtime: run.WithDefaults(),
		}
	}
	plan := &bundle.Plan{
		SchemaVersion: 1,
		Satellite: bundle.Satellite{ID: "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab", Name: "edge", Version: 1,
			ExpiresAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
		Launch:     bundle.Launch{ID: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", Token: "cst_token"},
		Mothership: bundle.Mothership{URL: "https://mothership.example.com"},
		System:     bundle.System{Version: "v1", Image: bundle.Image{Digest: digest("e")}},
		Algorithms: []bundle.Algorithm{
			algorithm("foo/bar", "a", 2, constellation.Runtime{}),
			algorithm("Deep/Thought_1", "b", 1, constellation.Runtime{Protocol: constellation.ProtocolHTTP, Port: 8000,
				HealthPath: "/healthy", Network: "isolated", CPU: "500m", Memory: "1Gi", GPU: 1}),
		},
		Keys: []bundle.Key{{ID: "k1", Name: "caller", SHA256: strings.Repeat("0", 64)}},
	}
	return kube.Input{
		Plan: plan, APIs: kube.LatestAPIs(),
		Images: map[string]string{
			digest("a"): "registry.example.com/s@" + digest("a"), digest("b"): "registry.example.com/s@" + digest("b"),
			digest("e"): "registry.example.com/execution-engine@" + digest("e"),
		},
		Users: map[string]string{digest("a"): "2222", digest("b"): "algo"},
		Settings: kube.Settings{
			Namespace: "algorithms", Profile: kube.ProfileHA, Ingress: kube.Ingress{Provider: "generic"},
			MothershipURL: "https://mothership.example.com",
			PullSecret:    kube.PullSecretName, PullConfig: []byte(`{"auths":{}}`),
		},
	}
}

func render(t *testing.T, in kube.Input) []*unstructured.Unstructured {
	t.Helper()
	objects, err := kube.Render(in)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	return objects
}

// find gives one rendered object, an algorithm's by its name without the
// revision; nil when there is none.
func find(objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	for _, o := range objects {
		if stem(kube.Name(o)) == name {
			return o
		}
	}
	return nil
}

var revision = regexp.MustCompile(`(/algo-.*)-[0-9a-f]{8}$`)

// stem leaves the revision of an algorithm's name out.
func stem(name string) string { return revision.ReplaceAllString(name, "$1") }

// at reads a value at a path such as spec.rules.0.host, nil when there is none.
func at(o *unstructured.Unstructured, path string) any {
	var value any
	if o != nil {
		value = o.Object
	}
	for _, key := range strings.Split(path, ".") {
		key = strings.ReplaceAll(key, "~", ".")
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i := 0
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

func TestAlgorithmName(t *testing.T) {
	t.Parallel()
	for vanity, want := range map[string]string{
		"foo/bar":                         "algo-foo-bar",
		"foo/bar/baz":                     "algo-foo-bar-baz",
		"foo/bar-baz":                     "algo-foo-bar-baz-72dc89",
		"Foo/bar":                         "algo-foo-bar-",
		"a_b/c.d":                         "algo-a-b-c-d-",
		"1/2":                             "algo-1-2",
		"x/---":                           "algo-x-",
		"foo/" + strings.Repeat("y", 190): "algo-foo-" + strings.Repeat("y", 38),
	} {
		got := kube.AlgorithmName(vanity)
		if !strings.HasPrefix(got, strings.TrimSuffix(want, "72dc89")) || len(got) > 54 {
			t.Errorf("AlgorithmName(%q) = %q, want %q", vanity, got, want)
		}
	}
	seen := map[string]string{}
	for _, vanity := range []string{"foo/bar", "Foo/bar", "foo/Bar", "foo/bar-", "foo/bar_", "foo/bar.", "foo_/bar", "foo/b/ar", "foo/b-ar"} {
		if other, ok := seen[kube.AlgorithmName(vanity)]; ok {
			t.Errorf("%q and %q share the name %s", vanity, other, kube.AlgorithmName(vanity))
		}
		seen[kube.AlgorithmName(vanity)] = vanity
	}
}

func TestRenderObjects(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range render(t, testInput()) {
		got = append(got, stem(kube.Name(o)))
		for label, want := range map[string]string{
			"app.kubernetes.io/managed-by": "algo-install", kube.LabelSatellite: "6f1d2c3b-0a1b-4c2d-8e3f-0123456789ab",
			kube.LabelLaunch: "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345", kube.LabelVersion: "1",
		} {
			if o.GetLabels()[label] != want {
				t.Errorf("%s has label %s=%q, want %q", kube.Name(o), label, o.GetLabels()[label], want)
			}
		}
		if o.GetNamespace() != "algorithms" {
			t.Errorf("%s is in namespace %q", kube.Name(o), o.GetNamespace())
		}
	}
	deep := kube.AlgorithmName("Deep/Thought_1")
	want := []string{
		"ServiceAccount/execution-engine", "Role/execution-engine", "RoleBinding/execution-engine",
		"ConfigMap/execution-engine", "Secret/execution-engine", "Secret/algorithm-key", "Secret/registry-pull",
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
		for _, o := range render(t, testInput()) {
			data, err := kube.YAML(o)
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
	objects := render(t, testInput())
	routes, err := config.ParseRoutes([]byte(at(find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil {
		t.Fatal(err)
	}
	if r := routes.Algorithms[0]; r.VanityURL != "foo/bar" || stem("/"+r.Service) != "/algo-foo-bar" || r.Port != 9999 || r.Concurrency != 1 {
		t.Errorf("route = %+v", r)
	}
	if routes.Mothership.URL != "https://mothership.example.com" {
		t.Errorf("mothership = %q", routes.Mothership.URL)
	}
	secret := at(find(objects, "Secret/execution-engine"), "data.keys~json").(string)
	var raw []byte
	if err := json.Unmarshal([]byte(`"`+secret+`"`), &raw); err != nil {
		t.Fatal(err)
	}
	keys, err := config.ParseKeys(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys.Keys) != 2 || keys.Keys[1].SHA256 != config.HashKey(testInput().Plan.InternalKey()) {
		t.Errorf("keys = %+v, want the caller's and the internal one", keys.Keys)
	}
}

// What the restricted Pod Security standard asks for.
func TestSystemPodsAreRestricted(t *testing.T) {
	t.Parallel()
	engine := find(render(t, testInput()), "Deployment/execution-engine")
	for path, want := range map[string]any{
		"spec.template.spec.securityContext.runAsNonRoot":                          true,
		"spec.template.spec.securityContext.seccompProfile.type":                   "RuntimeDefault",
		"spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation": false,
		"spec.template.spec.containers.0.securityContext.readOnlyRootFilesystem":   true,
		"spec.template.spec.containers.0.securityContext.capabilities.drop.0":      "ALL",
		"spec.template.spec.automountServiceAccountToken":                          true,
		"spec.template.spec.containers.0.image":                                    "registry.example.com/execution-engine@" + digest("e"),
		"spec.strategy.rollingUpdate.maxUnavailable":                               int64(0),
		"spec.replicas": int64(2),
		"spec.template.spec.imagePullSecrets.0.name":                       kube.PullSecretName,
		"spec.template.spec.topologySpreadConstraints.0.whenUnsatisfiable": "ScheduleAnyway",
	} {
		if got := at(engine, path); got != want {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
	}
}

func TestAlgorithmPods(t *testing.T) {
	t.Parallel()
	in := testInput()
	gpu := 0
	in.Settings.Replicas = map[string]int{"foo/bar": 5}
	in.Settings.Resources = map[string]kube.Resources{"Deep/Thought_1": {Memory: "2Gi", GPU: &gpu}}
	objects := render(t, in)
	const pod = "spec.template.spec."
	hello, deep := find(objects, "Deployment/algo-foo-bar"), find(objects, "Deployment/"+kube.AlgorithmName("Deep/Thought_1"))
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
		{hello, pod + "containers.0.env.1.valueFrom.secretKeyRef.name", kube.AlgorithmKey},
		{hello, pod + "containers.0.resources", nil},
		{deep, pod + "containers.0.resources.requests.cpu", "500m"},
		{deep, pod + "containers.0.resources.limits.cpu", nil},
		{deep, pod + "containers.0.resources.limits.memory", "2Gi"},
		{deep, pod + "containers.0.resources.limits.nvidia~com/gpu", nil},
		{find(objects, "Service/algo-foo-bar"), "spec.clusterIP", "None"},
	}
	for _, test := range tests {
		if got := at(test.object, test.path); got != test.want {
			t.Errorf("%s %s = %v, want %v", kube.Name(test.object), test.path, got, test.want)
		}
	}
}

// Pods restart when what they run changes, and not when a neighbour does.
func TestPodTemplatesChangeOnlyWithWhatTheyRun(t *testing.T) {
	t.Parallel()
	templates := func(in kube.Input) map[string]string {
		m := map[string]string{}
		for _, o := range render(t, in) {
			if o.GetKind() == "Deployment" {
				data, err := json.Marshal(at(o, "spec.template"))
				if err != nil {
					t.Fatal(err)
				}
				m[o.GetName()] = string(data)
			}
		}
		return m
	}
	before := templates(testInput())
	in := testInput()
	in.Plan.Satellite.Version, in.Plan.Satellite.Name = 2, "renamed"
	in.Plan.Keys = nil
	in.Plan.Algorithms[0].Replicas = 9
	if diff := cmp.Diff(before, templates(in)); diff != "" {
		t.Errorf("pods would restart for a change of configuration:\n%s", diff)
	}
	in.Images[digest("a")] = "registry.example.com/s@" + digest("f")
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
		input kube.Input
		minor int
		want  any
	}{
		{"a langserver", testInput(), 37, int64(5)},
		{"on the first that can sleep", testInput(), 30, int64(5)},
		{"on the last that cannot", testInput(), 29, nil},
		{"a pipe image", pipeInput(kube.Process{}, false), 37, nil},
	} {
		test.input.APIs.Minor = test.minor
		d := find(render(t, test.input), "Deployment/algo-foo-bar")
		if diff := cmp.Diff(test.want, at(d, hook)); diff != "" {
			t.Errorf("%s: seconds (-want +got):\n%s", test.name, diff)
		}
		if grace := at(d, "spec.template.spec.terminationGracePeriodSeconds"); grace != int64(310) {
			t.Errorf("%s: %v seconds to end, want 310: the drain's and a call's", test.name, grace)
		}
	}
}
