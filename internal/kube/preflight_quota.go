package kube

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// quota finds every ResourceQuota of the namespace that leaves too little.
func (p *preflight) quota(ctx context.Context) {
	const name = "quota"
	list, err := p.typed.CoreV1().ResourceQuotas(p.Namespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		p.note(name, Unknown, "", "this account may not list resource quotas of namespace %s", p.Namespace())
		return
	}
	if len(list.Items) == 0 {
		return
	}
	groups := p.groups(p.ourPods(ctx))
	need, standard := p.needed(groups), p.standardResources(ctx)
	var short []string
	for _, quota := range list.Items {
		if scoped(quota) {
			continue
		}
		for resource, hard := range quota.Status.Hard {
			used, wanted := quota.Status.Used[resource], need[resource]
			left := hard.DeepCopy()
			left.Sub(used)
			if wanted.Cmp(left) > 0 && !wanted.IsZero() {
				short = append(short, fmt.Sprintf("%s leaves %s of %s and %s more are needed", quota.Name, left.String(), resource, wanted.String()))
			}
			if g, ok := unset(groups, resource, standard); ok {
				short = append(short, fmt.Sprintf("%s counts %s, and pods of %s set none, so they are refused", quota.Name, resource, g))
			}
		}
	}
	if len(short) > 0 {
		p.note(name, Problem, "raise the quota, add a LimitRange with defaults, lower replicas with configure stage.replicas.<vanity>=N, or set stage.resources.<vanity>.cpu=… and .memory=…",
			"in namespace %s, beside what runs until the new version takes over: %s", p.Namespace(), strings.Join(sorted(short), "; "))
		return
	}
	p.note(name, OK, "", "the quotas of namespace %s leave room", p.Namespace())
}

// scoped quotas count only pods of some kinds; ours have no deadline.
func scoped(q corev1.ResourceQuota) bool {
	for _, scope := range q.Spec.Scopes {
		if scope != corev1.ResourceQuotaScopeNotTerminating {
			return true
		}
	}
	return q.Spec.ScopeSelector != nil
}

// ourPods counts the pods that each Deployment of the launch has.
func (p *preflight) ourPods(ctx context.Context) map[string]int {
	have := map[string]int{}
	pods, err := p.typed.CoreV1().Pods(p.Namespace()).List(ctx, metav1.ListOptions{LabelSelector: LabelLaunch + "=" + p.Plan.Launch.ID})
	if err != nil {
		return have
	}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			have[pods.Items[i].Labels["app.kubernetes.io/name"]]++
		}
	}
	return have
}

// needed adds up, in a quota's words, what the deploy adds.
func (p *preflight) needed(groups []podGroup) corev1.ResourceList {
	need := corev1.ResourceList{}
	add := func(name corev1.ResourceName, q resource.Quantity, times int) {
		sum := need[name]
		for range times {
			sum.Add(q)
		}
		need[name] = sum
	}
	one := *resource.NewQuantity(1, resource.DecimalSI)
	for _, g := range groups {
		add(corev1.ResourcePods, one, g.missing)
		add("count/pods", one, g.missing)
		for name, q := range g.requests {
			add("requests."+name, q, g.missing)
			if name == corev1.ResourceCPU || name == corev1.ResourceMemory {
				add(name, q, g.missing)
			}
		}
		for name, q := range g.limits {
			add("limits."+name, q, g.missing)
		}
	}
	for _, o := range p.objects {
		gvr, err := p.Cluster.APIs.resourceOf(o.GetAPIVersion(), o.GetKind())
		if err != nil || p.existing[Name(o)] {
			continue
		}
		if gvr.Group == "" {
			add(corev1.ResourceName(gvr.Resource), one, 1) // services, secrets and configmaps have names of their own
			add(corev1.ResourceName("count/"+gvr.Resource), one, 1)
		} else {
			add(corev1.ResourceName("count/"+gvr.Resource+"."+gvr.Group), one, 1)
		}
	}
	return need
}

// standardResources are those that a LimitRange gives to containers that say
// nothing.
func (p *preflight) standardResources(ctx context.Context) map[corev1.ResourceName]bool {
	given := map[corev1.ResourceName]bool{}
	list, err := p.typed.CoreV1().LimitRanges(p.Namespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil // not known: nothing is claimed
	}
	for _, l := range list.Items {
		for _, item := range l.Spec.Limits {
			if item.Type != corev1.LimitTypeContainer {
				continue
			}
			for name := range item.Default {
				given["limits."+name], given["requests."+name], given[name] = true, true, true
			}
			for name := range item.DefaultRequest {
				given["requests."+name], given[name] = true, true
			}
		}
	}
	return given
}

// unset gives pods that do not set a compute resource which a quota counts.
func unset(groups []podGroup, name corev1.ResourceName, standard map[corev1.ResourceName]bool) (podGroup, bool) {
	if standard == nil || standard[name] {
		return podGroup{}, false
	}
	for _, g := range groups {
		from, of := g.requests, corev1.ResourceName(strings.TrimPrefix(string(name), "requests."))
		if rest, ok := strings.CutPrefix(string(name), "limits."); ok {
			from, of = g.limits, corev1.ResourceName(rest)
		}
		if of != corev1.ResourceCPU && of != corev1.ResourceMemory {
			continue
		}
		if _, ok := from[of]; !ok {
			return g, true
		}
	}
	return podGroup{}, false
}
