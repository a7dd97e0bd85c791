package preflight

import (
	"cmp"
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/room"
)

// placementCheck is the name of the check of what places pods.
const placementCheck = "placement"

// placement finds classes and accounts that pods name and nobody has, and
// placements of algorithms that the launch does not have. Pods of a class or an
// account that is not there are refused one by one, long after a deploy
// applied what makes them.
func (p *preflight) placement(ctx context.Context, namespaceExists bool) {
	for _, who := range p.input.Settings.Placement.Placed() {
		if who != placement.Engine && who != placement.Queue && !p.hasAlgorithm(who) {
			p.note(placementCheck, Warning, "", "%s.%s is for an algorithm that this launch does not have", placement.Root, who)
		}
	}
	seen := map[string]bool{}
	once := func(kind, name string) bool {
		first := name != "" && !seen[kind+name]
		seen[kind+name] = true
		return first
	}
	for _, g := range p.workloads() {
		who := cmp.Or(g.Vanity, g.Name)
		if name := g.Spec.PriorityClassName; once("priorityclass", name) {
			_, err := p.cluster.Typed.SchedulingV1().PriorityClasses().Get(ctx, name, metav1.GetOptions{})
			p.noteNamed(err, "priorityclass", "priority_class", name, who)
		}
		if class := g.Spec.RuntimeClassName; class != nil && once("runtimeclass", *class) {
			_, err := p.cluster.Typed.NodeV1().RuntimeClasses().Get(ctx, *class, metav1.GetOptions{})
			p.noteNamed(err, "runtimeclass", "runtime_class", *class, who)
		}
		if name := g.Spec.ServiceAccountName; g.Vanity != "" && namespaceExists && once("serviceaccount", name) {
			_, err := p.cluster.Typed.CoreV1().ServiceAccounts(p.namespaceName()).Get(ctx, name, metav1.GetOptions{})
			p.noteNamed(err, "serviceaccount", "service_account", name, who)
		}
	}
	if p.enforce == "restricted" {
		p.meshes()
	}
}

// hasAlgorithm reports whether the launch has an algorithm.
func (p *preflight) hasAlgorithm(vanity string) bool {
	for _, a := range p.input.Plan.Algorithms {
		if a.VanityURL == vanity {
			return true
		}
	}
	return false
}

// noteNamed notes what became of a look at an object that pods name.
func (p *preflight) noteNamed(err error, kind, field, name, who string) {
	switch {
	case apierrors.IsNotFound(err):
		list := "kubectl get " + kind
		if kind == "serviceaccount" {
			list += " -n " + p.namespaceName()
		}
		p.note(placementCheck, Problem, "make it, or configure another "+placement.Root+"…"+field+" ('"+list+"' lists them)",
			"the pods of %s name the %s %q, which is not there", who, kind, name)
	case err != nil:
		p.noteUnreadable(placementCheck, err, "this account may not look whether there is a %s %q, which the pods of %s name", kind, name, who)
	default:
		p.note(placementCheck, OK, "", "there is a %s %q", kind, name)
	}
}

// meshes warns of a mesh whose proxy a restricted namespace may refuse.
func (p *preflight) meshes() {
	var on []string
	for _, g := range p.workloads() {
		if p.input.Settings.Placement.Of(g.Key()).Mesh == placement.MeshOn {
			on = append(on, cmp.Or(g.Vanity, g.Name))
		}
	}
	if len(on) > 0 {
		p.note(placementCheck, Warning, "", "namespace %s enforces the restricted Pod Security level, which refuses the init container that meshes redirect a pod's traffic with: install the mesh with its CNI plugin; with a mesh are %s",
			p.namespaceName(), strings.Join(on, ", "))
	}
}

// obstacles notes pods that no node takes whatever is free, with the reason, and
// returns the groups that are left.
func (p *preflight) obstacles(groups []room.Group, nodes room.Nodes) []room.Group {
	return slices.DeleteFunc(groups, func(g room.Group) bool {
		why := placement.Obstacle(nodes.Ready(), &g.Admitted, g.Requests)
		if why == "" {
			return false
		}
		p.note(placementCheck, Problem, "change the nodes, or where the pods go with configure "+placement.Root+"."+g.Key()+".node_selector=…, .tolerations=…, .affinity=… or .gpu_resource=…; for a cluster that adds such nodes by itself deploy with --ignore "+placementCheck,
			"%s cannot run anywhere: %s", g, why)
		return true
	})
}
