package kube

import (
	"context"
	"maps"
	"reflect"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Compare finds out what applying each object would do, and changes nothing.
// An object that was applied as it is wanted and still has every value costs
// one read; any other is tried on the server. One object that the server
// refuses refuses all.
func (c *Cluster) Compare(ctx context.Context, objects []*unstructured.Unstructured) ([]Change, error) {
	changes := make([]Change, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(applyWidth)
	for i, object := range objects {
		group.Go(func() (err error) {
			changes[i], err = c.compare(ctx, object)
			return err
		})
	}
	return changes, group.Wait()
}

func (c *Cluster) compare(ctx context.Context, object *unstructured.Unstructured) (Change, error) {
	change := Change{Object: objectOf(object), Action: Unchanged}
	existing, err := c.get(ctx, object.GetAPIVersion(), object.GetKind(), object.GetName())
	if err != nil {
		return change, err
	}
	change.live = existing
	if existing != nil && asApplied(existing, object) {
		return change, nil
	}
	if existing == nil && object.GetKind() == "RoleBinding" {
		change.Action = Created // to try it, the server wants the Role, which may be still to come
		return change, nil
	}
	dry := c.options()
	dry.DryRun = []string{metav1.DryRunAll}
	change.result, err = c.apply(ctx, object, dry)
	switch {
	case err != nil:
		return change, err
	case existing == nil:
		change.Action = Created
	case !reflect.DeepEqual(compared(existing), compared(change.result)):
		change.Action = Changed
	}
	return change, nil
}

// compared leaves out what the server writes by itself, and the satellite's
// version, which alone is no reason to write.
func compared(object *unstructured.Unstructured) map[string]any {
	content := maps.Clone(object.Object)
	delete(content, "status")
	delete(content, "metadata")
	labels := maps.Clone(object.GetLabels())
	delete(labels, LabelVersion)
	content["labels"], content["annotations"] = labels, object.GetAnnotations()
	return content
}

// asApplied says whether an object on the cluster is certainly as wanted: it
// carries the wanted one's hash, so that nothing else was applied since, and
// has every value of it. A false may be wrong; then the server is asked.
func asApplied(existing, wanted *unstructured.Unstructured) bool {
	digest := wanted.GetAnnotations()[annotationDigest]
	if digest == "" || existing.GetAnnotations()[annotationDigest] != digest || existing.GetDeletionTimestamp() != nil {
		return false
	}
	return holds(compared(existing), compared(wanted), "")
}

// holds says whether have has every value of want. The server adds defaults,
// and writes quantities in its own way.
func holds(have, want any, key string) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !holds(h[k], v, k) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(w) {
			return false
		}
		for i := range w {
			if !holds(h[i], w[i], key) {
				return false
			}
		}
		return true
	case map[string]string:
		h, ok := have.(map[string]string)
		for k, v := range w {
			ok = ok && h[k] == v
		}
		return ok
	case string:
		h, ok := have.(string)
		return ok && (h == w || sameQuantity(key, h, w))
	}
	return reflect.DeepEqual(have, want)
}

// quantityKeys are the fields that hold quantities, all under resources.
var quantityKeys = map[string]bool{"cpu": true, "memory": true, "ephemeral-storage": true, "storage": true, gpuResource: true}

func sameQuantity(key, a, b string) bool {
	if !quantityKeys[key] && !strings.HasPrefix(key, "hugepages-") {
		return false
	}
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}
