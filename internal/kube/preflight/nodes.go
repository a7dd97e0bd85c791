package preflight

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// room is the nodes that are ready, with what is free on each.
type room struct {
	nodes []*corev1.Node
	free  map[string]corev1.ResourceList
}

func newRoom(nodes []corev1.Node) room {
	r := room{free: map[string]corev1.ResourceList{}}
	for i := range nodes {
		if node := &nodes[i]; ready(node) {
			r.nodes = append(r.nodes, node)
			r.free[node.Name] = node.Status.Allocatable.DeepCopy()
		}
	}
	return r
}

// ready reports whether a node is to get pods at all.
func ready(node *corev1.Node) bool {
	i := slices.IndexFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	return !node.Spec.Unschedulable && i >= 0 && node.Status.Conditions[i].Status == corev1.ConditionTrue
}

// taking returns the nodes whose labels and taints let a pod run there.
func (r room) taking(spec *corev1.PodSpec) []*corev1.Node {
	return slices.DeleteFunc(slices.Clone(r.nodes), func(node *corev1.Node) bool { return !placement.Takes(node, spec) })
}

// platforms returns those of the nodes that take a pod.
func (r room) platforms(spec *corev1.PodSpec) map[string]bool {
	platforms := map[string]bool{}
	for _, node := range r.taking(spec) {
		platforms[node.Status.NodeInfo.OperatingSystem+"/"+node.Status.NodeInfo.Architecture] = true
	}
	return platforms
}

// schedule puts pods onto the nodes that take them, the largest first, each where
// it fits first, and returns those that are left.
func (r room) schedule(groups []podGroup) []podGroup {
	slices.SortStableFunc(groups, func(a, b podGroup) int {
		x, y := a.requests[corev1.ResourceMemory], b.requests[corev1.ResourceMemory]
		return y.Cmp(x)
	})
	var left []podGroup
	for _, g := range groups {
		nodes := r.taking(&g.admitted)
		for g.missing > 0 && r.place(nodes, g.requests) {
			g.missing--
		}
		if g.missing > 0 {
			left = append(left, g)
		}
	}
	return left
}

// place takes one pod off the first of the nodes that it fits on.
func (r room) place(nodes []*corev1.Node, requests corev1.ResourceList) bool {
	for _, node := range nodes {
		if free := r.free[node.Name]; fits(free, requests) {
			subtract(free, requests)
			return true
		}
	}
	return false
}

// freest says the most of each resource that is left on one of the nodes that
// take a pod of the groups.
func (r room) freest(groups []podGroup) string {
	names := []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory}
	most := map[corev1.ResourceName]resource.Quantity{}
	for _, g := range groups {
		for _, name := range placement.Devices(g.requests) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		for _, node := range r.taking(&g.admitted) {
			raise(most, r.free[node.Name])
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
