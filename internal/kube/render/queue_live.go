package render

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// QueueVolume returns the volume that a rendered or live object has for the
// queue in its pods; nil for none. A StatefulSet's claims are no volumes of its
// template.
func QueueVolume(object *unstructured.Unstructured) map[string]any {
	volumes, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "volumes")
	for _, volume := range volumes {
		if m, ok := volume.(map[string]any); ok && m["name"] == queueVolume {
			return m
		}
	}
	return nil
}

// QueueClaim returns the template of the claims that a StatefulSet has for the
// queue; nil for none.
func QueueClaim(object *unstructured.Unstructured) map[string]any {
	templates, _, _ := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	for _, template := range templates {
		if m, ok := template.(map[string]any); ok {
			return m
		}
	}
	return nil
}

// QueueClaimed reports whether the queue of a StatefulSet or of an engine
// outlives its pods.
func QueueClaimed(object *unstructured.Unstructured) bool {
	if QueueClaim(object) != nil {
		return true
	}
	_, claimed := QueueVolume(object)["persistentVolumeClaim"]
	return claimed
}
