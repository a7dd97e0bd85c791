package render_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// pod is one end of a connection. The world outside has no labels, and no
// policy applies to it.
type pod struct {
	name    string
	labels  labels.Set
	outside bool
	at      netip.Addr // of the outside
	ports   []int32    // that it listens on
}

// policies evaluates NetworkPolicies as their API documentation says: a pod
// that a policy selects for a direction has only what some policy allows.
type policies []networkingv1.NetworkPolicy

func (all policies) allow(t *testing.T, from, to pod, port int32) bool {
	t.Helper()
	return all.direction(t, networkingv1.PolicyTypeEgress, from, to, port) && all.direction(t, networkingv1.PolicyTypeIngress, to, from, port)
}

func (all policies) direction(t *testing.T, of networkingv1.PolicyType, self, other pod, port int32) bool {
	t.Helper()
	if self.outside {
		return true
	}
	selected := false
	for _, p := range all {
		if !slices.Contains(p.Spec.PolicyTypes, of) || !matches(t, &p.Spec.PodSelector, self.labels) {
			continue
		}
		selected = true
		if of == networkingv1.PolicyTypeIngress {
			for _, rule := range p.Spec.Ingress {
				if peerIn(t, rule.From, other) && portIn(rule.Ports, port) {
					return true
				}
			}
			continue
		}
		for _, rule := range p.Spec.Egress {
			if peerIn(t, rule.To, other) && portIn(rule.Ports, port) {
				return true
			}
		}
	}
	return !selected
}

func matches(t *testing.T, selector *metav1.LabelSelector, set labels.Set) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(set)
}

// peerIn knows the peers that we render: pods of the own namespace by label, and
// ranges of addresses.
func peerIn(t *testing.T, peers []networkingv1.NetworkPolicyPeer, other pod) bool {
	t.Helper()
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if other.outside && blockHas(t, peer.IPBlock, other.at) {
				return true
			}
			continue
		}
		if peer.NamespaceSelector != nil || peer.PodSelector == nil {
			t.Fatalf("this test does not know the peer %+v", peer)
		}
		if !other.outside && matches(t, peer.PodSelector, other.labels) {
			return true
		}
	}
	return false
}

func blockHas(t *testing.T, block *networkingv1.IPBlock, at netip.Addr) bool {
	t.Helper()
	has := func(text string) bool {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		return p.Contains(at)
	}
	return has(block.CIDR) && !slices.ContainsFunc(block.Except, has)
}

func portIn(ports []networkingv1.NetworkPolicyPort, port int32) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return (p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP) && (p.Port == nil || p.Port.IntVal == port)
	})
}

// readNetwork returns the policies and the pods of rendered objects.
func readNetwork(t *testing.T, objects []*unstructured.Unstructured) (all policies, pods []pod) {
	t.Helper()
	for _, o := range objects {
		switch o.GetKind() {
		case "NetworkPolicy":
			var p networkingv1.NetworkPolicy
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &p); err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		case "Deployment", "StatefulSet":
			set, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
			end := pod{name: o.GetName(), labels: set}
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			for _, c := range containers {
				ports, _, _ := unstructured.NestedSlice(c.(map[string]any), "ports")
				for _, p := range ports {
					end.ports = append(end.ports, int32(p.(map[string]any)["containerPort"].(int64)))
				}
			}
			pods = append(pods, end)
		}
	}
	return all, pods
}

// TestEveryPairOfPods evaluates the rendered policies for every pair of a
// launch's pods, a stranger in the namespace and the world outside, on every
// port that anything listens on.
func TestEveryPairOfPods(t *testing.T) {
	t.Parallel()
	in := launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StorageEphemeral)
	in.Stable = true
	in.Plan.Algorithms[0].Runtime = constellation.Runtime{Protocol: constellation.ProtocolPipe}.WithDefaults()
	in.Plan.Algorithms[0].VanityURL, in.Plan.Algorithms[1].VanityURL = "open/pipe", "isolated/http"
	all, pods := readNetwork(t, launchtest.Render(t, in))
	pods = append(pods,
		pod{name: "stranger", labels: labels.Set{"app": "stranger"}, ports: []int32{80}},
		pod{name: "world", outside: true, ports: []int32{443, 53}})
	got := map[string]bool{}
	for _, from := range pods {
		for _, to := range pods {
			for _, port := range to.ports {
				if all.allow(t, from, to, port) {
					got[fmt.Sprintf("%s → %s:%d", from.name, to.name, port)] = true
				}
			}
		}
	}
	want := map[string]bool{}
	for _, from := range []string{"execution-engine", "algo-open-pipe", "algo-isolated-http", "stranger", "world", "queue"} {
		want[from+" → execution-engine:8080"] = from != "queue"
		want[from+" → execution-engine:9090"] = from == "execution-engine"
		open := from != "algo-isolated-http" && from != "queue"
		want[from+" → world:443"], want[from+" → world:53"] = open, true
		want[from+" → stranger:80"] = open
	}
	want["execution-engine → algo-open-pipe:9999"] = true
	want["execution-engine → algo-isolated-http:8000"] = true
	want["execution-engine → queue:4222"] = true
	want["execution-engine → queue:8222"] = true
	want["queue → queue:6222"] = true
	want["queue → queue:8222"] = true
	maps.DeleteFunc(want, func(_ string, allowed bool) bool { return !allowed })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what may talk to what (-want +got):\n%s", diff)
	}
}
