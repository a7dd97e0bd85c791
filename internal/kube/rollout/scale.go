package rollout

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// startAtLoad lets the Deployments that come up beside others of their
// algorithm start with as many replicas as those have, where the count follows
// the load: the new version takes over all of the load at once.
func (r *Rollout) startAtLoad(ctx context.Context) error {
	follows := func(o *unstructured.Unstructured) bool { _, ok := render.ScaleOf(o); return ok }
	if !slices.ContainsFunc(r.Objects, follows) {
		return nil
	}
	client, err := r.Cluster.Resource("apps/v1", "Deployment")
	if err != nil {
		return err
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + r.Plan.Launch.ID})
	if err != nil {
		return fmt.Errorf("list the satellite's deployments: %w", err)
	}
	busiest, there := map[string]*unstructured.Unstructured{}, map[string]bool{}
	for i := range list.Items {
		live := &list.Items[i]
		vanity := live.GetAnnotations()[render.AnnotationVanityURL]
		there[live.GetName()] = true
		if before := busiest[vanity]; before == nil || render.Replicas(live) > render.Replicas(before) {
			busiest[vanity] = live
		}
	}
	r.Objects = slices.Clone(r.Objects)
	for i, o := range r.Objects {
		live := busiest[o.GetAnnotations()[render.AnnotationVanityURL]]
		if follows(o) && !there[o.GetName()] && live != nil && render.Replicas(live) > render.Replicas(o) {
			r.Objects[i] = render.WithReplicasOf(o, live)
		}
	}
	return nil
}
