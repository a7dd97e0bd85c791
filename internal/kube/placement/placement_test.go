package placement

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var one = resource.MustParse("1")

func parse(t *testing.T, text string) (Settings, error) {
	t.Helper()
	var values map[string]any
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return Parse(values)
}

func TestTheSpecialIsLaidOverTheGeneral(t *testing.T) {
	s, err := parse(t, `
node_selector: {pool: cpu, zone: a}
tolerations: [{key: shared, operator: Exists}]
labels: {team: vision}
service_account: reader
priority_class: low
foo/bar:
  node_selector: {pool: gpu}
  tolerations: []
  gpu_resource: amd.com/gpu
  mesh: "on"
queue: {priority_class: high}
`)
	if err != nil {
		t.Fatal(err)
	}
	shared := []corev1.Toleration{{Key: "shared", Operator: corev1.TolerationOpExists}}
	team := map[string]string{"team": "vision"}
	for who, want := range map[string]Placement{
		"foo/bar": {NodeSelector: map[string]string{"pool": "gpu", "zone": "a"}, Tolerations: []corev1.Toleration{}, Labels: team, ServiceAccount: "reader",
			PriorityClass: "low", GPUResource: "amd.com/gpu", Mesh: MeshOn},
		"foo/baz": {NodeSelector: map[string]string{"pool": "cpu", "zone": "a"}, Tolerations: shared, Labels: team, ServiceAccount: "reader", PriorityClass: "low"},
		Engine:    {NodeSelector: map[string]string{"pool": "cpu", "zone": "a"}, Tolerations: shared, Labels: team, PriorityClass: "low"},
		Queue:     {NodeSelector: map[string]string{"pool": "cpu", "zone": "a"}, Tolerations: shared, Labels: team, PriorityClass: "high"},
	} {
		if diff := cmp.Diff(want, s.Of(who)); diff != "" {
			t.Errorf("Of(%q): %s", who, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"tolerations: gpu": "stage.placement.tolerations is a list; not a string",
		"tolerations: [{key: gpu, operater: Exists}]":         "stage.placement.tolerations has [0].operater, which Kubernetes does not know there; did you mean operator",
		"tolerations: [{key: gpu, operator: Exist}]":          `stage.placement.tolerations [0] has the operator "Exist"`,
		"tolerations: [{operator: Equal, value: a}]":          "stage.placement.tolerations [0] has no key",
		"tolerations: [{key: a, operator: Exists, value: b}]": "Exists takes any",
		"tolerations: [{key: a, effect: NoSchedul}]":          `the effect "NoSchedul"`,
		"tolerations: [{key: a, tolerationSeconds: 3}]":       "tolerationSeconds",
		"node_selector: {pool: true}":                         `stage.placement.node_selector has a bool where a word is wanted: write it in quotes`,
		"node_selector: {'a b': c}":                           `stage.placement.node_selector has "a b", which is no label's name`,
		"node_selectr: {a: b}":                                "there is no setting stage.placement.node_selectr; did you mean stage.placement.node_selector",
		"engin: {mesh: 'on'}":                                 "did you mean stage.placement.engine",
		"foo/bar: {toleration: []}":                           "there is no setting stage.placement.foo/bar.toleration; did you mean stage.placement.foo/bar.tolerations",
		"foo/bar: gpu":                                        "stage.placement.foo/bar has keys such as",
		"labels: {app.kubernetes.io/name: mine}":              "stage.placement.labels cannot set app.kubernetes.io/name: the launch's objects are known by it",
		"annotations: {constellation/vanity-url: x}":          "cannot set constellation/vanity-url",
		"service_labels: {constellation/launch: x}":           "cannot set constellation/launch",
		"engine: {service_account: mine}":                     "the engine runs with an account of its own",
		"queue: {gpu_resource: amd.com/gpu}":                  "the queue uses no GPU",
		"gpu_resource: gpu":                                   `such as amd.com/gpu or nvidia.com/mig-1g.5gb; not "gpu"`,
		"gpu_resource: kubernetes.io/gpu":                     "device's resource",
		"mesh: maybe":                                         `stage.placement.mesh is one of on, off; not "maybe"`,
		"dns_policy: None":                                    "stage.placement.dns_policy=None leaves pods without a name server",
		"dns_config: {nameservers: [dns.example.com]}":        `"dns.example.com", which is no address`,
		"host_aliases: [{ip: db, hostnames: [a]}]":            `needs an ip, such as 10.0.0.7; not "db"`,
		"spread: [{topologyKey: zone, maxSkew: 0}]":           "needs a maxSkew",
		"spread: [{topologyKey: zone, maxSkew: 1}]":           "needs whenUnsatisfiable",
		"affinity: {nodeAffinty: {}}":                         "has nodeAffinty, which Kubernetes does not know there; did you mean nodeAffinity",
		"affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Is}]}]}}}": `the operator "Is" for a`,
		"affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]}}}": "that Kubernetes would refuse",
		"affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, preference: {}}]}}":                                      "a weight is from 1 to 100",
		"affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {}}]}}":                                            "without a topologyKey",
		"affinity: {nodeAffinity: 3}": "has a number at nodeAffinity, where Kubernetes wants a mapping",
	} {
		if _, err := parse(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, want %q", text, err, want)
		}
	}
}

func TestParseKey(t *testing.T) {
	for key, want := range map[string]Key{
		"tolerations": {Field: "tolerations"},
		"node_selector.cloud.google.com/gke-accelerator":            {Field: "node_selector", Name: "cloud.google.com/gke-accelerator"},
		"foo/bar.v2.node_selector.cloud.google.com/gke-accelerator": {Who: "foo/bar.v2", Field: "node_selector", Name: "cloud.google.com/gke-accelerator"},
		"engine.labels.team":  {Who: "engine", Field: "labels", Name: "team"},
		"queue.node_selector": {Who: "queue", Field: "node_selector"},
	} {
		if got, err := ParseKey(Root + "." + key); err != nil || got != want {
			t.Errorf("ParseKey(%q) = %+v, %v, want %+v", key, got, err, want)
		}
	}
	for key, want := range map[string]string{
		"toleration":         "did you mean stage.placement.tolerations",
		"foo/bar.affinty":    "did you mean stage.placement.foo/bar.affinity",
		"worker.tolerations": `there are no pods "worker"`,
		"tolerations.gpu":    "stage.placement.tolerations has no keys beneath it",
		"foo/bar":            "there is no setting stage.placement.foo/bar",
	} {
		if _, err := ParseKey(Root + "." + key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseKey(%q) = %v, want %q", key, err, want)
		}
	}
}

func TestValueInBrief(t *testing.T) {
	for text, want := range map[string][]corev1.Toleration{
		"gpu": {{Key: "gpu", Operator: corev1.TolerationOpExists}},
		"gpu=true:NoSchedule,spot:NoExecute": {{Key: "gpu", Operator: corev1.TolerationOpEqual, Value: "true", Effect: corev1.TaintEffectNoSchedule},
			{Key: "spot", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}},
		"*":                                   {{Operator: corev1.TolerationOpExists}},
		`[{"key":"gpu","operator":"Exists"}]`: {{Key: "gpu", Operator: corev1.TolerationOpExists}},
	} {
		value, err := Key{Field: "tolerations"}.Value(text)
		if err != nil {
			t.Errorf("Value(%q): %v", text, err)
			continue
		}
		s, err := Parse(map[string]any{"tolerations": value})
		if diff := cmp.Diff(want, s.Of("foo/bar").Tolerations); err != nil || diff != "" {
			t.Errorf("Value(%q): %v %s", text, err, diff)
		}
	}
}

func node(name string, labels map[string]string, taints []corev1.Taint, device string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Taints: taints}}
	n.Status.Allocatable = corev1.ResourceList{"cpu": one}
	if device != "" {
		n.Status.Allocatable[corev1.ResourceName(device)] = one
	}
	return n
}

