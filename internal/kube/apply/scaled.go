package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// A Deployment's replicas are the one field of ours that others set by plain
// means. What an autoscaler set is left to it, or the two would undo each
// other for ever. What somebody scaled by hand goes back to the configured
// number, as any other drift does. Where the count follows the load it is the
// engines', and applied as it is found. None is a reason to refuse a deploy.

// countTries is how often a count that follows the load is read and applied
// while it is changed in between.
const countTries = 5

// withCount returns an object as it is applied now: with the count that it has
// on the cluster, where that follows the load. followed reports whether that
// count is taken over as it is.
func (a *Applier) withCount(ctx context.Context, object *unstructured.Unstructured) (wanted *unstructured.Unstructured, followed bool, err error) {
	if _, ok := render.ScaleOf(object); !ok {
		return object, false, nil
	}
	live, err := a.Cluster.Get(ctx, object.GetAPIVersion(), object.GetKind(), object.GetName())
	if err != nil || live == nil {
		return object, false, err
	}
	wanted = render.WithReplicasOf(object, live)
	return wanted, render.Replicas(wanted) == render.Replicas(live), nil
}

// autoscaler is the field manager of HorizontalPodAutoscalers, KEDA's too.
const autoscaler = "kube-controller-manager"

// settleReplicas reports whether a conflict is about replicas only, and how the
// object is to be applied then: without them, or by force.
func settleReplicas(object *unstructured.Unstructured, conflict error) (again *unstructured.Unstructured, force, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(conflict, &status) || status.Status().Details == nil {
		return nil, false, false
	}
	causes := status.Status().Details.Causes
	left := false
	for _, cause := range causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict || cause.Field != ".spec.replicas" {
			return nil, false, false
		}
		left = left || strings.Contains(cause.Message, `"`+autoscaler+`"`)
	}
	if !left {
		return object, true, len(causes) > 0
	}
	again = object.DeepCopy()
	unstructured.RemoveNestedField(again.Object, "spec", "replicas")
	return again, false, true
}

// DescribeScaling says what somebody else did to the replicas of a Deployment or
// StatefulSet, and what becomes of it; "" when nobody did, or when they may.
func DescribeScaling(live, wanted *unstructured.Unstructured) string {
	if live == nil || !render.RunsPods(wanted.GetKind()) {
		return ""
	}
	bounds, follows := render.ScaleOf(wanted)
	if follows {
		wanted = render.WithReplicasOf(wanted, live)
	}
	_, followed := render.ScaleOf(live)
	switch {
	case render.Replicas(live) == render.Replicas(wanted):
		return ""
	case follows:
		return fmt.Sprintf("%s: its replicas follow the load from %d to %d, so %d become %d", render.Name(wanted), bounds.Least, bounds.Most, render.Replicas(live), render.Replicas(wanted))
	case followed:
		return fmt.Sprintf("%s: its replicas follow the load no more, so %d become %d", render.Name(wanted), render.Replicas(live), render.Replicas(wanted))
	}
	for _, entry := range live.GetManagedFields() {
		if entry.Manager == render.FieldManager || entry.FieldsV1 == nil || !strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas"`) || entry.Subresource == "status" {
			continue
		}
		if entry.Manager == autoscaler {
			return fmt.Sprintf("%s: an autoscaler set %d replicas, which are left to it", render.Name(wanted), render.Replicas(live))
		}
		text := fmt.Sprintf("! %s: %s set %d replicas, and %d are configured, which it goes back to", render.Name(wanted), entry.Manager, render.Replicas(live), render.Replicas(wanted))
		if vanity := wanted.GetAnnotations()[render.AnnotationVanityURL]; vanity != "" {
			text += fmt.Sprintf("; to keep them: configure stage.replicas.%s=%d", vanity, render.Replicas(live))
		}
		return text
	}
	if ownerless(live) {
		return fmt.Sprintf("! %s: somebody scaled it to 0, and %d are configured, which it goes back to", render.Name(wanted), render.Replicas(wanted))
	}
	return ""
}

// ownerless reports whether nobody owns an object's replicas. Whoever scales
// it to zero takes them from us, and the cluster does not note who it was: in
// the request a zero is left out.
func ownerless(live *unstructured.Unstructured) bool {
	if _, follows := render.ScaleOf(live); follows || !render.RunsPods(live.GetKind()) || render.Replicas(live) != 0 {
		return false
	}
	return !slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource != "status" && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas"`)
	})
}
