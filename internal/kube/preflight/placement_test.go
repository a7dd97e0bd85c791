package preflight_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// placed is the example launch whose Deep/Thought_1 is placed; NS in the text is
// the namespace.
func placed(t *testing.T, s *launchtest.Space, text string) render.Input {
	t.Helper()
	in := launchtest.Input()
	in.Users[launchtest.Digest("b")] = "2222"
	var values map[string]any
	err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "NS", s.Namespace)), &values)
	if err == nil {
		in.Settings.Placement, err = placement.Parse(map[string]any{"Deep/Thought_1": values})
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// addNode makes a node that is ready; only then do tests beside this one count
// it.
func addNode(t *testing.T, s *launchtest.Space, name string, labels map[string]string, taints []corev1.Taint, allocatable string) {
	t.Helper()
	ctx, nodes := t.Context(), s.Admin.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nodes.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{}) })
	node.Spec.Taints = taints // and not the one of a node that is not ready
	if node, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	node.Status.Allocatable = resourceList(allocatable)
	node.Status.Capacity = node.Status.Allocatable
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// addNodes makes a node that takes what any test deploys, and one with devices
// of another vendor behind a taint, whose label and taint are the namespace's.
func addNodes(t *testing.T, s *launchtest.Space) {
	t.Helper()
	addNode(t, s, s.Namespace+"-plain", nil, nil, "cpu=64 memory=256Gi pods=1000 nvidia.com/gpu=100")
	addNode(t, s, s.Namespace+"-gpu", map[string]string{"pool": s.Namespace}, []corev1.Taint{{Key: s.Namespace, Value: "true", Effect: corev1.TaintEffectNoSchedule}},
		"cpu=64 memory=256Gi pods=1000 amd.com/gpu=2")
}

// A node with devices behind a taint: the preflight says why what is placed
// there would not come up, and lets through what would.
func TestPreflightOfPlacement(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		addNodes(t, s)
		const there = "node_selector: {pool: NS}\ntolerations: [{key: NS, operator: Exists}]\n"
		for _, test := range []struct{ name, text, check, want string }{
			{"nowhere in particular", "{}", "", ""},
			{"a label that nobody has", "node_selector: {pol: gpu}", "placement", "1 × Deep/Thought_1 (cpu 500m, memory 1Gi, nvidia.com/gpu 1 each) cannot run anywhere: no node has a label pol (they want pol=gpu)"},
			{"a value that nobody has", "node_selector: {pool: tpu}", "placement", "no node has the label pool=tpu; there it is "},
			{"a taint", "node_selector: {pool: NS}", "placement", "every node that they may run on (NS-gpu) has a taint that they do not tolerate: NS=true:NoSchedule"},
			{"another vendor's device", there, "placement", "no node that they may run on (NS-gpu) has nvidia.com/gpu; they have amd.com/gpu"},
			{"the device", there + "gpu_resource: amd.com/gpu", "", ""},
			{"a device of nobody", "gpu_resource: habana.ai/gaudi", "placement", "has habana.ai/gaudi; they have "},
			{"a priority class", "priority_class: nonesuch", "placement", `the pods of Deep/Thought_1 name the priorityclass "nonesuch", which is not there`},
			{"a runtime class", "runtime_class: nonesuch", "placement", "kubectl get runtimeclass"},
			{"an account", "service_account: nonesuch", "placement", "kubectl get serviceaccount -n NS"},
		} {
			checks := launchtest.Preflight(t, s.Cluster, placed(t, s, test.text))
			for _, name := range []string{"placement", "room for pods", "platform"} {
				got := launchtest.ProblemOf(checks, name)
				if name != test.check && got != "" || name == test.check && !strings.Contains(got, strings.ReplaceAll(test.want, "NS", s.Namespace)) {
					t.Errorf("%s: %s: %q, want %q", test.name, name, got, test.want)
				}
			}
		}
		many := placed(t, s, there+"gpu_resource: amd.com/gpu")
		many.Settings.Replicas = map[string]int{"Deep/Thought_1": 3}
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, many), "room for pods"); !strings.Contains(got, "no node has room for 1 × Deep/Thought_1") || !strings.Contains(got, "amd.com/gpu 0") {
			t.Errorf("three of two devices: %q", got)
		}
		strange := launchtest.Input()
		strange.Settings.Placement, _ = placement.Parse(map[string]any{"foo/baz": map[string]any{"mesh": "off"}})
		if got := stateOf(launchtest.Preflight(t, s.Cluster, strange), "foo/baz"); got != preflight.Warning {
			t.Errorf("a placement of an algorithm that the launch does not have: %q, want a warning", got)
		}
		namespaced := launchtest.Connect(t, s.As(t, "namespaced", &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "namespaced"}, Rules: preflight.Rules(s.APIs, false, false)}), s.Namespace)
		if got := stateOf(launchtest.Preflight(t, namespaced, placed(t, s, "priority_class: nonesuch")), "may not look whether there is a priorityclass"); got != preflight.Unknown {
			t.Errorf("a class that may not be looked at: %q, want unknown", got)
		}
	})
}

