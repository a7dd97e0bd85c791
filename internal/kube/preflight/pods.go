package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// podGroup is pods of one kind that have to be started.
type podGroup struct {
	name     string // of their Deployment or StatefulSet
	vanity   string
	object   *unstructured.Unstructured
	missing  int
	spec     corev1.PodSpec // as it is rendered
	admitted corev1.PodSpec // as admission completes it
	refused  string         // why a LimitRange does not admit it
	requests corev1.ResourceList
	limits   corev1.ResourceList
}

// String names the group for people.
func (g podGroup) String() string {
	text := fmt.Sprintf("%d × %s", g.missing, cmp.Or(g.vanity, g.name))
	var asks []string
	for _, name := range append([]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}, placement.Devices(g.requests)...) {
		if q, ok := g.requests[name]; ok && !q.IsZero() {
			asks = append(asks, string(name)+" "+q.String())
		}
	}
	if len(asks) > 0 {
		text += " (" + strings.Join(asks, ", ") + " each)"
	}
	return text
}

// key is what stage.resources calls the group.
func (g podGroup) key() string {
	if g.name == render.QueueName {
		return render.QueueResources
	}
	return cmp.Or(g.vanity, render.EngineResources)
}

// requested is what the group's container is rendered to have of a resource, or
// what one is advised to have.
func (g podGroup) requested(name corev1.ResourceName) resource.Quantity {
	c := g.spec.Containers[0].Resources
	request, ok := c.Requests[name]
	switch limit, limited := c.Limits[name]; {
	case name == corev1.ResourceCPU && ok:
		return request
	case name == corev1.ResourceMemory && limited && ok && limit.Cmp(request) == 0:
		return limit
	case name == corev1.ResourceCPU:
		return resource.MustParse(usualCPU)
	}
	return resource.MustParse(usualMemory)
}

// with returns the group's pod with some settings of stage.resources.
func (g podGroup) with(list []setting) *corev1.PodSpec {
	spec := g.spec.DeepCopy()
	for _, c := range containers(spec) {
		requests, limits := cloned(c.Resources.Requests), cloned(c.Resources.Limits)
		for _, a := range list {
			switch a.key {
			case "cpu":
				requests[corev1.ResourceCPU] = a.value
			case "cpu_limit":
				limits[corev1.ResourceCPU] = a.value
			case "memory":
				requests[corev1.ResourceMemory], limits[corev1.ResourceMemory] = a.value, a.value
			}
		}
		c.Resources.Requests, c.Resources.Limits = requests, limits
	}
	return spec
}

// settings are settings of stage.resources with the whole of their keys.
func (g podGroup) settings(list []setting) []setting {
	whole := make([]setting, len(list))
	for i, a := range list {
		whole[i] = setting{"stage.resources." + g.key() + "." + a.key, a.value}
	}
	return whole
}

// configured is the group when settings, with the whole of their keys, are
// configured.
func (p *preflight) configured(g podGroup, advice []setting) podGroup {
	var list []setting
	for key, value := range smallest(advice) {
		if rest, ok := strings.CutPrefix(key, "stage.resources."+g.key()+"."); ok {
			list = append(list, setting{rest, value})
		}
	}
	g.spec = *g.with(list)
	return p.completed(g)
}

// completed has what admission adds to the group's pods.
func (p *preflight) completed(g podGroup) podGroup {
	g.admitted = *g.spec.DeepCopy()
	g.refused = admit(&g.admitted, p.ranges)
	g.requests, g.limits = podResources(g.admitted)
	return g
}

// smallest returns one value for each key: of two the smaller one is right for
// both.
func smallest(list []setting) map[string]resource.Quantity {
	values := map[string]resource.Quantity{}
	for _, a := range list {
		if have, ok := values[a.key]; !ok || a.value.Cmp(have) < 0 {
			values[a.key] = a.value
		}
	}
	return values
}

// configure writes settings as the verb takes them.
func configure(list []setting) string {
	text, values := "configure", smallest(list)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		text += " " + key + "=" + value.String()
	}
	return text
}

// counted is an object with the count that it is applied with.
func (p *preflight) counted(o *unstructured.Unstructured) *unstructured.Unstructured {
	return render.WithReplicasOf(o, p.live[render.Name(o)])
}

// workloads returns what runs pods, each with none that is missing.
func (p *preflight) workloads() []podGroup {
	var groups []podGroup
	for _, o := range p.objects {
		if !render.RunsPods(o.GetKind()) {
			continue
		}
		template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
		var pod corev1.PodTemplateSpec
		if runtime.DefaultUnstructuredConverter.FromUnstructured(template, &pod) != nil {
			continue // the server will say
		}
		groups = append(groups, podGroup{name: o.GetName(), vanity: o.GetAnnotations()[render.AnnotationVanityURL], spec: pod.Spec, object: o})
	}
	return groups
}

// groups returns the pods that a deploy starts beside those that run: have says
// how many pods each Deployment has.
func (p *preflight) groups(have map[string]int) []podGroup {
	var groups []podGroup
	for _, g := range p.workloads() {
		g.missing = int(render.Replicas(p.counted(g.object))) - have[g.name] + p.surge(g.object)
		if g.missing > 0 {
			groups = append(groups, p.completed(g))
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
