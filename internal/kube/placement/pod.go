package placement

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Labels and annotations by which service meshes know whether a pod gets their
// proxy: Istio's and Linkerd's.
const (
	istioInject   = "sidecar.istio.io/inject"
	linkerdInject = "linkerd.io/inject"
)

// Pod lays the placement over a pod, whose labels are made after it with
// PodLabels. A selector of its own pods is given where a spread names none.
func (p Placement) Pod(pod *corev1.PodTemplateSpec, selector map[string]string) {
	spec := &pod.Spec
	spec.NodeSelector, spec.Tolerations = p.NodeSelector, p.Tolerations
	if p.Affinity != nil {
		spec.Affinity = p.Affinity.DeepCopy()
	}
	spec.PriorityClassName = p.PriorityClass
	if p.RuntimeClass != "" {
		spec.RuntimeClassName = &p.RuntimeClass
	}
	if p.Spread != nil {
		spec.TopologySpreadConstraints = p.spread(selector)
	}
	if p.ServiceAccount != "" {
		spec.ServiceAccountName = p.ServiceAccount
	}
	spec.HostAliases, spec.DNSPolicy, spec.DNSConfig = p.HostAliases, p.DNSPolicy, p.DNSConfig
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			list[i].ImagePullPolicy = p.PullPolicy
		}
	}
	pod.Annotations = with(pod.Annotations, p.Annotations, p.meshed(linkerdInject, "enabled", "disabled"))
	pod.Labels = p.PodLabels(pod.Labels)
}

// PodLabels returns a pod's labels with those of the placement.
func (p Placement) PodLabels(labels map[string]string) map[string]string {
	return with(labels, p.Labels, p.meshed(istioInject, "true", "false"))
}

// Workload lays the placement over the metadata of what makes pods.
func (p Placement) Workload(meta *metav1.ObjectMeta) { meta.Labels = with(meta.Labels, p.Labels, nil) }

// Service lays the placement over a Service's metadata.
func (p Placement) Service(meta *metav1.ObjectMeta) {
	meta.Labels = with(meta.Labels, p.ServiceLabels, nil)
	meta.Annotations = with(meta.Annotations, p.ServiceAnnotations, nil)
}

// meshed is how one mesh is told whether a pod gets its proxy.
func (p Placement) meshed(key, on, off string) map[string]string {
	switch p.Mesh {
	case MeshOn:
		return map[string]string{key: on}
	case MeshOff:
		return map[string]string{key: off}
	}
	return nil
}

// with returns base with what the operator added and what follows from other
// settings; the operator's own word wins over the latter, base over both.
func with(base, added, derived map[string]string) map[string]string {
	if len(added)+len(derived) == 0 {
		return base
	}
	all := map[string]string{}
	maps.Copy(all, derived)
	maps.Copy(all, added)
	maps.Copy(all, base)
	return all
}

func (p Placement) spread(selector map[string]string) []corev1.TopologySpreadConstraint {
	list := make([]corev1.TopologySpreadConstraint, len(p.Spread))
	for i, constraint := range p.Spread {
		constraint.DeepCopyInto(&list[i])
		if list[i].LabelSelector == nil {
			list[i].LabelSelector = &metav1.LabelSelector{MatchLabels: selector}
		}
	}
	return list
}
