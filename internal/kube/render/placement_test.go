package render_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// placed is the example launch with a queue and a placement.
func placed(t *testing.T, text string) render.Input {
	t.Helper()
	in := launchtest.Queued(launchtest.Input(), render.ProfileHA, "ephemeral")
	var values map[string]any
	err := yaml.Unmarshal([]byte(text), &values)
	if err == nil {
		in.Settings.Placement, err = placement.Parse(values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestPlacement(t *testing.T) {
	objects := launchtest.Render(t, placed(t, `
tolerations: [{key: shared, operator: Exists}]
labels: {team: vision}
mesh: "off"
Deep/Thought_1:
  node_selector: {pool: gpu}
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: cores, operator: Gt, values: ["8"]}]}]}}}
  priority_class: high
  runtime_class: nvidia
  spread: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
  gpu_resource: amd.com/gpu
  pull_policy: Always
  service_account: reader
  annotations: {example.com/note: slow}
  service_labels: {scrape: "yes"}
  service_annotations: {example.com/port: "8000"}
  host_aliases: [{ip: 10.0.0.7, hostnames: [db]}]
  dns_policy: None
  dns_config: {nameservers: [10.0.0.10]}
  mesh: "on"
engine: {priority_class: system}
queue: {node_selector: {disk: ssd}}
`))
	name := render.AlgorithmName("Deep/Thought_1")
	deployment, service := "Deployment/"+name, "Service/"+name
	const pod = "spec.template.spec."
	for _, test := range []struct {
		object, path string
		want         any
	}{
		{deployment, pod + "nodeSelector.pool", "gpu"},
		{deployment, pod + "tolerations.0.key", "shared"},
		{deployment, pod + "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms.0.matchExpressions.0.key", "cores"},
		{deployment, pod + "priorityClassName", "high"},
		{deployment, pod + "runtimeClassName", "nvidia"},
		{deployment, pod + "topologySpreadConstraints.0.whenUnsatisfiable", "DoNotSchedule"},
		{deployment, pod + "topologySpreadConstraints.0.labelSelector.matchLabels.app~kubernetes~io/instance", launchtest.Input().Plan.Launch.ID},
		{deployment, pod + "containers.0.resources.limits.amd~com/gpu", "1"},
		{deployment, pod + "containers.0.resources.limits.nvidia~com/gpu", nil},
		{deployment, pod + "containers.0.imagePullPolicy", "Always"},
		{deployment, pod + "serviceAccountName", "reader"},
		{deployment, pod + "automountServiceAccountToken", false},
		{deployment, pod + "hostAliases.0.ip", "10.0.0.7"},
		{deployment, pod + "dnsPolicy", "None"},
		{deployment, pod + "dnsConfig.nameservers.0", "10.0.0.10"},
		{deployment, "spec.template.metadata.labels.team", "vision"},
		{deployment, "spec.template.metadata.labels.sidecar~istio~io/inject", "true"},
		{deployment, "spec.template.metadata.annotations.linkerd~io/inject", "enabled"},
		{deployment, "spec.template.metadata.annotations.example~com/note", "slow"},
		{deployment, "spec.template.metadata.annotations.constellation/vanity-url", "Deep/Thought_1"},
		{deployment, "metadata.labels.team", "vision"},
		{deployment, "spec.selector.matchLabels.team", nil},
		{service, "metadata.labels.scrape", "yes"},
		{service, "metadata.annotations.example~com/port", "8000"},
		{service, "metadata.annotations.constellation/vanity-url", "Deep/Thought_1"},
		{"Deployment/algo-foo-bar", pod + "nodeSelector", nil},
		{"Deployment/algo-foo-bar", pod + "serviceAccountName", nil},
		{"Deployment/execution-engine", pod + "priorityClassName", "system"},
		{"Deployment/execution-engine", pod + "serviceAccountName", "execution-engine"},
		{"Deployment/execution-engine", pod + "tolerations.0.key", "shared"},
		{"Deployment/execution-engine", "spec.template.metadata.labels.sidecar~istio~io/inject", "false"},
		{"StatefulSet/queue", pod + "nodeSelector.disk", "ssd"},
		{"StatefulSet/queue", pod + "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.weight", int64(100)},
		{"StatefulSet/queue", "metadata.labels.team", "vision"},
	} {
		o := launchtest.Find(objects, test.object)
		if o == nil {
			t.Errorf("no %s", test.object)
			continue
		}
		if diff := cmp.Diff(test.want, launchtest.At(o, test.path)); diff != "" {
			t.Errorf("%s %s: %s", test.object, test.path, diff)
		}
	}
}

// What is not placed stays as it was, to the byte: a new algo-install restarts
// nothing.
func TestNoPlacementChangesNothing(t *testing.T) {
	plain := launchtest.Queued(launchtest.Input(), render.ProfileHA, "ephemeral")
	if diff := cmp.Diff(launchtest.Render(t, plain), launchtest.Render(t, placed(t, "{}"))); diff != "" {
		t.Error(diff)
	}
	// One algorithm that is placed anew comes up beside the old one, and its
	// neighbour stays.
	before, after := render.Workloads(launchtest.Render(t, plain)), render.Workloads(launchtest.Render(t, placed(t, "foo/bar: {node_selector: {pool: gpu}}")))
	changed := slices.DeleteFunc(slices.Clone(after), func(name string) bool { return slices.Contains(before, name) })
	if len(changed) != 1 || launchtest.Stem("Deployment/"+changed[0]) != "Deployment/algo-foo-bar" {
		t.Errorf("placing foo/bar renames %v, want its own Deployment alone", changed)
	}
}
