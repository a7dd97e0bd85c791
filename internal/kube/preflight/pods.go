package preflight

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/room"
)

// counted is an object with the count that it is applied with.
func (p *preflight) counted(o *unstructured.Unstructured) *unstructured.Unstructured {
	return render.WithReplicasOf(o, p.live[render.Name(o)])
}

// workloads returns what runs pods, each with none that is missing.
func (p *preflight) workloads() []room.Group {
	var groups []room.Group
	for _, o := range p.objects {
		if !render.RunsPods(o.GetKind()) {
			continue
		}
		template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		var pod corev1.PodTemplateSpec
		if runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod) != nil {
			continue // the server will say
		}
		groups = append(groups, room.Group{Name: o.GetName(), Vanity: o.GetAnnotations()[render.AnnotationVanityURL], Spec: pod.Spec, Object: o})
	}
	return groups
}

// groups returns the pods that a deploy starts beside those that run: have says
// how many pods each Deployment has.
func (p *preflight) groups(have map[string]int) []room.Group {
	var groups []room.Group
	for _, g := range p.workloads() {
		g.Missing = int(render.Replicas(p.counted(g.Object))) - have[g.Name] + p.surge(g.Object)
		if g.Missing > 0 {
			groups = append(groups, p.ranges.Complete(g))
		}
	}
	return groups
}

// surge is how many pods a Deployment that is there already has beyond its
// replicas while it exchanges them: a quarter, rounded up. One that ends its
// pods first has none, and no StatefulSet has.
func (p *preflight) surge(object *unstructured.Unstructured) int {
	live := p.live[render.Name(object)]
	strategy, _, _ := unstructured.NestedString(object.Object, "spec", "strategy", "type")
	if live == nil || object.GetKind() != "Deployment" || strategy == string(appsv1.RecreateDeploymentStrategyType) {
		return 0
	}
	have, _, _ := unstructured.NestedMap(live.Object, "spec", "template")
	want, _, _ := unstructured.NestedMap(object.Object, "spec", "template")
	if apply.Contains(have, want, "") {
		return 0
	}
	return int(render.Replicas(p.counted(object))+3) / 4
}
