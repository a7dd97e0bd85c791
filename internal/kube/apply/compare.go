package apply

import (
	"context"
	"maps"
	"reflect"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Compare finds out what applying each object would do, and changes nothing.
// An object that was applied as it is wanted and still has every value costs
// one read; any other is tried on the server. One object that the server
// refuses refuses all.
func (a *Applier) Compare(ctx context.Context, objects []*unstructured.Unstructured) ([]Change, error) {
	changes := make([]Change, len(objects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i, object := range objects {
		group.Go(func() (err error) {
			changes[i], err = a.compare(ctx, object)
			return err
		})
	}
	return changes, group.Wait()
}

func (a *Applier) compare(ctx context.Context, object *unstructured.Unstructured) (Change, error) {
	change := Change{Object: ObjectOf(object), Action: Unchanged}
	existing, err := a.Cluster.Get(ctx, object.GetAPIVersion(), object.GetKind(), object.GetName())
	if err != nil {
		return change, err
	}
	change.Live, object = existing, render.WithReplicasOf(object, existing)
	if existing != nil && asApplied(existing, object) {
		return change, nil
	}
	if existing == nil && object.GetKind() == "RoleBinding" {
		change.Action = Created // to try it, the server wants the Role, which may be still to come
		return change, nil
	}
	dry := a.options()
	dry.DryRun = []string{metav1.DryRunAll}
	change.result, err = a.apply(ctx, object, dry)
	if a.IgnoreConflicts && apierrors.IsConflict(err) {
		dry.Force = true
		change.result, err = a.apply(ctx, object, dry)
	}
	switch {
	case err != nil:
		return change, err
	case existing == nil:
		change.Action = Created
	case !reflect.DeepEqual(compared(existing), compared(change.result)):
		change.Action, change.Drift = Changed, drift(existing, change.result)
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
	delete(labels, render.LabelVersion)
	content["labels"], content["annotations"] = labels, object.GetAnnotations()
	return content
}

// asApplied reports whether an object on the cluster is certainly as wanted: it
// carries the wanted one's hash, so that nothing else was applied since, and
// has every value of it. A false may be wrong; then the server is asked.
func asApplied(existing, wanted *unstructured.Unstructured) bool {
	digest := wanted.GetAnnotations()[render.AnnotationDigest]
	if digest == "" || existing.GetAnnotations()[render.AnnotationDigest] != digest || existing.GetDeletionTimestamp() != nil {
		return false
	}
	return Contains(compared(existing), compared(wanted), "")
}

// Contains reports whether have has every value of want. The server adds defaults,
// and writes quantities in its own way.
func Contains(have, want any, key string) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !Contains(h[k], v, k) {
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
			if !Contains(h[i], w[i], key) {
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
var quantityKeys = map[string]bool{"cpu": true, "memory": true, "ephemeral-storage": true, "storage": true, render.GPUResource: true}

func sameQuantity(key, a, b string) bool {
	if !quantityKeys[key] && !strings.HasPrefix(key, "hugepages-") {
		return false
	}
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}