// stateOf returns the state of the first check whose message has a text.
func stateOf(checks []preflight.Check, text string) preflight.State {
	for _, c := range checks {
		if strings.Contains(c.Message, text) {
			return c.State
		}
	}
	return ""
}

// All that places a pod at once, in a namespace with the restricted level, a
// quota and limits: the preflight finds nothing, and the server takes the pods.
func TestPlacedPodsAreAdmitted(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		addNodes(t, s)
		ctx := t.Context()
		if _, err := s.Admin.CoreV1().Namespaces().Patch(ctx, s.Namespace, "application/merge-patch+json",
			[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}, Value: 1000}
		if _, err := s.Admin.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		runtimeClass := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}, Handler: "example"}
		if _, err := s.Admin.NodeV1().RuntimeClasses().Create(ctx, runtimeClass, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = s.Admin.SchedulingV1().PriorityClasses().Delete(context.WithoutCancel(ctx), s.Namespace, metav1.DeleteOptions{})
			_ = s.Admin.NodeV1().RuntimeClasses().Delete(context.WithoutCancel(ctx), s.Namespace, metav1.DeleteOptions{})
		})
		constrain(t, s, []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Default: resourceList("cpu=1 memory=256Mi"), DefaultRequest: resourceList("cpu=100m memory=128Mi")}},
			&corev1.ResourceQuotaSpec{Hard: resourceList("pods=10 requests.cpu=4 limits.memory=8Gi requests.amd.com/gpu=2")})
		if _, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		in := placed(t, s, `
node_selector: {pool: NS}
tolerations: [{key: NS, operator: Exists}, {key: spot, operator: Equal, value: "1", effect: NoExecute, tolerationSeconds: 60}]
affinity:
  nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: cores, operator: Gt, values: ["8"]}]}}]}
  podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 2, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {a: b}}}}]}
priority_class: NS
runtime_class: NS
spread: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}]
gpu_resource: amd.com/gpu
pull_policy: IfNotPresent
service_account: reader
labels: {team: vision}
annotations: {example.com/note: "a b c"}
host_aliases: [{ip: 10.0.0.7, hostnames: [db]}]
dns_policy: None
dns_config: {nameservers: [10.0.0.10], searches: [example.com], options: [{name: ndots, value: "2"}]}
mesh: "on"
`)
		checks := launchtest.Preflight(t, s.Cluster, in)
		for _, name := range []string{"placement", "pod security", "quota", "limits", "permissions"} {
			if got := launchtest.ProblemOf(checks, name); got != "" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := stateOf(checks, "install the mesh with its CNI plugin"); got != preflight.Warning {
			t.Errorf("a mesh in a restricted namespace: %q, want a warning", got)
		}
		if err := admits(t, s, in); err != nil {
			t.Errorf("the server refuses what the preflight lets through: %v", err)
		}
	})
}
