package preflight

import (
	"cmp"
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/room"
)

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
	nodes := room.NewNodes(listed.Items)
	if len(nodes.Ready()) == 0 {
		p.note(name, Warning, "", "no node is ready to take pods; %d pods are needed", p.input.Pods())
		return
	}
	// No resourceVersion: the API server's cache is good enough for a count.
	pods, err := p.cluster.Typed.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: "status.phase!=Succeeded,status.phase!=Failed", ResourceVersion: "0",
	})
	have := map[string]int{}
	if err == nil {
		have = nodes.Occupy(pods.Items, p.input.Plan.Launch.ID)
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
func (p *preflight) roomFor(groups []room.Group, nodes room.Nodes) {
	const name = "room for pods"
	if left := nodes.Schedule(groups); len(left) > 0 {
		var parts []string
		for _, g := range left {
			parts = append(parts, g.String())
		}
		p.note(name, Problem, "add nodes, or lower replicas with configure stage.replicas.<vanity>=N, or what a replica asks for with stage.resources.<vanity>.memory=…; for a cluster that grows by itself deploy with --ignore 'room for pods'",
			"no node has room for %s, beside what runs until the new version takes over; the most that is free on a node: %s", strings.Join(parts, ", "), nodes.Freest(left))
		return
	}
	starting := 0
	for _, g := range groups {
		starting += g.Missing
	}
	if starting == 0 {
		p.note(name, OK, "", "no pod has to be started beside the %d that the version has", p.input.Pods())
		return
	}
	p.note(name, OK, "", "there is room on the cluster's nodes (%d) for the pods to start (%d)", len(nodes.Ready()), starting)
}

// platforms finds images that none of the nodes can run which take their pods.
func (p *preflight) platforms(nodes room.Nodes) {
	images := map[string][]string{"": p.input.Plan.System.Image.Platforms}
	for _, a := range p.input.Plan.Algorithms {
		images[a.VanityURL] = a.Image.Platforms
	}
	seen := map[string]bool{}
	for _, g := range p.workloads() {
		if there := nodes.Platforms(&g.Spec); len(there) > 0 && !seen[g.Vanity] {
			seen[g.Vanity] = true // the engine's and the queue's are the same
			p.platform(cmp.Or(g.Vanity, "the system"), images[g.Vanity], there)
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
