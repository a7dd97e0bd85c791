package kube

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// room finds out whether the nodes take as many pods, and run the images'
// platforms; it needs to list nodes, which many accounts may not.
func (p *preflight) room(ctx context.Context) {
	const name = "room for pods"
	nodes, err := p.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list nodes; %d pods are needed", p.Pods())
		return
	}
	capacity, platforms := int64(0), map[string]bool{}
	for i := range nodes.Items {
		if node := &nodes.Items[i]; usable(node) {
			capacity += node.Status.Allocatable.Pods().Value()
			platforms[node.Status.NodeInfo.OperatingSystem+"/"+node.Status.NodeInfo.Architecture] = true
		}
	}
	if len(platforms) == 0 {
		p.note(name, Warning, "", "no node is ready; %d pods are needed", p.Pods())
		return
	}
	p.platforms(platforms)
	// No resourceVersion: the API server's cache is good enough for a count.
	pods, err := p.typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: "status.phase!=Succeeded,status.phase!=Failed", ResourceVersion: "0",
	})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list pods of all namespaces; %d pods are needed and the nodes take %d in all", p.Pods(), capacity)
		return
	}
	others := int64(0)
	for i := range pods.Items {
		if pods.Items[i].Labels[LabelLaunch] != p.Plan.Launch.ID {
			others++
		}
	}
	if free := capacity - others; int64(p.Pods()) > free {
		p.note(name, Problem, "add nodes, or lower replicas with configure stage.replicas.<vanity>=N",
			"the satellite needs %d pods and the nodes have room for %d", p.Pods(), max(free, 0))
		return
	}
	p.note(name, OK, "", "%d pods needed, room for %d", p.Pods(), capacity-others)
}

func usable(node *corev1.Node) bool {
	if node.Spec.Unschedulable {
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

// quota finds a ResourceQuota of the namespace that has too few pods left.
func (p *preflight) quota(ctx context.Context) {
	const name = "quota"
	list, err := p.typed.CoreV1().ResourceQuotas(p.Namespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list resource quotas of namespace %s", p.Namespace())
		return
	}
	ours := p.ourPods(ctx)
	for _, quota := range list.Items {
		for _, resource := range []corev1.ResourceName{corev1.ResourcePods, "count/pods"} {
			hard, ok := quota.Status.Hard[resource]
			if !ok {
				continue
			}
			used := quota.Status.Used[resource]
			if free := hard.Value() - used.Value() + ours; int64(p.Pods()) > free {
				p.note(name, Problem, "raise the quota, or lower replicas with configure stage.replicas.<vanity>=N",
					"the satellite needs %d pods and the quota %s of namespace %s leaves %d", p.Pods(), quota.Name, p.Namespace(), max(free, 0))
				return
			}
		}
	}
	if len(list.Items) > 0 {
		p.note(name, OK, "", "the quotas of namespace %s leave room for %d pods", p.Namespace(), p.Pods())
	}
}

// ourPods counts the pods that the launch has already.
func (p *preflight) ourPods(ctx context.Context) int64 {
	pods, err := p.typed.CoreV1().Pods(p.Namespace()).List(ctx, metav1.ListOptions{LabelSelector: LabelLaunch + "=" + p.Plan.Launch.ID})
	if err != nil {
		return 0
	}
	return int64(len(pods.Items))
}
