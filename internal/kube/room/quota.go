package room

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Scopes are a quota's, in both of its forms, as one list.
func Scopes(q corev1.ResourceQuota) []corev1.ScopedResourceSelectorRequirement {
	var all []corev1.ScopedResourceSelectorRequirement
	for _, scope := range q.Spec.Scopes {
		all = append(all, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists})
	}
	if q.Spec.ScopeSelector != nil {
		all = append(all, q.Spec.ScopeSelector.MatchExpressions...)
	}
	return all
}

// Counts reports whether a quota counts a group's pods, which have their own
// priority class or the one that is the cluster's default, no deadline, and no
// affinity to other namespaces.
func Counts(q corev1.ResourceQuota, g Group, class string) bool {
	class = cmp.Or(g.Spec.PriorityClassName, class)
	for _, scope := range Scopes(q) {
		var holds bool
		switch scope.ScopeName {
		case corev1.ResourceQuotaScopeNotTerminating:
			holds = true
		case corev1.ResourceQuotaScopeBestEffort:
			holds = bestEffort(g)
		case corev1.ResourceQuotaScopeNotBestEffort:
			holds = !bestEffort(g)
		case corev1.ResourceQuotaScopePriorityClass:
			switch scope.Operator {
			case corev1.ScopeSelectorOpIn:
				holds = slices.Contains(scope.Values, class)
			case corev1.ScopeSelectorOpNotIn:
				holds = !slices.Contains(scope.Values, class)
			case corev1.ScopeSelectorOpExists:
				holds = class != ""
			case corev1.ScopeSelectorOpDoesNotExist:
				holds = class == ""
			}
		}
		if !holds {
			return false
		}
	}
	return true
}

// bestEffort pods say nothing of processors and memory.
func bestEffort(g Group) bool {
	for _, c := range containers(&g.Admitted) {
		for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
			for _, name := range Computed {
				if q := list[name]; !q.IsZero() {
					return false
				}
			}
		}
	}
	return true
}

// counted splits a quota's word for a compute resource; ok is false for any
// other.
func counted(word corev1.ResourceName) (name corev1.ResourceName, limit, ok bool) {
	rest, limit := strings.CutPrefix(string(word), "limits.")
	name = corev1.ResourceName(strings.TrimPrefix(rest, "requests."))
	return name, limit, slices.Contains(Computed, name)
}

// Unset returns the groups with a container that does not say what a quota
// counts: its pods are refused, whatever is left.
func Unset(groups []Group, word corev1.ResourceName) (silent []Group) {
	name, limit, ok := counted(word)
	if !ok {
		return nil
	}
	for _, g := range groups {
		if slices.ContainsFunc(containers(&g.Admitted), func(c *corev1.Container) bool {
			list := c.Resources.Requests
			if limit {
				list = c.Resources.Limits
			}
			_, says := list[name]
			return !says
		}) {
			silent = append(silent, g)
		}
	}
	return silent
}

// Keys lists what stage.resources calls groups.
func Keys(groups []Group) string {
	keys := make([]string, len(groups))
	for i, g := range groups {
		keys[i] = g.Key()
	}
	return strings.Join(keys, ", ")
}
