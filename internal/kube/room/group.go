package room

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Group is pods of one kind that have to be started.
type Group struct {
	Name     string // of their Deployment or StatefulSet
	Vanity   string
	Object   *unstructured.Unstructured
	Missing  int
	Spec     corev1.PodSpec // as it is rendered
	Admitted corev1.PodSpec // as admission completes it
	Refused  string         // why a LimitRange does not admit it
	Requests corev1.ResourceList
	Limits   corev1.ResourceList
}

// String names the group for people.
func (g Group) String() string {
	text := fmt.Sprintf("%d × %s", g.Missing, cmp.Or(g.Vanity, g.Name))
	var asks []string
	for _, name := range append([]corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}, placement.Devices(g.Requests)...) {
		if q, ok := g.Requests[name]; ok && !q.IsZero() {
			asks = append(asks, string(name)+" "+q.String())
		}
	}
	if len(asks) > 0 {
		text += " (" + strings.Join(asks, ", ") + " each)"
	}
	return text
}

// Key is what stage.resources calls the group.
func (g Group) Key() string {
	if g.Name == render.QueueName {
		return render.QueueResources
	}
	return cmp.Or(g.Vanity, render.EngineResources)
}

// requested is what the group's container is rendered to have of a resource, or
// what one is advised to have.
func (g Group) requested(name corev1.ResourceName) resource.Quantity {
	c := g.Spec.Containers[0].Resources
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
func (g Group) with(list []Setting) *corev1.PodSpec {
	spec := g.Spec.DeepCopy()
	for _, c := range containers(spec) {
		requests, limits := cloned(c.Resources.Requests), cloned(c.Resources.Limits)
		for _, a := range list {
			switch a.Key {
			case "cpu":
				requests[corev1.ResourceCPU] = a.Value
			case "cpu_limit":
				limits[corev1.ResourceCPU] = a.Value
			case "memory":
				requests[corev1.ResourceMemory], limits[corev1.ResourceMemory] = a.Value, a.Value
			}
		}
		c.Resources.Requests, c.Resources.Limits = requests, limits
	}
	return spec
}

// settings are settings of stage.resources with the whole of their keys.
func (g Group) settings(list []Setting) []Setting {
	whole := make([]Setting, len(list))
	for i, a := range list {
		whole[i] = Setting{"stage.resources." + g.Key() + "." + a.Key, a.Value}
	}
	return whole
}
