package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/room"
)

// quota finds every ResourceQuota of the namespace that leaves too little, or
// wants said what pods do not say.
func (p *preflight) quota(ctx context.Context) {
	const name = "quota"
	list, err := p.cluster.Typed.CoreV1().ResourceQuotas(p.namespaceName()).List(ctx, metav1.ListOptions{})
	if err != nil {
		p.noteUnreadable(name, err, "this account may not list resource quotas of namespace %s", p.namespaceName())
		return
	}
	if len(list.Items) == 0 {
		return
	}
	groups, class := p.groups(p.ourPods(ctx)), p.priorityClass(ctx, list.Items)
	short, advice := p.shortages(list.Items, class, groups)
	if len(short) == 0 {
		p.note(name, OK, "", "the quotas of namespace %s leave room", p.namespaceName())
		return
	}
	// What is advised for one quota may be too much for another one.
	for range 3 {
		followed := make([]room.Group, len(groups))
		for i, g := range groups {
			followed[i] = p.ranges.Configured(g, advice)
		}
		_, more := p.shortages(list.Items, class, followed)
		if len(more) == 0 {
			break
		}
		advice = append(advice, more...)
	}
	fix := "raise the quota, or lower replicas with configure stage.replicas.<vanity>=N"
	if len(advice) > 0 {
		fix = room.Configure(advice) + "; or " + fix
	}
	p.note(name, Problem, fix, "in namespace %s, beside what runs until the new version takes over: %s", p.namespaceName(), strings.Join(sorted(short), "; "))
}

// shortages says what quotas leave too little of for some groups of pods, or
// want said, and what to configure then.
func (p *preflight) shortages(quotas []corev1.ResourceQuota, class string, groups []room.Group) (short []string, advice []room.Setting) {
	for _, quota := range quotas {
		ours := slices.DeleteFunc(slices.Clone(groups), func(g room.Group) bool { return !room.Counts(quota, g, class) })
		need := p.needed(ours, len(room.Scopes(quota)) == 0)
		hard := quota.Status.Hard
		if len(hard) == 0 {
			hard = quota.Spec.Hard // its controller was not there yet
		}
		for _, word := range room.SortedNames(hard) {
			left, wanted := hard[word].DeepCopy(), need[word]
			left.Sub(quota.Status.Used[word])
			silent := room.Unset(ours, word)
			switch {
			case len(silent) > 0:
				short = append(short, fmt.Sprintf("%s counts %s, and pods of %s set none, so they are refused", quota.Name, word, room.Keys(silent)))
				advice = append(advice, p.ranges.AdviseUnset(silent, ours, word, left, wanted)...)
			case wanted.Cmp(left) > 0 && !wanted.IsZero():
				short = append(short, fmt.Sprintf("%s leaves %s of %s and %s more are needed", quota.Name, left.String(), word, wanted.String()))
				advice = append(advice, p.ranges.AdviseLower(ours, word, left)...)
			}
		}
	}
	return short, advice
}

// priorityClass is the one that pods get which name none; "" when no quota
// asks, or when it may not be known.
func (p *preflight) priorityClass(ctx context.Context, quotas []corev1.ResourceQuota) string {
	byClass := func(s corev1.ScopedResourceSelectorRequirement) bool {
		return s.ScopeName == corev1.ResourceQuotaScopePriorityClass
	}
	if !slices.ContainsFunc(quotas, func(q corev1.ResourceQuota) bool { return slices.ContainsFunc(room.Scopes(q), byClass) }) {
		return ""
	}
	list, err := p.cluster.Typed.SchedulingV1().PriorityClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	for _, class := range list.Items {
		if class.GlobalDefault {
			return class.Name
		}
	}
	return ""
}

// ourPods counts the pods that each Deployment and StatefulSet of the launch has.
func (p *preflight) ourPods(ctx context.Context) map[string]int {
	have := map[string]int{}
	pods, err := p.cluster.Typed.CoreV1().Pods(p.namespaceName()).List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + p.input.Plan.Launch.ID})
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

// needed adds up, in a quota's words, what the deploy adds of pods, and of
// objects where the quota counts them.
func (p *preflight) needed(groups []room.Group, objects bool) corev1.ResourceList {
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
		add(corev1.ResourcePods, one, g.Missing)
		add("count/pods", one, g.Missing)
		for name, q := range g.Requests {
			add("requests."+name, q, g.Missing)
			if slices.Contains(room.Computed, name) {
				add(name, q, g.Missing)
			}
		}
		for name, q := range g.Limits {
			add("limits."+name, q, g.Missing)
		}
	}
	if !objects {
		return need
	}
	count := func(o apply.Object) {
		gvr, err := p.cluster.APIs.Resource(o.APIVersion, o.Kind)
		switch {
		case err != nil:
		case gvr.Group == "":
			add(corev1.ResourceName(gvr.Resource), one, 1) // services, secrets and configmaps have names of their own
			add(corev1.ResourceName("count/"+gvr.Resource), one, 1)
		default:
			add(corev1.ResourceName("count/"+gvr.Resource+"."+gvr.Group), one, 1)
		}
	}
	for _, o := range p.objects {
		if p.live[render.Name(o)] == nil && o.GetKind() != "PersistentVolumeClaim" {
			count(apply.ObjectOf(o))
		}
		if o.GetKind() == "Deployment" && (p.live[render.Name(o)] == nil || p.surge(o) > 0) {
			add("count/replicasets.apps", one, 1)
		}
	}
	p.addClaims(add)
	if p.known == nil { // the first deploy makes these too
		count(apply.Object{APIVersion: "v1", Kind: "ConfigMap", Name: render.InventoryName})
	}
	if p.known == nil || !slices.ContainsFunc(p.known.History, func(past apply.PastVersion) bool { return past.Version == p.input.Plan.Satellite.Version }) {
		count(apply.HistoryObject(p.input.Plan.Satellite.Version))
	}
	return need
}