func TestObstacle(t *testing.T) {
	gpuTaint := []corev1.Taint{{Key: "gpu", Value: "true", Effect: corev1.TaintEffectNoSchedule}}
	nodes := []*corev1.Node{
		node("plain", map[string]string{"pool": "cpu", "cores": "8"}, nil, ""),
		node("device", map[string]string{"pool": "gpu"}, gpuTaint, "nvidia.com/gpu"),
	}
	required := func(key string, operator corev1.NodeSelectorOperator, values ...string) *corev1.Affinity {
		return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: operator, Values: values}}}}}}}
	}
	borne := []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}
	device := func(name string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceName(name): one, "cpu": one}
	}
	for _, test := range []struct {
		name     string
		spec     corev1.PodSpec
		requests corev1.ResourceList
		want     string
	}{
		{"anything", corev1.PodSpec{}, nil, ""},
		{"tolerated", corev1.PodSpec{NodeSelector: map[string]string{"pool": "gpu"}, Tolerations: borne}, device("nvidia.com/gpu"), ""},
		{"a label nobody has", corev1.PodSpec{NodeSelector: map[string]string{"pol": "gpu"}}, nil, "no node has a label pol (they want pol=gpu)"},
		{"a value nobody has", corev1.PodSpec{NodeSelector: map[string]string{"pool": "tpu"}}, nil, "no node has the label pool=tpu; there it is cpu, gpu"},
		{"two labels on no node", corev1.PodSpec{NodeSelector: map[string]string{"pool": "gpu", "cores": "8"}}, nil, "no node has all the labels that their node selector and affinity want: cores=8, pool=gpu"},
		{"a taint", corev1.PodSpec{NodeSelector: map[string]string{"pool": "gpu"}}, nil, "every node that they may run on (device) has a taint that they do not tolerate: gpu=true:NoSchedule"},
		{"another value", corev1.PodSpec{NodeSelector: map[string]string{"pool": "gpu"}, Tolerations: []corev1.Toleration{{Key: "gpu", Value: "false"}}}, nil, "gpu=true:NoSchedule"},
		{"another effect", corev1.PodSpec{NodeSelector: map[string]string{"pool": "gpu"}, Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}}, nil, "gpu=true:NoSchedule"},
		{"a device behind a taint", corev1.PodSpec{}, device("nvidia.com/gpu"), "no node that they may run on (plain) has nvidia.com/gpu; they have no devices"},
		{"another vendor's", corev1.PodSpec{Tolerations: borne}, device("amd.com/gpu"), "no node that they may run on (device, plain) has amd.com/gpu; they have nvidia.com/gpu"},
		{"affinity", corev1.PodSpec{Affinity: required("cores", corev1.NodeSelectorOpGt, "16")}, nil, "cores Gt 16"},
		{"affinity that is met", corev1.PodSpec{Affinity: required("cores", corev1.NodeSelectorOpGt, "4")}, nil, ""},
		{"affinity to none of it", corev1.PodSpec{Affinity: required("pool", corev1.NodeSelectorOpDoesNotExist)}, nil, "pool DoesNotExist"},
	} {
		got := Obstacle(nodes, &test.spec, test.requests)
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: Obstacle = %q, want %q", test.name, got, test.want)
		}
	}
}
