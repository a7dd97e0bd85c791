package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// computed are the resources that limits and quotas want said of containers,
// and stage.resources can set.
var computed = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// limitRanges reads the namespace's, once; none when they may not be read.
func (p *preflight) limitRanges(ctx context.Context) {
	if list, err := p.cluster.Typed.CoreV1().LimitRanges(p.namespaceName()).List(ctx, metav1.ListOptions{}); err == nil {
		p.ranges = list.Items
	}
}

// limits finds the pods that a LimitRange refuses. Deployments are taken all
// the same: only their pods would never come.
func (p *preflight) limits() {
	const name = "limits"
	if len(p.ranges) == 0 {
		return
	}
	var refused []string
	var advice []setting
	for _, g := range p.groups(nil) {
		if g.refused == "" {
			continue
		}
		refused = append(refused, g.key()+": "+g.refused)
		advice = append(advice, p.adviseWithin(g)...)
	}
	if len(refused) == 0 {
		p.note(name, OK, "", "the LimitRanges of namespace %s admit every pod", p.namespaceName())
		return
	}
	fix := "have the LimitRange changed"
	if len(advice) > 0 {
		fix = configure(advice) + "; or " + fix
	}
	p.note(name, Problem, fix, "a LimitRange of namespace %s refuses pods of %s", p.namespaceName(), strings.Join(refused, "; "))
}

// admit does to a pod what admission does: containers get what they do not
// say, first limits as requests and then each LimitRange's defaults. It
// returns why the pod is refused, "" when it is not.
func admit(spec *corev1.PodSpec, ranges []corev1.LimitRange) string {
	for _, c := range containers(spec) {
		resources := &c.Resources
		resources.Requests, resources.Limits = cloned(resources.Requests), cloned(resources.Limits)
		fill(resources.Requests, resources.Limits)
		for item := range items(ranges, corev1.LimitTypeContainer) {
			fill(resources.Limits, item.Default)
			fill(resources.Requests, item.DefaultRequest)
		}
	}
	for _, c := range containers(spec) {
		for item := range items(ranges, corev1.LimitTypeContainer) {
			if why := breaks(item, "a container", c.Resources.Requests, c.Resources.Limits); why != "" {
				return why
			}
		}
		for _, name := range computed {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			if _, limited := c.Resources.Limits[name]; limited && request.Cmp(limit) > 0 {
				return fmt.Sprintf("it asks for %s of %s, and the default limit is %s", request.String(), name, limit.String())
			}
		}
	}
	requests, limits := podResources(*spec)
	for item := range items(ranges, corev1.LimitTypePod) {
		if why := breaks(item, "a pod", requests, limits); why != "" {
			return why
		}
	}
	return ""
}

// containers are a pod's, the init containers too.
func containers(spec *corev1.PodSpec) (all []*corev1.Container) {
	for i := range spec.InitContainers {
		all = append(all, &spec.InitContainers[i])
	}
	for i := range spec.Containers {
		all = append(all, &spec.Containers[i])
	}
	return all
}

// items are the limits of one type of all ranges.
func items(ranges []corev1.LimitRange, of corev1.LimitType) func(func(corev1.LimitRangeItem) bool) {
	return func(yield func(corev1.LimitRangeItem) bool) {
		for _, r := range ranges {
			for _, item := range r.Spec.Limits {
				if item.Type == of && !yield(item) {
					return
				}
			}
		}
	}
}

func cloned(list corev1.ResourceList) corev1.ResourceList {
	if list == nil {
		return corev1.ResourceList{}
	}
	return list.DeepCopy()
}

func fill(list, standard corev1.ResourceList) {
	for name, q := range standard {
		if _, ok := list[name]; !ok {
			list[name] = q
		}
	}
}

