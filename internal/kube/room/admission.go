package room

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Ranges are the LimitRanges of a namespace.
type Ranges []corev1.LimitRange

// Computed are the resources that limits and quotas want said of containers,
// and stage.resources can set.
var Computed = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

// admit does to a pod what admission does: containers get what they do not
// say, first limits as requests and then each LimitRange's defaults. It
// returns why the pod is refused, "" when it is not.
func admit(spec *corev1.PodSpec, ranges Ranges) string {
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
		for _, name := range Computed {
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
func items(ranges Ranges, of corev1.LimitType) func(func(corev1.LimitRangeItem) bool) {
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
	for _, name := range SortedNames(item.Min, item.Max, item.MaxLimitRequestRatio) {
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

// SortedNames returns the names of all lists, each once.
func SortedNames(lists ...corev1.ResourceList) (names []corev1.ResourceName) {
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

// podResources adds up what a pod's containers ask for; a limit alone is also
// a request.
func podResources(spec corev1.PodSpec) (requests, limits corev1.ResourceList) {
	requests, limits = corev1.ResourceList{}, corev1.ResourceList{}
	add := func(list corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
		sum := list[name]
		sum.Add(q)
		list[name] = sum
	}
	for _, c := range spec.Containers {
		for name, q := range c.Resources.Limits {
			add(limits, name, q)
			if _, ok := c.Resources.Requests[name]; !ok {
				add(requests, name, q)
			}
		}
		for name, q := range c.Resources.Requests {
			add(requests, name, q)
		}
	}
	for _, c := range spec.InitContainers {
		raise(requests, c.Resources.Requests)
		raise(limits, c.Resources.Limits)
	}
	return requests, limits
}

// raise raises a list to another one.
func raise(list, other corev1.ResourceList) {
	for name, q := range other {
		if have := list[name]; q.Cmp(have) > 0 {
			list[name] = q
		}
	}
}
