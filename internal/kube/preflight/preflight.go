package preflight

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/room"
)

// State is how a check came out.
type State string

// The states of a check. Unknown is a thing that may not be looked at.
const (
	OK      State = "ok"
	Warning State = "warning"
	Unknown State = "unknown"
	Problem State = "problem"
)

// Check is one thing that was looked at before a deploy: what was found and,
// for a problem, what to do.
type Check struct {
	Name    string `json:"check"`
	State   State  `json:"state"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

// Problems returns the checks that stop a deploy.
func Problems(checks []Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.State != Problem })
}

// CheckNames are the names of all checks that a preflight may note.
var CheckNames = []string{"cluster", "expiry", "mothership", "elsewhere", "registry", "pull secret", "server version", "manifests", "size", "namespace", "pod security",
	"permissions", "other objects", "tls", "sign-on", metricsCheck, egressCheck, "queue storage", referencesCheck, "limits", "quota", "ingress", "ingress host", "weights", "placement", "room for pods", "platform"}

// Ignore turns problems of the named checks into warnings, for an operator who
// knows better, such as that a cluster grows when pods wait.
func Ignore(checks []Check, ignored []string) []Check {
	for i, c := range checks {
		if c.State == Problem && slices.Contains(ignored, c.Name) {
			checks[i].State = Warning
		}
	}
	return checks
}

// Run looks for everything that would stop a deploy, and goes on after
// each finding so that the operator sees all at once. It changes nothing.
func Run(ctx context.Context, c *cluster.Cluster, in render.Input) []Check {
	p := preflight{cluster: c, input: in}
	p.version()
	var err error
	if p.objects, err = render.Launch(in); err != nil {
		p.note("manifests", Problem, "", "%v", err)
	}
	exists := p.namespace(ctx)
	p.permissions(ctx, exists)
	if exists {
		p.known = p.owners(ctx)
		p.secure(ctx)
		p.queueStorage(ctx)
		p.references(ctx)
		p.limitRanges(ctx)
		p.limits()
		p.quota(ctx)
	}
	p.sizes(p.known)
	p.ingress(ctx)
	p.metrics()
	p.egress()
	p.weights(ctx)
	p.placement(ctx, exists)
	p.room(ctx)
	return p.checks
}

// lookups is how many objects are read at a time.
const lookups = 8

// preflight collects checks.
type preflight struct {
	cluster *cluster.Cluster
	input   render.Input
	checks  []Check
	objects []*unstructured.Unstructured          // as they would be applied
	live    map[string]*unstructured.Unstructured // of the objects, those that are there
	known   *apply.Inventory                      // the launch's own; nil for none
	ranges  room.Ranges                           // of the namespace, those that may be read
	enforce string                                // the namespace's Pod Security level
	claims  []string                              // of the queue's volumes, those that a deploy makes
	class   *storagev1.StorageClass               // of these; nil where it is not known
}

func (p *preflight) note(name string, state State, fix, format string, args ...any) {
	p.checks = append(p.checks, Check{Name: name, State: state, Fix: fix, Message: fmt.Sprintf(format, args...)})
}

// has reports whether something was noted under a name.
func (p *preflight) has(name string) bool {
	return slices.ContainsFunc(p.checks, func(c Check) bool { return c.Name == name })
}

func (p *preflight) version() {
	if p.cluster.APIs.Minor < cluster.OldestMinor {
		p.note("server version", Problem, "use a cluster of Kubernetes 1.18 or later",
			"%s runs Kubernetes %s", p.cluster.Server, p.cluster.Version)
		return
	}
	p.note("server version", OK, "", "%s runs Kubernetes %s", p.cluster.Server, p.cluster.Version)
}

func (p *preflight) namespace(ctx context.Context) (exists bool) {
	const name = "namespace"
	namespace, err := p.cluster.Get(ctx, "v1", "Namespace", p.namespaceName())
	switch {
	case apierrors.IsForbidden(err):
		p.note(name, Unknown, "", "this account may not look whether namespace %s exists", p.namespaceName())
		return true
	case err != nil:
		p.note(name, Problem, "", "%v", err)
		return false
	case namespace == nil && p.input.Settings.CreateNamespace:
		p.note(name, OK, "", "namespace %s will be made", p.namespaceName())
		return false
	case namespace == nil:
		p.note(name, Problem, "make it with 'kubectl create namespace "+p.namespaceName()+"', or configure stage.kubernetes.create_namespace=true",
			"namespace %s does not exist", p.namespaceName())
		return false
	case namespace.GetDeletionTimestamp() != nil:
		p.note(name, Problem, "wait until it is gone, or choose another", "namespace %s is being deleted", p.namespaceName())
		return false
	}
	p.enforce = namespace.GetLabels()["pod-security.kubernetes.io/enforce"]
	p.note(name, OK, "", "namespace %s exists", p.namespaceName())
	p.podSecurity()
	return true
}

// namespaceName is that of the namespace which the launch goes into.
func (p *preflight) namespaceName() string { return p.input.Settings.Namespace }

// podSecurity finds images that the namespace's Pod Security level refuses.
func (p *preflight) podSecurity() {
	if p.enforce != "restricted" {
		return
	}
	for _, a := range p.input.Plan.Algorithms {
		if render.RunAsNonRoot(p.input.Users[a.Image.Digest]) == nil {
			p.note("pod security", Problem, "give the image a numeric USER other than 0, or the namespace another level",
				"namespace %s enforces the restricted Pod Security level, and the image of %s runs as user %q", p.namespaceName(), a.VanityURL, p.input.Users[a.Image.Digest])
		}
	}
}

// owners finds another launch in the namespace, and objects of our names that
// are not ours. It returns the launch's own inventory, nil when there is none.
func (p *preflight) owners(ctx context.Context) *apply.Inventory {
	const name = "other objects"
	inventory, err := apply.ReadInventory(ctx, p.cluster)
	switch {
	case err != nil:
		p.note(name, unlessForbidden(err), "", "%v", err)
		return nil
	case inventory != nil && inventory.LaunchID != p.input.Plan.Launch.ID:
		p.note(name, Problem, "choose another namespace with configure stage.kubernetes.namespace=NAME",
			"namespace %s holds another launch, %s of satellite %s", p.namespaceName(), inventory.LaunchID, inventory.SatelliteID)
		return nil
	}
	theirs, err := p.foreign(ctx)
	switch {
	case err != nil:
		p.note(name, unlessForbidden(err), "", "%v", err)
	case len(theirs) > 0:
		p.note(name, Problem, "delete or rename them, or choose another namespace",
			"namespace %s has objects of the satellite's names that are not its own: %s", p.namespaceName(), names(theirs))
	default:
		p.note(name, OK, "", "nothing in the way in namespace %s", p.namespaceName())
	}
	return inventory
}

// foreign returns the objects of our names that are not this launch's.
func (p *preflight) foreign(ctx context.Context) ([]apply.Object, error) {
	there, found := make([]*unstructured.Unstructured, len(p.objects)), make([]bool, len(p.objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, o := range p.objects {
		group.Go(func() error {
			existing, err := p.cluster.Get(ctx, o.GetAPIVersion(), o.GetKind(), o.GetName())
			there[i] = existing
			found[i] = existing != nil && existing.GetLabels()[render.LabelLaunch] != p.input.Plan.Launch.ID
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var theirs []apply.Object
	p.live = map[string]*unstructured.Unstructured{}
	for i, o := range p.objects {
		p.live[render.Name(o)] = there[i]
		if found[i] {
			theirs = append(theirs, apply.ObjectOf(o))
		}
	}
	return theirs, nil
}

// unlessForbidden leaves it to the permissions' check to say what is missing.
func unlessForbidden(err error) State {
	if apierrors.IsForbidden(err) {
		return Unknown
	}
	return Problem
}
