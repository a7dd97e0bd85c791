package preflight

import (
	"cmp"
	"context"
	"errors"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// noteUnreadable notes what this account may not look at. That the server gave no
// answer is another thing: then nothing is known of rights.
func (p *preflight) noteUnreadable(name string, err error, format string, args ...any) {
	if errors.Is(err, cluster.ErrUnreachable) {
		p.note(name, Problem, "run it again", "%v", err)
		return
	}
	p.note(name, Unknown, "", format, args...)
}

// ingress finds out whether anything will serve the Ingress, and whether
// another one has its place.
func (p *preflight) ingress(ctx context.Context) {
	const name = "ingress"
	if p.input.Settings.Ingress.Provider == "none" {
		p.note(name, OK, "", "no Ingress is made (stage.ingress.provider=none)")
		return
	}
	if p.cluster.APIs.Ingress == "" {
		p.note(name, Problem, "configure stage.ingress.provider=none", "this cluster serves no Ingress")
		return
	}
	p.ingressHost(ctx, p.ingressClass(ctx))
}

// ingressClass looks for the class that is asked for, and returns the cluster's
// default, "" when that is not known.
func (p *preflight) ingressClass(ctx context.Context) (standard string) {
	const name = "ingress"
	wanted := p.input.Settings.Ingress.IngressClass()
	gvr, _ := p.cluster.APIs.Resource(p.cluster.APIs.Ingress, "Ingress")
	gvr.Resource = "ingressclasses"
	list, err := p.cluster.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
	if err != nil {
		p.noteUnreadable(name, err, "this account may not list ingress classes; whether an ingress controller serves %q is not known", wanted)
		return ""
	}
	classes := map[string]bool{}
	for _, class := range list.Items {
		classes[class.GetName()] = true
		if class.GetAnnotations()["ingressclass.kubernetes.io/is-default-class"] == "true" {
			standard = class.GetName()
		}
	}
	state := Problem
	if p.cluster.APIs.Minor < 19 || p.input.Settings.Ingress.Provider == "agic" {
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
	return standard
}

// ingressHost finds an Ingress of somebody else that has the same class, host
// and path: of two, a controller serves one, and callers get the answers of
// whichever that is.
func (p *preflight) ingressHost(ctx context.Context, standard string) {
	const name = "ingress host"
	own := find(p.objects, "Ingress")
	if own == nil {
		return // what cannot be rendered is told
	}
	gvr, _ := p.cluster.APIs.Resource(p.cluster.APIs.Ingress, "Ingress")
	list, err := p.cluster.Dynamic.Resource(gvr).List(ctx, metav1.ListOptions{})
	where := claimOf(own, standard)
	if err != nil {
		p.noteUnreadable(name, err, "this account may not list the Ingresses of other namespaces; whether another one has %s is seen only at a deploy's end, by who answers", where)
		return
	}
	for i := range list.Items {
		other := &list.Items[i]
		mine := other.GetNamespace() == p.namespaceName() && other.GetName() == render.EngineName
		path := where.conflict(claimOf(other, standard))
		if mine || path == "" {
			continue
		}
		of := ""
		if other.GetLabels()[render.LabelLaunch] == p.input.Plan.Launch.ID {
			of = ", an earlier installation of this launch,"
		}
		p.note(name, Problem, "configure another stage.ingress.host or stage.ingress.class, or delete that Ingress",
			"Ingress %s of namespace %s%s already has %s of %s: callers would be answered by one of the two", other.GetName(), other.GetNamespace(), of, path, where)
		return
	}
	p.note(name, OK, "", "no other Ingress has %s", where)
}

// ingressClaim is what an Ingress asks a controller for.
type ingressClaim struct {
	class string // "" for a default that is not known
	group string // where each Ingress has a load balancer of its own, that which it is shared by
	hosts map[string][]string
}

// albGroup makes Ingresses of the AWS controller share a load balancer.
const albGroup = "alb.ingress.kubernetes.io/group.name"

func claimOf(ingress *unstructured.Unstructured, standard string) ingressClaim {
	class, _, _ := unstructured.NestedString(ingress.Object, "spec", "ingressClassName")
	class = cmp.Or(class, ingress.GetAnnotations()[render.AnnotationIngressClass], standard)
	w := ingressClaim{class: class, hosts: map[string][]string{}}
	if class == (render.Ingress{Provider: "alb"}).IngressClass() {
		w.group = cmp.Or(ingress.GetAnnotations()[albGroup], ingress.GetNamespace()+"/"+ingress.GetName())
	}
	rules, _, _ := unstructured.NestedSlice(ingress.Object, "spec", "rules")
	for _, rule := range rules {
		m, _ := rule.(map[string]any)
		host, _ := m["host"].(string)
		paths, _, _ := unstructured.NestedSlice(m, "http", "paths")
		for _, entry := range paths {
			e, _ := entry.(map[string]any)
			path, _ := e["path"].(string)
			host = strings.ToLower(host)
			w.hosts[host] = append(w.hosts[host], strings.TrimRight(path, "/*")+"/")
		}
	}
	return w
}

// conflict returns a path that both want, "" for none. A longer path of the
// other one takes its part; a shorter one leaves ours to us.
func (w ingressClaim) conflict(other ingressClaim) string {
	if w.class != other.class || w.group != other.group {
		return ""
	}
	for host, paths := range w.hosts {
		for _, path := range paths {
			for _, taken := range other.hosts[host] {
				if strings.HasPrefix(taken, path) {
					return strings.TrimSuffix(taken, "/")
				}
			}
		}
	}
	return ""
}

// String says which host and class.
func (w ingressClaim) String() string {
	host := "any host"
	for name := range w.hosts {
		if name != "" {
			host = "host " + name
		}
	}
	return host + " of ingress class " + cmp.Or(w.class, "(the default)")
}

// find returns the first object of a kind, nil when there is none.
func find(objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	for _, o := range objects {
		if o.GetKind() == kind {
			return o
		}
	}
	return nil
}
