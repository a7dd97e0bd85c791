package preflight

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

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
		raise(requests, c.Resources.Requests)
		raise(limits, c.Resources.Limits)
	}
	return requests, limits
}

// raise raises a list to another one.
func raise(list, other corev1.ResourceList) {
	for name, q := range other {
		if have := list[name]; q.Cmp(have) > 0 {
			list[name] = q
		}
	}
}

// room finds out whether the nodes take what the deploy starts, beside what
// runs until the new version takes over, and whether they can run the images;
// it needs to list nodes, which many accounts may not.
func (p *preflight) room(ctx context.Context) {
	const name = "room for pods"
	listed, err := p.cluster.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		p.noteUnreadable(name, err, "this account may not list nodes; %d pods are needed", p.input.Pods())
		return
	}
	nodes := newRoom(listed.Items)
	if len(nodes.free) == 0 {
		p.note(name, Warning, "", "no node is ready to take pods; %d pods are needed", p.input.Pods())
		return
	}
	// No resourceVersion: the API server's cache is good enough for a count.
	pods, err := p.cluster.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: "status.phase!=Succeeded,status.phase!=Failed", ResourceVersion: "0",
	})
	have := map[string]int{}
	if err == nil {
		have = p.occupy(nodes.free, pods.Items)
	}
	groups := p.groups(have)
	p.platforms(nodes)
	groups = p.obstacles(groups, nodes)
	if err != nil {
		p.noteUnreadable(name, err, "this account may not list pods of all namespaces; %d pods are needed", p.input.Pods())
		return
	}
	p.roomFor(groups, nodes)
}

// roomFor notes whether groups of pods find room, each on the nodes that take
// it.
func (p *preflight) roomFor(groups []podGroup, nodes room) {
	const name = "room for pods"
	if left := nodes.schedule(groups); len(left) > 0 {
		var parts []string
		for _, g := range left {
			parts = append(parts, g.String())
		}
		p.note(name, Problem, "add nodes, or lower replicas with configure stage.replicas.<vanity>=N, or what a replica asks for with stage.resources.<vanity>.memory=…; for a cluster that grows by itself deploy with --ignore 'room for pods'",
			"no node has room for %s, beside what runs until the new version takes over; the most that is free on a node: %s", strings.Join(parts, ", "), nodes.freest(left))
		return
	}
	starting := 0
	for _, g := range groups {
		starting += g.missing
	}
	if starting == 0 {
		p.note(name, OK, "", "no pod has to be started beside the %d that the version has", p.input.Pods())
		return
	}
	p.note(name, OK, "", "there is room on the cluster's nodes (%d) for the pods to start (%d)", len(nodes.free), starting)
}

// occupy takes what runs off the nodes, and counts this launch's placed pods.
func (p *preflight) occupy(free map[string]corev1.ResourceList, pods []corev1.Pod) map[string]int {
	have := map[string]int{}
	for i := range pods {
		pod := &pods[i]
		if pod.Labels[render.LabelLaunch] == p.input.Plan.Launch.ID && pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			have[pod.Labels["app.kubernetes.io/name"]]++
		}
		if node, ok := free[pod.Spec.NodeName]; ok {
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

// platforms finds images that none of the nodes can run which take their pods.
func (p *preflight) platforms(nodes room) {
	images := map[string][]string{"": p.input.Plan.System.Image.Platforms}
	for _, a := range p.input.Plan.Algorithms {
		images[a.VanityURL] = a.Image.Platforms
	}
	seen := map[string]bool{}
	for _, g := range p.workloads() {
		if there := nodes.platforms(&g.spec); len(there) > 0 && !seen[g.vanity] {
			seen[g.vanity] = true // the engine's and the queue's are the same
			p.platform(cmp.Or(g.vanity, "the system"), images[g.vanity], there)
		}
	}
}

// platform notes an image that no node can run.
func (p *preflight) platform(what string, image []string, nodes map[string]bool) {
	runs := len(image) == 0 || slices.ContainsFunc(image, func(platform string) bool {
		parts := strings.SplitN(platform, "/", 3)
		return len(parts) < 2 || nodes[parts[0]+"/"+parts[1]]
	})
	if !runs {
		p.note("platform", Problem, "add a node of that platform, or push the image for "+keysOf(nodes),
			"the image of %s is for %s and the nodes are %s", what, strings.Join(image, ", "), keysOf(nodes))
	}
}
