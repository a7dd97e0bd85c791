package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// podGroup is pods of one kind that have to be started.
type podGroup struct {
	name     string // of their Deployment
	vanity   string
	missing  int
	requests corev1.ResourceList
	limits   corev1.ResourceList
}

// String names the group for people.
func (g podGroup) String() string {
	text := fmt.Sprintf("%d × %s", g.missing, cmp.Or(g.vanity, g.name))
	var asks []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, gpuResource} {
		if q, ok := g.requests[name]; ok && !q.IsZero() {
			asks = append(asks, string(name)+" "+q.String())
		}
	}
	if len(asks) > 0 {
		text += " (" + strings.Join(asks, ", ") + " each)"
	}
	return text
}

// groups gives the pods that a deploy starts beside those that run: have says
// how many pods each Deployment has.
func (p *preflight) groups(have map[string]int) []podGroup {
	var groups []podGroup
	for _, o := range p.objects {
		if !slices.Contains(podKinds, o.GetKind()) {
			continue
		}
		template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		var pod corev1.PodTemplateSpec
		if runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod) != nil {
			continue // the server will say
		}
		g := podGroup{name: o.GetName(), vanity: o.GetAnnotations()[annotationVanityURL], missing: int(replicas(o)) - have[o.GetName()]}
		g.requests, g.limits = podResources(pod.Spec)
		if g.missing > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// podResources adds up what a pod's containers ask for; a limit alone is also
// a request.
func podResources(spec corev1.PodSpec) (requests, limits corev1.ResourceList) {
	requests, limits = corev1.ResourceList{}, corev1.ResourceList{}
	add := func(list corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
		sum := list[name]
		sum.Add(q)
		list[name] = sum
	}
	for _, c := range spec.Containers {
		for name, q := range c.Resources.Limits {
			add(limits, name, q)
			if _, ok := c.Resources.Requests[name]; !ok {
				add(requests, name, q)
			}
		}
		for name, q := range c.Resources.Requests {
			add(requests, name, q)
		}
	}
	for _, c := range spec.InitContainers {
		for name, q := range c.Resources.Requests {
			if have := requests[name]; q.Cmp(have) > 0 {
				requests[name] = q
			}
		}
	}
	return requests, limits
}

// room finds out whether the nodes take what the deploy starts, beside what
// runs until the new version takes over, and whether they can run the images;
// it needs to list nodes, which many accounts may not.
func (p *preflight) room(ctx context.Context) {
	const name = "room for pods"
	nodes, err := p.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list nodes; %d pods are needed", p.Pods())
		return
	}
	free, platforms := map[string]corev1.ResourceList{}, map[string]bool{}
	for i := range nodes.Items {
		if node := &nodes.Items[i]; usable(node) {
			free[node.Name] = node.Status.Allocatable.DeepCopy()
			platforms[node.Status.NodeInfo.OperatingSystem+"/"+node.Status.NodeInfo.Architecture] = true
		}
	}
	if len(platforms) == 0 {
		p.note(name, Warning, "", "no node is ready to take pods; %d pods are needed", p.Pods())
		return
	}
	p.platforms(platforms)
	// No resourceVersion: the API server's cache is good enough for a count.
	pods, err := p.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: "status.phase!=Succeeded,status.phase!=Failed", ResourceVersion: "0",
	})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list pods of all namespaces; %d pods are needed", p.Pods())
		return
	}
	groups := p.groups(p.occupy(free, pods.Items))
	if left := place(groups, free); len(left) > 0 {
		var parts []string
		for _, g := range left {
			parts = append(parts, g.String())
		}
		p.note(name, Problem, "add nodes, or lower replicas with configure stage.replicas.<vanity>=N, or what a replica asks for with stage.resources.<vanity>.memory=…; for a cluster that grows by itself deploy with --ignore 'room for pods'",
			"no node has room for %s, beside what runs until the new version takes over; the most that is free on a node: %s", strings.Join(parts, ", "), freest(free))
		return
	}
	starting := 0
	for _, g := range groups {
		starting += g.missing
	}
	if starting == 0 {
		p.note(name, OK, "", "no pod has to be started beside the %d that the version has", p.Pods())
		return
	}
	p.note(name, OK, "", "there is room on the cluster's nodes (%d) for the pods to start (%d)", len(free), starting)
}

// occupy takes what runs off the nodes, and counts this launch's placed pods.
func (p *preflight) occupy(free map[string]corev1.ResourceList, pods []corev1.Pod) map[string]int {
	have := map[string]int{}
	for i := range pods {
		pod := &pods[i]
		if pod.Labels[LabelLaunch] == p.Plan.Launch.ID && pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			have[pod.Labels["app.kubernetes.io/name"]]++
		}
		if node, ok := free[pod.Spec.NodeName]; ok {
			requests, _ := podResources(pod.Spec)
			take(node, requests)
		}
	}
	return have
}

// take subtracts one pod.
func take(node, requests corev1.ResourceList) {
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

// place puts pods onto nodes, the largest first, each where it fits first, and
// gives those that are left.
func place(groups []podGroup, free map[string]corev1.ResourceList) []podGroup {
	slices.SortStableFunc(groups, func(a, b podGroup) int {
		x, y := a.requests[corev1.ResourceMemory], b.requests[corev1.ResourceMemory]
		return y.Cmp(x)
	})
	var left []podGroup
	for _, g := range groups {
		unplaced := 0
		for range g.missing {
			placed := false
			for _, node := range free {
				if placed = fits(node, g.requests); placed {
					take(node, g.requests)
					break
				}
			}
			if !placed {
				unplaced++
			}
		}
		if unplaced > 0 {
			g.missing = unplaced
			left = append(left, g)
		}
	}
	return left
}

// freest says the most of each resource that one node has left.
func freest(free map[string]corev1.ResourceList) string {
	var parts []string
	for _, name := range []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, gpuResource} {
		var most resource.Quantity
		for _, node := range free {
			if q := node[name]; q.Cmp(most) > 0 {
				most = q
			}
		}
		parts = append(parts, string(name)+" "+most.String())
	}
	return strings.Join(parts, ", ")
}

func usable(node *corev1.Node) bool {
	tainted := func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule } // our pods tolerate none
	if node.Spec.Unschedulable || slices.ContainsFunc(node.Spec.Taints, tainted) {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// platforms finds images that no node can run.
func (p *preflight) platforms(nodes map[string]bool) {
	runs := func(platforms []string) bool {
		return len(platforms) == 0 || slices.ContainsFunc(platforms, func(image string) bool {
			parts := strings.SplitN(image, "/", 3)
			return len(parts) < 2 || nodes[parts[0]+"/"+parts[1]]
		})
	}
	check := func(what string, platforms []string) {
		if !runs(platforms) {
			p.note("platform", Problem, "add a node of that platform, or push the image for "+keysOf(nodes),
				"the image of %s is for %s and the nodes are %s", what, strings.Join(platforms, ", "), keysOf(nodes))
		}
	}
	for _, a := range p.Plan.Algorithms {
		check(a.VanityURL, a.Image.Platforms)
	}
	check("the system", p.Plan.System.Image.Platforms)
}
