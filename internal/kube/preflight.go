package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// Problems gives the checks that stop a deploy.
func Problems(checks []Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.State != Problem })
}

// CheckNames are the names of all checks that a preflight may note.
var CheckNames = []string{"cluster", "expiry", "registry", "pull secret", "server version", "manifests", "namespace", "pod security",
	"permissions", "other objects", "quota", "ingress", "room for pods", "platform"}

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

// Preflight looks for everything that would stop a deploy, and goes on after
// each finding so that the operator hears of all at once. It changes nothing.
func (c *Cluster) Preflight(ctx context.Context, in Input) []Check {
	p := preflight{Cluster: c, Input: in}
	p.version()
	var err error
	if p.objects, err = Render(in); err != nil {
		p.note("manifests", Problem, "", "%v", err)
	}
	exists := p.namespace(ctx)
	p.permissions(ctx, exists)
	if exists {
		p.owners(ctx)
		p.quota(ctx)
	}
	p.ingressClass(ctx)
	p.room(ctx)
	return p.checks
}

// preflight collects checks.
type preflight struct {
	*Cluster
	Input
	checks   []Check
	objects  []*unstructured.Unstructured // as they would be applied
	existing map[string]bool              // of the objects, those that are there
	enforce  string                       // the namespace's Pod Security level
}

func (p *preflight) note(name string, state State, fix, format string, args ...any) {
	p.checks = append(p.checks, Check{Name: name, State: state, Fix: fix, Message: fmt.Sprintf(format, args...)})
}

func (p *preflight) version() {
	if p.Cluster.APIs.Minor < OldestMinor {
		p.note("server version", Problem, "use a cluster of Kubernetes 1.18 or later",
			"%s runs Kubernetes %s", p.Server, p.Version)
		return
	}
	p.note("server version", OK, "", "%s runs Kubernetes %s", p.Server, p.Version)
}

func (p *preflight) namespace(ctx context.Context) (exists bool) {
	const name = "namespace"
	namespace, err := p.get(ctx, "v1", "Namespace", p.Namespace())
	switch {
	case apierrors.IsForbidden(err):
		p.note(name, Unknown, "", "this account may not look whether namespace %s exists", p.Namespace())
		return true
	case err != nil:
		p.note(name, Problem, "", "%v", err)
		return false
	case namespace == nil && p.Settings.CreateNamespace:
		p.note(name, OK, "", "namespace %s will be made", p.Namespace())
		return false
	case namespace == nil:
		p.note(name, Problem, "make it with 'kubectl create namespace "+p.Namespace()+"', or configure stage.kubernetes.create_namespace=true",
			"namespace %s does not exist", p.Namespace())
		return false
	case namespace.GetDeletionTimestamp() != nil:
		p.note(name, Problem, "wait until it is gone, or choose another", "namespace %s is being deleted", p.Namespace())
		return false
	}
	p.enforce = namespace.GetLabels()["pod-security.kubernetes.io/enforce"]
	p.note(name, OK, "", "namespace %s exists", p.Namespace())
	p.podSecurity()
	return true
}

// Namespace is the one that the launch goes into.
func (p *preflight) Namespace() string { return p.Settings.Namespace }

// podSecurity finds images that the namespace's Pod Security level refuses.
func (p *preflight) podSecurity() {
	if p.enforce != "restricted" {
		return
	}
	for _, a := range p.Plan.Algorithms {
		if nonRoot(p.Users[a.Image.Digest]) == nil {
			p.note("pod security", Problem, "give the image a numeric USER other than 0, or the namespace another level",
				"namespace %s enforces the restricted Pod Security level, and the image of %s runs as user %q", p.Namespace(), a.VanityURL, p.Users[a.Image.Digest])
		}
	}
}

// owners finds another launch in the namespace, and objects of our names that
// are not ours.
func (p *preflight) owners(ctx context.Context) {
	const name = "other objects"
	inventory, err := p.Inventory(ctx)
	switch {
	case err != nil:
		p.note(name, unlessForbidden(err), "", "%v", err)
		return
	case inventory != nil && inventory.LaunchID != p.Plan.Launch.ID:
		p.note(name, Problem, "choose another namespace with configure stage.kubernetes.namespace=NAME",
			"namespace %s holds another launch, %s of satellite %s", p.Namespace(), inventory.LaunchID, inventory.SatelliteID)
		return
	}
	theirs, err := p.theirs(ctx)
	if err != nil {
		p.note(name, unlessForbidden(err), "", "%v", err)
		return
	}
	if len(theirs) > 0 {
		p.note(name, Problem, "delete or rename them, or choose another namespace",
			"namespace %s has objects of the satellite's names that are not its own: %s", p.Namespace(), names(theirs))
		return
	}
	p.note(name, OK, "", "nothing in the way in namespace %s", p.Namespace())
}

// theirs gives the objects of our names that are not this launch's.
func (p *preflight) theirs(ctx context.Context) ([]Object, error) {
	there, found := make([]bool, len(p.objects)), make([]bool, len(p.objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(applyWidth)
	for i, o := range p.objects {
		group.Go(func() error {
			existing, err := p.get(ctx, o.GetAPIVersion(), o.GetKind(), o.GetName())
			there[i] = existing != nil
			found[i] = there[i] && existing.GetLabels()[LabelLaunch] != p.Plan.Launch.ID
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var theirs []Object
	p.existing = map[string]bool{}
	for i, o := range p.objects {
		p.existing[Name(o)] = there[i]
		if found[i] {
			theirs = append(theirs, objectOf(o))
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

// ingressClass finds out whether anything will serve the Ingress.
func (p *preflight) ingressClass(ctx context.Context) {
	const name = "ingress"
	provider := p.Settings.Ingress.Provider
	if provider == "none" {
		p.note(name, OK, "", "no Ingress is made (stage.ingress.provider=none)")
		return
	}
	if p.Cluster.APIs.Ingress == "" {
		p.note(name, Problem, "configure stage.ingress.provider=none", "this cluster serves no Ingress")
		return
	}
	gvr, _ := p.Cluster.APIs.resourceOf(p.Cluster.APIs.Ingress, "Ingress")
	gvr.Resource = "ingressclasses"
	list, err := p.dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list ingress classes; whether an ingress controller serves %q is not known", p.Settings.Ingress.IngressClass())
		return
	}
	classes, standard := map[string]bool{}, ""
	for _, class := range list.Items {
		classes[class.GetName()] = true
		if class.GetAnnotations()["ingressclass.kubernetes.io/is-default-class"] == "true" {
			standard = class.GetName()
		}
	}
	wanted := p.Settings.Ingress.IngressClass()
	state := Problem
	if p.Cluster.APIs.Minor < 19 || provider == "agic" {
		state = Warning // controllers of that kind need no IngressClass
	}
	switch {
	case len(classes) == 0:
		p.note(name, state, "install an ingress controller, or configure stage.ingress.provider=none and reach the Service yourself",
			"this cluster has no ingress controller: there is no IngressClass")
	case wanted != "" && !classes[wanted]:
		p.note(name, state, "configure stage.ingress.class to one of them", "there is no ingress class %q; this cluster has %s", wanted, keysOf(classes))
	case wanted == "" && standard == "":
		p.note(name, Warning, "configure stage.ingress.class", "no ingress class is the default; this cluster has %s", keysOf(classes))
	default:
		p.note(name, OK, "", "ingress class %s", strings.TrimSpace(wanted+" "+standard))
	}
}
