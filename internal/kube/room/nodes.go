package room

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Nodes are those that are ready, with what is free on each.
type Nodes struct {
	nodes []*corev1.Node
	free  map[string]corev1.ResourceList
}

// NewNodes returns those of a cluster's nodes that are ready, with nothing on them.
func NewNodes(nodes []corev1.Node) Nodes {
	n := Nodes{free: map[string]corev1.ResourceList{}}
	for i := range nodes {
		if node := &nodes[i]; Ready(node) {
			n.nodes = append(n.nodes, node)
			n.free[node.Name] = node.Status.Allocatable.DeepCopy()
		}
	}
	return n
}

// Ready reports whether a node is to get pods at all.
func Ready(node *corev1.Node) bool {
	i := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	return !node.Spec.Unschedulable && i >= 0 && node.Status.Conditions[i].Status == corev1.ConditionTrue
}

// taking returns the nodes whose labels and taints let a pod run there.
func (n Nodes) taking(spec *corev1.PodSpec) []*corev1.Node {
	return slices.DeleteFunc(slices.Clone(n.nodes), func(node *corev1.Node) bool { return !placement.Takes(node, spec) })
}

// Platforms returns those of the nodes that take a pod.
func (n Nodes) Platforms(spec *corev1.PodSpec) map[string]bool {
	platforms := map[string]bool{}
	for _, node := range n.taking(spec) {
		platforms[node.Status.NodeInfo.OperatingSystem+"/"+node.Status.NodeInfo.Architecture] = true
	}
	return platforms
}

// Schedule puts pods onto the nodes that take them, the largest first, each where
// it fits first, and returns those that are left.
func (n Nodes) Schedule(groups []Group) []Group {
	slices.SortStableFunc(groups, func(a, b Group) int {
		x, y := a.Requests[corev1.ResourceMemory], b.Requests[corev1.ResourceMemory]
		return y.Cmp(x)
	})
	var left []Group
	for _, g := range groups {
		nodes := n.taking(&g.Admitted)
		for g.Missing > 0 && n.place(nodes, g.Requests) {
			g.Missing--
		}
		if g.Missing > 0 {
			left = append(left, g)
		}
	}
	return left
}

// place takes one pod off the first of the nodes that it fits on.
func (n Nodes) place(nodes []*corev1.Node, requests corev1.ResourceList) bool {
	for _, node := range nodes {
		if free := n.free[node.Name]; fits(free, requests) {
			subtract(free, requests)
			return true
		}
	}
	return false
}

// Freest says the most of each resource that is left on one of the nodes that
// take a pod of the groups.
func (n Nodes) Freest(groups []Group) string {
	names := []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory}
	most := map[corev1.ResourceName]resource.Quantity{}
	for _, g := range groups {
		for _, name := range placement.Devices(g.Requests) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		for _, node := range n.taking(&g.Admitted) {
			raise(most, n.free[node.Name])
		}
	}
	if len(names) == 3 {
		names = append(names, render.GPUResource)
	}
	parts := make([]string, len(names))
	for i, name := range names {
		q := most[name]
		parts[i] = string(name) + " " + q.String()
	}
	return strings.Join(parts, ", ")
}

// Occupy takes what runs off the nodes, and counts the placed pods of a launch by
// what runs them.
func (n Nodes) Occupy(pods []corev1.Pod, launchID string) map[string]int {
	have := map[string]int{}
	for i := range pods {
		pod := &pods[i]
		if pod.Labels[render.LabelLaunch] == launchID && pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			have[pod.Labels["app.kubernetes.io/name"]]++
		}
		if node, ok := n.free[pod.Spec.NodeName]; ok {
			requests, _ := podResources(pod.Spec)
			subtract(node, requests)
		}
	}
	return have
}

// subtract subtracts one pod.
func subtract(node, requests corev1.ResourceList) {
	one := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}
	for _, list := range []corev1.ResourceList{requests, one} {
		for name, q := range list {
			left := node[name]
			left.Sub(q)
			node[name] = left
		}
	}
}

func fits(node, requests corev1.ResourceList) bool {
	if pods := node[corev1.ResourcePods]; pods.Value() < 1 {
		return false
	}
	for name, q := range requests {
		if left := node[name]; q.Cmp(left) > 0 && !q.IsZero() {
			return false
		}
	}
	return true
}

// Ready returns the nodes.
func (n Nodes) Ready() []*corev1.Node { return n.nodes }