// breaks says which bound of a LimitRange is broken, in the order of names.
func breaks(item corev1.LimitRangeItem, of string, requests, limits corev1.ResourceList) string {
	for _, name := range sortedNames(item.Min, item.Max, item.MaxLimitRequestRatio) {
		request, asked := requests[name]
		limit, limited := limits[name]
		least, hasLeast := item.Min[name]
		most, hasMost := item.Max[name]
		ratio, hasRatio := item.MaxLimitRequestRatio[name]
		switch {
		case hasLeast && !asked:
			return fmt.Sprintf("%s has to ask for %s, at least %s", of, name, least.String())
		case hasLeast && request.Cmp(least) < 0:
			return fmt.Sprintf("it asks for %s of %s, and %s has at least %s", request.String(), name, of, least.String())
		case hasLeast && limited && limit.Cmp(least) < 0:
			return fmt.Sprintf("its limit of %s is %s, and %s has at least %s", name, limit.String(), of, least.String())
		case hasMost && !limited:
			return fmt.Sprintf("%s has to have a limit of %s, at most %s", of, name, most.String())
		case hasMost && (limit.Cmp(most) > 0 || asked && request.Cmp(most) > 0):
			return fmt.Sprintf("its limit of %s is %s, and %s has at most %s", name, limit.String(), of, most.String())
		case hasRatio && (!asked || !limited || request.IsZero() || float64(limit.MilliValue()) > float64(request.MilliValue())*ratio.AsApproximateFloat64()):
			return fmt.Sprintf("its limit of %s may be %s times what it asks for", name, ratio.String())
		}
	}
	return ""
}

func sortedNames(lists ...corev1.ResourceList) (names []corev1.ResourceName) {
	for _, list := range lists {
		for name := range list {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// setting is a setting of stage.resources for one group of pods.
type setting struct {
	key   string // cpu, cpu_limit or memory
	value resource.Quantity
}

// adviseWithin returns the fewest settings with which every LimitRange admits a
// group's pods; none when no value does.
func (p *preflight) adviseWithin(g podGroup) []setting {
	memory, cpu := p.memorySetting(g), p.cpuSettings(g)
	for _, list := range [][]setting{memory, cpu, slices.Concat(memory, cpu)} {
		if spec := g.with(list); admit(spec, p.ranges) == "" {
			return g.settings(list)
		}
	}
	return nil
}

func (p *preflight) memorySetting(g podGroup) []setting {
	least, most, _ := p.bounds(corev1.ResourceMemory)
	return []setting{{"memory", clamped(g.requested(corev1.ResourceMemory), least, most)}} // asked for, and the limit
}

func (p *preflight) cpuSettings(g podGroup) []setting {
	least, most, ratio := p.bounds(corev1.ResourceCPU)
	request := clamped(g.requested(corev1.ResourceCPU), least, most)
	limit := clamped(resource.MustParse(usualCPULimit), least, most)
	if ratio != nil {
		furthest := int64(float64(request.MilliValue()) * ratio.AsApproximateFloat64())
		limit = *resource.NewMilliQuantity(min(limit.MilliValue(), furthest), resource.DecimalSI)
	}
	if limit.Cmp(request) < 0 {
		limit = request
	}
	return []setting{{"cpu", request}, {"cpu_limit", limit}}
}

func clamped(q resource.Quantity, least, most *resource.Quantity) resource.Quantity {
	if least != nil && q.Cmp(*least) < 0 {
		q = least.DeepCopy()
	}
	if most != nil && q.Cmp(*most) > 0 {
		q = most.DeepCopy()
	}
	return q
}

// What pods are advised to have that say nothing themselves.
const (
	usualCPU      = render.EngineCPU
	usualCPULimit = "1"
	usualMemory   = "256Mi"
)

// bounds are the narrowest of all LimitRanges, nil for none. A pod of ours has
// one container, so that a container's bounds and a pod's are the same.
func (p *preflight) bounds(name corev1.ResourceName) (least, most, ratio *resource.Quantity) {
	narrower := func(have *resource.Quantity, list corev1.ResourceList, sign int) *resource.Quantity {
		if q, ok := list[name]; ok && (have == nil || q.Cmp(*have)*sign > 0) {
			return &q
		}
		return have
	}
	for _, of := range []corev1.LimitType{corev1.LimitTypeContainer, corev1.LimitTypePod} {
		for item := range items(p.ranges, of) {
			least, most, ratio = narrower(least, item.Min, 1), narrower(most, item.Max, -1), narrower(ratio, item.MaxLimitRequestRatio, -1)
		}
	}
	return least, most, ratio
}
