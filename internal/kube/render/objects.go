package render

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// YAML returns an object as it is applied.
func YAML(object *unstructured.Unstructured) ([]byte, error) {
	data, err := yaml.Marshal(object.Object)
	if err != nil {
		return nil, fmt.Errorf("write %s as YAML: %w", Name(object), err)
	}
	return data, nil
}

// Name returns kind/name, by which messages call an object.
func Name(object *unstructured.Unstructured) string {
	return KindName(object.GetAPIVersion(), object.GetKind()) + "/" + object.GetName()
}

// sharedKinds are kinds that several API groups have, with the group that is meant
// where none is named.
var sharedKinds = map[string]string{"NetworkPolicy": "networking.k8s.io"}

// KindName tells an object's kind from those that other groups call alike: it is
// the kind, with the group behind it where that is not Kubernetes' own. An API's
// version does not count, since a newer cluster may have moved on from it, nor does
// a group that the kind was in before.
func KindName(apiVersion, kind string) string {
	group, _, _ := strings.Cut(apiVersion, "/")
	if own, shared := sharedKinds[kind]; shared && group != own && group != "extensions" {
		return kind + "." + group
	}
	return kind
}

// Replicas returns how many pods a Deployment or StatefulSet has.
func Replicas(object *unstructured.Unstructured) int64 {
	n, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	return n
}

// Workloads returns the names of the objects that run pods.
func Workloads(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, o := range objects {
		if RunsPods(o.GetKind()) {
			names = append(names, o.GetName())
		}
	}
	return names
}

// RunsPods reports whether objects of a kind run pods.
func RunsPods(kind string) bool { return kind == "Deployment" || kind == "StatefulSet" }

// Images returns every image that objects run or read weights of, once.
func Images(objects []*unstructured.Unstructured) []string {
	var images []string
	add := func(image any) {
		if image, ok := image.(string); ok && !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	for _, o := range objects {
		for _, list := range []string{"containers", "initContainers"} {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", list)
			for _, container := range containers {
				if m, ok := container.(map[string]any); ok {
					add(m["image"])
					add(weightsOf(m))
				}
			}
		}
		volumes, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "volumes")
		for _, volume := range volumes {
			if m, ok := volume.(map[string]any); ok {
				image, _, _ := unstructured.NestedFieldNoCopy(m, "image", "reference")
				add(image)
			}
		}
	}
	return images
}
