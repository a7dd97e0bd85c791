package preflight

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Rules are the rights that the installer needs in the namespace: to write
// what it renders, to make engines use new routes and read that they do, to
// say why something is not ready, and those it hands on to the engine. A queue
// has a StatefulSet and claims of volumes beside, and engines that scale have
// the right to.
func Rules(apis render.APIs, queue, scales bool) []rbacv1.PolicyRule {
	write := []string{"get", "create", "patch", "delete"}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps", "secrets", "serviceaccounts", "services"}, Verbs: write},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: append([]string{"list"}, write...)},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses", "networkpolicies"}, Verbs: write},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: write},
		{APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"roles", "rolebindings"}, Verbs: write},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "patch"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
	}
	rules = slices.Concat(rules, render.EngineRules(apis), render.KeptRules(), render.LeaseRules())
	if scales {
		rules = append(rules, render.ScaleRules()...)
	}
	if !queue {
		return rules
	}
	all := append([]string{"list"}, write...)
	return append(append(rules, render.QueueRules()...),
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: all},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: all},
	)
}

// rules are the rights that this launch needs.
func (p *preflight) rules() []rbacv1.PolicyRule {
	rules := Rules(p.cluster.APIs, p.input.Settings.Queue.On, p.input.Scales())
	if p.hasClaims() && !p.input.Settings.Queue.On {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"get"}})
	}
	if p.input.Settings.Monitor.On && p.cluster.APIs.ServiceMonitor != "" {
		rules = append(rules, render.MonitorRules("servicemonitors")...)
	}
	if p.input.Settings.PodMonitor.On && p.cluster.APIs.PodMonitor != "" {
		rules = append(rules, render.MonitorRules("podmonitors")...)
	}
	if slices.ContainsFunc(p.input.Plan.Algorithms, p.input.EgressByName) {
		rules = append(rules, p.input.APIs.FQDNRules()...)
	}
	return rules
}

// access is one verb on one resource, or on its one object of a name.
type access struct{ verb, group, resource, object string }

// name returns the resource as RBAC messages do: deployments.apps.
func (a access) name() string {
	if a.group == "" {
		return a.resource
	}
	return a.resource + "." + a.group
}

// permissions asks for every right that a deploy needs, and names all that
// are missing together with the Role that gives them.
func (p *preflight) permissions(ctx context.Context, namespaceExists bool) {
	const name = "permissions"
	var wanted []access
	for _, rule := range p.rules() {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				object := ""
				if len(rule.ResourceNames) > 0 {
					object = rule.ResourceNames[0]
				}
				wanted = append(wanted, access{verb, rule.APIGroups[0], resource, object})
			}
		}
	}
	if !namespaceExists && p.input.Settings.CreateNamespace {
		wanted = append(wanted, access{"create", "", "namespaces", ""}, access{"patch", "", "namespaces", ""})
	}
	missing, err := p.denied(ctx, wanted)
	switch {
	case err != nil:
		p.noteUnreadable(name, err, "ask which permissions this account has: %v", err)
	case len(missing) > 0:
		p.note(name, Problem, "have an admin of the cluster apply this:\n"+roleFor(p.namespaceName(), p.rules()),
			"the kubeconfig's account lacks, in namespace %s: %s", p.namespaceName(), grouped(missing))
	default:
		p.note(name, OK, "", "the kubeconfig's account may do all that a deploy needs in namespace %s", p.namespaceName())
	}
}

// denied returns those of wanted that the account may not do: by one review of
// all its rules, and one each of what that review does not list, since an
// authorizer outside of the cluster may not be able to list its rules.
func (p *preflight) denied(ctx context.Context, wanted []access) ([]access, error) {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: p.namespaceName()}}
	rules, err := p.cluster.Typed.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return p.reviewEach(ctx, wanted)
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(a access) bool {
		return slices.ContainsFunc(rules.Status.ResourceRules, a.allowedBy)
	})
	return p.reviewEach(ctx, missing)
}

// allowedBy reports whether a rule gives the access.
func (a access) allowedBy(rule authorizationv1.ResourceRule) bool {
	has := func(list []string, s string) bool { return slices.Contains(list, s) || slices.Contains(list, "*") }
	_, sub, isSub := strings.Cut(a.resource, "/")
	named := len(rule.ResourceNames) == 0 || a.object != "" && slices.Contains(rule.ResourceNames, a.object)
	return named && has(rule.Verbs, a.verb) && has(rule.APIGroups, a.group) &&
		(has(rule.Resources, a.resource) || isSub && slices.Contains(rule.Resources, "*/"+sub))
}

// reviewEach returns those of wanted that the server says no to, one by one.
func (p *preflight) reviewEach(ctx context.Context, wanted []access) ([]access, error) {
	allowed := make([]bool, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, a := range wanted {
		group.Go(func() error {
			resource, sub, _ := strings.Cut(a.resource, "/")
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: p.namespaceName(), Verb: a.verb, Group: a.group, Resource: resource, Subresource: sub, Name: a.object,
				},
			}}
			answer, err := p.cluster.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			if err == nil {
				allowed[i] = answer.Status.Allowed
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []access
	for i, a := range wanted {
		if !allowed[i] {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

// grouped writes "create, patch deployments.apps; list pods".
func grouped(missing []access) string {
	verbs := map[string][]string{}
	for _, a := range missing {
		if !slices.Contains(verbs[a.name()], a.verb) {
			verbs[a.name()] = append(verbs[a.name()], a.verb)
		}
	}
	var parts []string
	for resource, list := range verbs {
		parts = append(parts, strings.Join(list, ", ")+" "+resource)
	}
	sort.Strings(parts)
	return strings.Join(parts, "; ")
}

// roleFor is a Role with all that the installer needs, ready to apply.
func roleFor(namespace string, rules []rbacv1.PolicyRule) string {
	data, err := yaml.Marshal(map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": map[string]any{"name": render.FieldManager, "namespace": namespace},
		"rules":    rules,
	})
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(data) + "# then: kubectl -n " + namespace + " create rolebinding " + render.FieldManager + " --role=" + render.FieldManager + " --user=USER\n"
}
