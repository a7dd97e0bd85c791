package placement

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Takes reports whether a node's labels and taints let a pod run there. Its
// room is not looked at.
func Takes(node *corev1.Node, spec *corev1.PodSpec) bool {
	return labelled(node, spec) && len(untolerated(node, spec)) == 0
}

// Obstacle says why none of the nodes takes a pod that asks for requests, ""
// when one of them does, as far as labels, taints and kinds of devices go.
func Obstacle(nodes []*corev1.Node, spec *corev1.PodSpec, requests corev1.ResourceList) string {
	if missing := missingLabels(nodes, spec); missing != "" {
		return missing
	}
	var fit, free []*corev1.Node
	taints := map[string]bool{}
	for _, node := range nodes {
		if !labelled(node, spec) {
			continue
		}
		fit = append(fit, node)
		borne := untolerated(node, spec)
		for _, taint := range borne {
			taints[taint.ToString()] = true
		}
		if len(borne) == 0 {
			free = append(free, node)
		}
	}
	switch {
	case len(fit) == 0:
		return "no node has all the labels that their node selector and affinity want: " + wanted(spec)
	case len(free) == 0:
		return fmt.Sprintf("every node that they may run on (%s) has a taint that they do not tolerate: %s", few(fit), strings.Join(slices.Sorted(maps.Keys(taints)), ", "))
	}
	return missingDevices(free, requests)
}

// missingLabels names a label of the node selector that no node has.
func missingLabels(nodes []*corev1.Node, spec *corev1.PodSpec) string {
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		values := map[string]bool{}
		for _, node := range nodes {
			if value, ok := node.Labels[key]; ok {
				values[value] = true
			}
		}
		switch {
		case values[spec.NodeSelector[key]]:
		case len(values) == 0:
			return fmt.Sprintf("no node has a label %s (they want %s=%s)", key, key, spec.NodeSelector[key])
		default:
			return fmt.Sprintf("no node has the label %s=%s; there it is %s", key, spec.NodeSelector[key], shortened(slices.Sorted(maps.Keys(values))))
		}
	}
	return ""
}

// missingDevices names a device that none of the nodes has.
func missingDevices(nodes []*corev1.Node, requests corev1.ResourceList) string {
	for _, name := range Devices(requests) {
		others, has := map[string]bool{}, false
		for _, node := range nodes {
			has = has || !node.Status.Allocatable.Name(name, "").IsZero()
			for _, other := range Devices(node.Status.Allocatable) {
				others[string(other)] = true
			}
		}
		if has {
			continue
		}
		there := "they have no devices"
		if len(others) > 0 {
			there = "they have " + shortened(slices.Sorted(maps.Keys(others)))
		}
		return fmt.Sprintf("no node that they may run on (%s) has %s; %s", few(nodes), name, there)
	}
	return ""
}

// Devices returns the extended resources of a list that are not none, in order.
func Devices(list corev1.ResourceList) []corev1.ResourceName {
	var names []corev1.ResourceName
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if q := list[name]; strings.Contains(string(name), "/") && !strings.HasPrefix(string(name), "attachable-volumes") && !q.IsZero() {
			names = append(names, name)
		}
	}
	return names
}

func labelled(node *corev1.Node, spec *corev1.PodSpec) bool {
	for key, value := range spec.NodeSelector {
		if has, ok := node.Labels[key]; !ok || has != value {
			return false
		}
	}
	required := requiredNodes(spec)
	return required == nil || meets(required, node)
}

func requiredNodes(spec *corev1.PodSpec) *corev1.NodeSelector {
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return nil
	}
	return spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
}

// untolerated returns the node's taints that keep the pod away.
func untolerated(node *corev1.Node, spec *corev1.PodSpec) []corev1.Taint {
	return slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(taint corev1.Taint) bool {
		return taint.Effect == corev1.TaintEffectPreferNoSchedule || slices.ContainsFunc(spec.Tolerations, func(t corev1.Toleration) bool { return tolerates(t, taint) })
	})
}

func tolerates(t corev1.Toleration, taint corev1.Taint) bool {
	return (t.Effect == "" || t.Effect == taint.Effect) && (t.Key == "" || t.Key == taint.Key) &&
		(t.Operator == corev1.TolerationOpExists || t.Value == taint.Value && t.Key != "")
}

// wanted writes what a pod wants of a node's labels.
func wanted(spec *corev1.PodSpec) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		parts = append(parts, key+"="+spec.NodeSelector[key])
	}
	if required := requiredNodes(spec); required != nil {
		for _, term := range required.NodeSelectorTerms {
			for _, r := range append(slices.Clone(term.MatchExpressions), term.MatchFields...) {
				parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Key, r.Operator, strings.Join(r.Values, "|"))))
			}
		}
	}
	return shortened(parts)
}

// few names nodes, the first of them when they are many.
func few(nodes []*corev1.Node) string {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Name
	}
	slices.Sort(names)
	return shortened(names)
}

// mostNamed is how many things a message names.
const mostNamed = 5

func shortened(list []string) string {
	if len(list) > mostNamed {
		return strings.Join(list[:mostNamed], ", ") + fmt.Sprintf(" and %d more", len(list)-mostNamed)
	}
	return strings.Join(list, ", ")
}
